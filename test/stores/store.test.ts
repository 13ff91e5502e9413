import assert from "node:assert/strict";
import { test } from "node:test";
import { SHEET, type Principal } from "../../hub/base/session.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";

const NOW = Date.UTC(2026, 10, 22, 12);
const session = (id: string, projectId: number | null = null): Principal => ({
  role: "agent",
  name: `session:${id}`,
  sessionId: id,
  projectId,
});

async function store() {
  const store = openSqliteStore({ path: ":memory:" });
  await store.setAgents([{ name: "sample", model: "" }], NOW);
  return store;
}

test("a task goes the whole way: queued, running, checking, done", async () => {
  const s = await store();
  const project = await s.addProject(
    SHEET,
    { name: "Antenna", priority: 1, nextAction: "Implement batch processing" },
    NOW,
  );
  const [task] = await s.tasks();
  assert.equal(task?.description, "Implement batch processing");
  assert.equal(task.state, "queued");
  const heads = await s.readyHeads(["sample"], 5);
  assert.deepEqual(
    heads.map((head) => head.taskId),
    [task.id],
  );
  await s.openSession(
    { id: "s-1", agent: "sample", projectId: project.id, kind: "supervised", machine: "native" },
    NOW,
  );
  assert.equal(await s.reserve(task.id, { id: "s-1", agent: "sample", machine: "native" }, NOW), true);
  assert.deepEqual(await s.readyHeads(["sample"], 5), []);
  const claim = await s.claim("s-1", NOW);
  assert.equal(claim?.task.fence, 1);
  assert.equal((await s.claim("s-1", NOW))?.fresh, false);
  await s.reportProgress(session("s-1"), task.id, 1, "half", NOW);
  await assert.rejects(s.reportProgress(session("s-2"), task.id, 1, "other", NOW), /not held by this session/);
  await s.complete(session("s-1"), task.id, 1, { summary: "did it", nextAction: "go on", output: null }, NOW);
  assert.equal((await s.task(task.id))?.state, "checking");
  assert.equal(
    await s.finish(task.id, 1, { integratedCommit: "abc", checked: "passed", review: "unreviewed" }, NOW),
    true,
  );
  assert.equal(
    await s.finish(task.id, 1, { integratedCommit: "abc", checked: "passed", review: "unreviewed" }, NOW),
    false,
  );
  assert.equal((await s.task(task.id))?.state, "done");
  assert.deepEqual(
    (await s.openQuestions()).map((q) => q.kind),
    ["next_action"],
  );
  assert.deepEqual((await s.counts()).get(project.id), { done: 1 });
  s.close();
});
