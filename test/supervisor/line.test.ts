import assert from "node:assert/strict";
import { test } from "node:test";
import { withWorld } from "./world.ts";

test("a queued task becomes a checked commit on its branch and on the integration branch", async () => {
  await withWorld({}, async (world) => {
    const project = await world.project("antenna", { setup: "echo ready > .git/setup-ran" });
    const id = await world.task(project, "Write the file");
    const task = await world.reaches(id, "done");
    assert.equal(task.checked, "passed");
    assert.equal(task.review, "unreviewed");
    assert.equal(await world.mirror("antenna", "show", `cto/T${id}:work-T${id}.txt`), `T${id}`);
    assert.equal(await world.mirror("antenna", "rev-parse", "cto/integration"), task.integratedCommit);
    assert.deepEqual(await world.kinds(id), [
      "task_added",
      "task_reserved",
      "task_claimed",
      "task_changed",
      "task_completed",
      "task_checked",
      "task_done",
    ]);
    const session = (await world.store.recentSessions(5))[0];
    assert.equal(session?.agent, "worker");
  });
});
