import assert from "node:assert/strict";
import { test } from "node:test";
import { HOUR, MINUTE } from "../../hub/base/clock.ts";
import type { ReadyHead } from "../../hub/stores/store.ts";
import { machineKind, plan, type Known, type KnownSession } from "../../supervisor/plan.ts";

const NOW = Date.UTC(2026, 10, 22, 22);

const known = (changes: Partial<Known> = {}): Known => ({
  stop: undefined,
  limits: { sessions: 3, taskMs: 4 * HOUR, silenceMs: 30 * MINUTE, idleMs: 2 * MINUTE },
  agents: [
    { name: "claude", maxSessions: 2, restMs: 0 },
    { name: "qwen", maxSessions: 1, restMs: 0 },
  ],
  machines: new Map([["native", { ok: true }]]),
  sessions: [],
  heads: [],
  projects: new Map([1, 2, 3, 4].map((id) => [id, { name: `P${id}`, machine: "", hold: null }])),
  ...changes,
});

const head = (taskId: number, changes: Partial<ReadyHead> = {}): ReadyHead => ({
  agent: "claude",
  lane: `lane ${taskId}`,
  taskId,
  projectId: taskId,
  band: 1,
  served: 0,
  ...changes,
});

const session = (id: string, changes: Partial<KnownSession> = {}): KnownSession => ({
  id,
  agent: "claude",
  kind: "supervised",
  taskId: 9,
  projectId: 4,
  run: "running",
  workedMs: 0,
  silentMs: 0,
  idleMs: 0,
  ...changes,
});

const started = (world: Known) => plan(world, NOW).start.map(({ taskId, agent }) => `T${taskId} ${agent}`);

const STARTS: [name: string, world: Known, starts: string[]][] = [
  ["nothing is ready", known(), []],
  ["one ready task starts", known({ heads: [head(1)] }), ["T1 claude"]],
  [
    "the better band goes first",
    known({ heads: [head(1, { band: 2 }), head(2, { band: 0 })] }),
    ["T2 claude", "T1 claude"],
  ],
  [
    "inside a band the lane that was served longest ago goes first",
    known({ heads: [head(1, { served: 7 }), head(2, { served: 3 })], limits: { ...known().limits, sessions: 1 } }),
    ["T2 claude"],
  ],
  [
    "an agent starts no more than its sessions",
    known({ heads: [head(1), head(2), head(3)] }),
    ["T1 claude", "T2 claude"],
  ],
  [
    "the next agent that may have it takes what the first has no room for",
    known({ heads: [1, 2, 3].flatMap((id) => [head(id), head(id, { agent: "qwen" })]) }),
    ["T1 claude", "T2 claude", "T3 qwen"],
  ],
  [
    "no more run than may run at once",
    known({ heads: [head(1), head(2, { agent: "qwen" })], sessions: [session("a"), session("b", { agent: "qwen" })] }),
    ["T1 claude"],
  ],
  [
    "a session that is being prepared takes room, one that has ended does not, an attached one never does",
    known({
      heads: [head(1), head(2)],
      limits: { ...known().limits, sessions: 2 },
      sessions: [
        session("a", { run: "preparing" }),
        session("b", { run: "ended" }),
        session("c", { kind: "attached" }),
        session("d", { kind: "attached" }),
      ],
    }),
    ["T1 claude"],
  ],
  [
    "one session writes in a lane",
    known({ heads: [head(1, { lane: "x" }), head(2, { lane: "x", agent: "qwen", band: 2 })] }),
    ["T1 claude"],
  ],
  [
    "an agent whose sessions crash in a row rests",
    known({ heads: [head(1)], agents: [{ name: "claude", maxSessions: 2, restMs: MINUTE }] }),
    [],
  ],
  ["nothing starts while STOP is set", known({ heads: [head(1)], stop: { by: "mike", why: "" } }), []],
];
for (const [name, world, starts] of STARTS) test(`start: ${name}`, () => assert.deepEqual(started(world), starts));

const WAITS: [name: string, world: Known, why: string, until?: number][] = [
  [
    "law 9: a project that asks for a container waits when there is none; it never runs on the host instead",
    known({ heads: [head(1)], projects: new Map([[1, { name: "P1", machine: "Docker", hold: null }]]) }),
    "waits for machine: docker is not there yet",
  ],
  [
    "a machine that is not well says why",
    known({ heads: [head(1)], machines: new Map([["native", { ok: false, why: "git is missing: install it" }]]) }),
    "waits for machine: git is missing: install it",
  ],
  [
    "all sessions are taken",
    known({
      heads: [head(1)],
      sessions: [session("a"), session("b", { agent: "qwen" }), session("c", { agent: "qwen" })],
    }),
    "waits for a free session: as many run as may run at once",
  ],
  [
    "its agent is busy",
    known({ heads: [head(1)], sessions: [session("a"), session("b")] }),
    "waits for claude: all of its sessions are at work",
  ],
  [
    "its agent rests, and when that ends",
    known({ heads: [head(1)], agents: [{ name: "claude", maxSessions: 2, restMs: 5 * MINUTE }] }),
    "claude crashed several times in a row; it is tried again later",
    NOW + 5 * MINUTE,
  ],
  [
    "STOP, and who set it",
    known({ heads: [head(1)], stop: { by: "mike", why: "dinner" } }),
    "STOP was set by mike (dinner); nothing starts until it is released",
  ],
];
for (const [name, world, why, until] of WAITS)
  test(name.startsWith("law") ? name : `not yet: ${name}`, () => {
    assert.deepEqual(plan(world, NOW).start, []);
    assert.deepEqual(plan(world, NOW).notYet, [
      { taskId: 1, projectId: 1, why, ...(until !== undefined && { until }) },
    ]);
  });

const ENDS: [name: string, session: KnownSession, because: string | undefined, changes?: Partial<Known>][] = [
  ["a session at work goes on", session("a"), undefined],
  ["a process that ended", session("a", { run: "ended" }), "exited"],
  ["the time limit", session("a", { workedMs: 4 * HOUR + 1 }), "limit"],
  ["just inside the time limit", session("a", { workedMs: 4 * HOUR }), undefined],
  ["silence", session("a", { silentMs: 31 * MINUTE }), "limit"],
  ["no task for long", session("a", { taskId: null, idleMs: 3 * MINUTE }), "idle"],
  ["no task for a moment", session("a", { taskId: null, idleMs: 1000 }), undefined],
  ["STOP", session("a"), "stop", { stop: { by: "mike", why: "" } }],
  [
    "STOP ends one that is being prepared",
    session("a", { run: "preparing" }),
    "stop",
    { stop: { by: "mike", why: "" } },
  ],
  [
    "the person paused its project",
    session("a"),
    "person",
    { projects: new Map([[4, { name: "P4", machine: "", hold: "paused" }]]) },
  ],
  ["an attached session is never ours to end", session("a", { kind: "attached", silentMs: HOUR }), undefined],
];
for (const [name, one, because, changes] of ENDS)
  test(`end: ${name}`, () => {
    const { end } = plan(known({ sessions: [one], ...changes }), NOW);
    assert.deepEqual(
      end.map((entry) => entry.because),
      because === undefined ? [] : [because],
    );
  });

test("the Machine cell: empty and native mean native, anything else is asked for by its name", () => {
  assert.deepEqual(["", " - ", "Native", "docker", "VM 1"].map(machineKind), [
    "native",
    "native",
    "native",
    "docker",
    "vm 1",
  ]);
});

test("law 1: an agent whose window is used up starts nothing, and says until when", () => {
  const out = { why: "waits for the five-hour window to renew", until: NOW + HOUR };
  const agents = [{ name: "claude", maxSessions: 2, restMs: 0, out }];
  const { start, notYet } = plan(known({ agents, heads: [head(1)] }), NOW);
  assert.deepEqual(start, []);
  assert.deepEqual(notYet, [{ taskId: 1, projectId: 1, why: out.why, until: out.until }]);
});

test("an agent that waits for a person starts nothing, and another one that may have the task does", () => {
  const out = { why: "claude cannot work", until: null };
  const agents = [
    { name: "claude", maxSessions: 2, restMs: 0, out },
    { name: "qwen", maxSessions: 1, restMs: 0 },
  ];
  const heads = [head(1), head(1, { agent: "qwen" }), head(2)];
  const { start, notYet } = plan(known({ agents, heads }), NOW);
  assert.deepEqual(
    start.map(({ taskId, agent }) => [taskId, agent]),
    [[1, "qwen"]],
  );
  assert.deepEqual(notYet, [{ taskId: 2, projectId: 2, why: out.why }]);
});

test("a session that has just done a task of the project is left its next one, for a minute at most", () => {
  const done = session("a", { taskId: null, projectId: 1, goesOn: true, idleMs: 1_000 });
  const waiting = plan(known({ heads: [head(1)], sessions: [done] }), NOW);
  assert.deepEqual(waiting.start, []);
  assert.match(waiting.notYet[0]?.why ?? "", /goes to session a/);
  for (const changes of [{ idleMs: MINUTE }, { run: "ended" as const }, { goesOn: false }, { projectId: 2 }])
    assert.deepEqual(started(known({ heads: [head(1)], sessions: [{ ...done, ...changes }] })), ["T1 claude"]);
});
