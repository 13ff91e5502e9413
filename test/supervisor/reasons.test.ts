import assert from "node:assert/strict";
import { test } from "node:test";
import { reasons, type QueueView } from "../../supervisor/reasons.ts";

const project: ReturnType<QueueView["projects"]["get"]> & object = {
  name: "Antenna",
  hold: null,
  blockedWhy: null,
  lane: "repo:antenna",
  dependsOn: "",
  model: "",
};
const view = (changes: Partial<QueueView> = {}): QueueView => ({
  stop: undefined,
  queued: [{ id: 7, projectId: 1, wantedAgent: null }],
  projects: new Map([[1, project]]),
  busy: new Map(),
  first: new Map(),
  known: { agents: [{ name: "sample", model: "Opus 4", maxSessions: 1, restMs: 0 }] },
  plan: { start: [], notYet: [] },
  ...changes,
});
const of = (changes: Partial<typeof project>) => new Map([[1, { ...project, ...changes }]]);

const REASONS: [name: string, view: QueueView, why: string][] = [
  [
    "the plan's own words come first",
    view({ plan: { start: [], notYet: [{ taskId: 7, projectId: 1, why: "waits for claude" }] } }),
    "waits for claude",
  ],
  ["STOP", view({ stop: { by: "mike", why: "" } }), "STOP is set; nothing starts until it is released"],
  ["its project is held", view({ projects: of({ hold: "planning" }) }), "its project is in planning"],
  [
    "its project is blocked",
    view({ projects: of({ blockedWhy: "repository: gone" }) }),
    "its project is blocked: repository: gone",
  ],
  [
    "its repository is worked in",
    view({ busy: new Map([["repo:antenna", 3]]) }),
    "waits for T3: one session at a time works in this repository",
  ],
  [
    "another goes before it",
    view({ first: new Map([["repo:antenna", 5]]) }),
    "waits for T5, which goes before it in this repository",
  ],
  [
    "its project waits for another",
    view({ projects: of({ dependsOn: "APRS" }) }),
    "waits for what its project depends on: APRS",
  ],
  ["nothing keeps it", view(), "waits for its turn"],
  ["its project's Model is there", view({ projects: of({ model: "opus" }) }), "waits for its turn"],
  [
    "its project's Model names nobody",
    view({ projects: of({ model: "Sonnet 4" }) }),
    'no agent here is called "Sonnet 4" (Model of its project); there is: sample',
  ],
  [
    "its Assigned To names nobody",
    view({ queued: [{ id: 7, projectId: 1, wantedAgent: "Qwen (VM3)" }], projects: of({ model: "opus" }) }),
    'no agent here is called "Qwen (VM3)" (its Assigned To); there is: sample',
  ],
  [
    "the one that may have it cannot be started",
    view({
      queued: [{ id: 7, projectId: 1, wantedAgent: "lost" }],
      known: { agents: [], off: [{ name: "lost", model: "", why: "its program /nope/agent is not there" }] },
    }),
    "no agent that may have it can be started: lost (its program /nope/agent is not there)",
  ],
  [
    "there are no agents",
    view({ known: { agents: [] } }),
    "no agent is configured: name one under agents in config.yaml",
  ],
];
for (const [name, world, why] of REASONS)
  test(`why it does not run: ${name}`, () => assert.deepEqual(reasons(world), [{ taskId: 7, why }]));

test("a task that is being started needs no reason", () => {
  const start = [{ taskId: 7, projectId: 1, agent: "claude", machine: "native" }];
  assert.deepEqual(reasons(view({ plan: { start, notYet: [] } })), []);
});
