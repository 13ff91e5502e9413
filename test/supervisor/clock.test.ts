import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock, DAY, HOUR, type Clock } from "../../hub/base/clock.ts";
import { until } from "../helpers/until.ts";
import { withWorld } from "./world.ts";

for (const [words, jump] of [
  ["an hour ahead", HOUR],
  ["an hour back", -HOUR],
  ["a day ahead", DAY],
  ["a day back", -DAY],
] as const) {
  test(`law 6: exactly one holder: a clock that jumps ${words} neither loses nor doubles a held task`, async () => {
    let offset = 0;
    const clock: Clock = { ...systemClock, now: () => Date.now() + offset };
    await withWorld({ clock }, async (world) => {
      const project = await world.project("antenna");
      const held = await world.task(project, "do:hold");
      const before = await world.reaches(held, "running");
      offset = jump;
      // Something else must happen after the jump, so that the supervisor has looked more than once.
      const other = await world.project("aprs");
      const next = await world.task(other, "do:work");
      await world.reaches(next, "done");
      world.hub.supervisor.wake();
      const after = await world.store.task(held);
      assert.deepEqual(
        [after?.state, after?.fence, after?.sessionId, after?.failures],
        ["running", before.fence, before.sessionId, 0],
      );
      // Its session can still call, and finishes.
      await world.store.say(
        { role: "human", name: "test", sessionId: null, projectId: null },
        held,
        "go on",
        clock.now(),
      );
      const done = await world.reaches(held, "done");
      assert.equal(done.fence, before.fence);
      assert.equal((await world.kinds(held)).filter((kind) => kind === "task_claimed").length, 1);
      await until(
        "one session did it",
        async () =>
          (await world.store.recentSessions(10)).filter((session) => session.projectId === project).length === 1,
      );
    });
  });
}
