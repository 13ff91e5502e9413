import assert from "node:assert/strict";
import { test } from "node:test";
import { MINUTE } from "../../hub/base/clock.ts";
import type { Session } from "../../hub/base/session.ts";
import { createActivity, type Phase } from "../../supervisor/activity.ts";

const session = (changes: Partial<Session> = {}): Session => ({
  id: "s-1",
  agent: "worker",
  projectId: 1,
  kind: "supervised",
  machine: "native",
  state: "running",
  taskId: 1,
  handle: "native",
  outcome: null,
  exitCode: null,
  tasksDone: 0,
  startedAt: 0,
  lastSeenAt: 0,
  endedAt: null,
  ...changes,
});

/** An activity and a clock of its own; `after` lets minutes pass and looks. */
function measured() {
  let now = 0;
  const activity = createActivity(() => now);
  const after = (minutes: number, phase: Phase, changes: Partial<Session> = {}, outputBytes = 0) => {
    now += minutes * MINUTE;
    const { workedMs, silentMs, idleMs, grew } = activity.look(session(changes), phase, {
      state: "running",
      startedAt: 0,
      outputBytes,
    });
    return { worked: workedMs / MINUTE, silent: silentMs / MINUTE, idle: idleMs / MINUTE, grew };
  };
  return after;
}

test("work and silence are counted from the first look, and a call or output is a sign of life", () => {
  const after = measured();
  after(5, "working");
  assert.deepEqual(after(10, "working"), { worked: 10, silent: 10, idle: 0, grew: false });
  assert.deepEqual(after(1, "working", { lastSeenAt: 77 }), { worked: 11, silent: 0, idle: 0, grew: false });
  assert.deepEqual(after(1, "working", { lastSeenAt: 77 }, 10), { worked: 12, silent: 0, idle: 0, grew: true });
  // That output was noted in the store moves the session's own time; it is no second sign.
  assert.deepEqual(after(2, "working", { lastSeenAt: 99 }, 10), { worked: 14, silent: 2, idle: 0, grew: false });
});

test("while its task is checked a session neither works nor is silent, and works anew on findings", () => {
  const after = measured();
  after(0, "working");
  after(60, "checking");
  assert.deepEqual(after(60, "checking"), { worked: 0, silent: 0, idle: 0, grew: false });
  after(0, "working");
  assert.deepEqual(after(3, "working"), { worked: 3, silent: 3, idle: 0, grew: false });
});

test("the next task starts a new count, and no task is idleness", () => {
  const after = measured();
  after(0, "working");
  after(9, "working", { taskId: 2 });
  assert.equal(after(4, "working", { taskId: 2 }).worked, 4);
  after(0, "idle", { taskId: null });
  assert.equal(after(3, "idle", { taskId: null }).idle, 3);
});
