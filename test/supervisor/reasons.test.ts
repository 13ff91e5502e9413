import assert from "node:assert/strict";
import { test } from "node:test";
import { reasons, type QueueView } from "../../supervisor/reasons.ts";

const project: ReturnType<QueueView["projects"]["get"]> & object = {
  name: "Antenna",
  hold: null,
  blockedWhy: null,
  lane: "repo:antenna",
  dependsOn: "",
};
const view = (changes: Partial<QueueView> = {}): QueueView => ({
  stop: undefined,
  queued: [{ id: 7, projectId: 1 }],
  projects: new Map([[1, project]]),
  busy: new Map(),
  first: new Map(),
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
  ["nobody may have it", view(), "no agent that can be started may have it"],
];
for (const [name, world, why] of REASONS)
  test(`why it does not run: ${name}`, () => assert.deepEqual(reasons(world), [{ taskId: 7, why }]));

test("a task that is being started needs no reason", () => {
  const start = [{ taskId: 7, projectId: 1, agent: "claude", machine: "native" }];
  assert.deepEqual(reasons(view({ plan: { start, notYet: [] } })), []);
});
