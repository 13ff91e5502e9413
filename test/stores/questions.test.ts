import assert from "node:assert/strict";
import { test } from "node:test";
import { HOUR } from "../../hub/base/clock.ts";
import { SHEET, SUPERVISOR, type Principal } from "../../hub/base/session.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";
import type { Store } from "../../hub/stores/store.ts";

const NOW = Date.UTC(2026, 10, 22, 12);
const by = (id: string): Principal => ({ role: "agent", name: `session:${id}`, sessionId: id, projectId: null });
const noOptions = { text: "Which grammar?", options: [] };

async function withStore(work: (store: Store) => Promise<void>): Promise<void> {
  const store = openSqliteStore({ path: ":memory:" });
  try {
    await store.setAgents([{ name: "worker", model: "" }], NOW);
    await work(store);
  } finally {
    store.close();
  }
}

async function held(store: Store, session: string, projectId: number) {
  await store.openSession({ id: session, agent: "worker", projectId, kind: "supervised", machine: "native" }, NOW);
  const claim = await store.claim(session, NOW);
  assert.ok(claim);
  return claim.task;
}

/** A project with one task that a session holds. */
async function working(store: Store) {
  const project = await store.addProject(SHEET, { name: "Antenna", priority: 1 }, NOW);
  await store.addTask(SHEET, { projectId: project.id, description: "Write the parser", origin: "sheet" }, NOW);
  return { project, task: await held(store, "s-1", project.id) };
}

/** The same, parked after five failures. */
async function parked(store: Store) {
  const { project, task } = await working(store);
  let now = NOW;
  let { fence } = task;
  for (let n = 1; n <= 5; n += 1) {
    await store.giveBack(task.id, fence, { why: "it crashed", failure: true }, now);
    now += HOUR;
    await store.applyDue(now);
    const again = n < 5 ? await store.claim("s-1", now) : undefined;
    fence = again?.task.fence ?? fence;
  }
  const [question] = await store.openQuestions();
  assert.equal(question?.kind, "parked");
  return { project, task, question };
}

test("law 6: every answer can be repeated; another one is refused with the first, whoever gives it", () =>
  withStore(async (store) => {
    const { task } = await working(store);
    const question = await store.block(
      by("s-1"),
      task.id,
      task.fence,
      { text: "Which?", options: ["Old", "New"] },
      NOW,
    );
    const answered = await store.answerQuestion(SHEET, question.id, " new ", NOW);
    assert.deepEqual(
      [answered.question.state, answered.question.answer, answered.task?.state, answered.task?.front],
      ["answered", "New", "queued", true],
    );
    const seq = await store.lastSeq();
    assert.equal((await store.answerQuestion(SUPERVISOR, question.id, "NEW", NOW)).task?.id, task.id);
    await assert.rejects(store.answerQuestion(SHEET, question.id, "Old", NOW), /Q1 is answered already, with "New"/);
    assert.equal(await store.lastSeq(), seq, "a repeat changes nothing");
    await store.claim("s-1", NOW);
    await store.answerQuestion(SHEET, question.id, "New", NOW);
    assert.equal((await store.task(task.id))?.state, "running", "a late repeat takes the task from nobody");
  }));

test("an answer keeps the failures and rounds of a task that its agent asked about", () =>
  withStore(async (store) => {
    const { task } = await working(store);
    await store.giveBack(task.id, task.fence, { why: "it crashed", failure: true }, NOW);
    await store.applyDue(NOW + HOUR);
    const again = await store.claim("s-1", NOW + HOUR);
    const question = await store.block(by("s-1"), task.id, again?.task.fence ?? 0, noOptions, NOW);
    const answered = await store.answerQuestion(SHEET, question.id, "Cancel it", NOW);
    assert.deepEqual([answered.task?.state, answered.task?.failures], ["queued", 1], "an agent's words cancel nothing");
  }));

test("a parked task: Try again counts from zero, Cancel it cancels, other words go to the next holder", () =>
  withStore(async (store) => {
    const { project, task, question } = await parked(store);
    assert.match((await store.task(task.id))?.why ?? "", /answer on the page or with cto answer Q1$/);
    const again = await store.answerQuestion(SHEET, question.id, "try again", NOW);
    assert.deepEqual([again.task?.state, again.task?.failures, again.task?.front], ["queued", 0, true]);
    await assert.rejects(store.answerQuestion(SHEET, question.id, "Cancel it", NOW), /answered already/);

    const claim = await store.claim("s-1", NOW + 9 * HOUR);
    await store.complete(
      by("s-1"),
      task.id,
      claim?.task.fence ?? 0,
      { summary: "", nextAction: "", output: null },
      NOW,
    );
    let fence = claim?.task.fence ?? 0;
    for (let round = 1; round <= 3; round += 1) {
      await store.returnFindings(task.id, fence, { source: "check", text: "red" }, true, NOW);
      fence += 1;
      if (round < 3)
        await store.complete(by("s-1"), task.id, fence, { summary: "", nextAction: "", output: null }, NOW);
    }
    const [findings] = await store.openQuestions();
    assert.deepEqual([findings?.kind, findings?.options], ["findings", ["Try again", "Cancel it"]]);
    const told = await store.answerQuestion(SHEET, findings?.id ?? 0, "Skip the slow test", NOW);
    assert.deepEqual([told.task?.state, told.task?.rounds, told.task?.findings], ["queued", 0, "red"]);
    assert.equal((await store.answers(task.id, 5))[0]?.answer, "Skip the slow test");

    const other = await store.addTask(SHEET, { projectId: project.id, description: "d", origin: "sheet" }, NOW);
    await store.cancelTask(SHEET, task.id, "not now", NOW);
    const next = await held(store, "s-2", project.id);
    assert.equal(next.id, other.id);
    const request = { text: "Its setup failed.", options: ["Try again", "Cancel it"] };
    const asked = await store.block({ ...SUPERVISOR, sessionId: "s-2" }, next.id, next.fence, request, NOW);
    const ended = await store.answerQuestion(SHEET, asked.id, "cancel it", NOW);
    assert.deepEqual([ended.question.answer, ended.task?.state], ["Cancel it", "cancelled"]);
  }));

test("questions of a task that moves on otherwise are taken back", () =>
  withStore(async (store) => {
    const { task } = await working(store);
    const first = await store.block(by("s-1"), task.id, task.fence, noOptions, NOW);
    await store.reopenTask(SHEET, task.id, "set to Queued in the sheet", NOW);
    await assert.rejects(store.answerQuestion(SHEET, first.id, "x", NOW), /Q1 was taken back/);
    const again = await store.claim("s-1", NOW);
    const second = await store.block(by("s-1"), task.id, again?.task.fence ?? 0, noOptions, NOW);
    await store.cancelTask(SHEET, task.id, "not wanted", NOW);
    await assert.rejects(store.answerQuestion(SHEET, second.id, "x", NOW), /Q2 was taken back/);
    assert.deepEqual(await store.openQuestions(), []);
    for (const [id, answer] of [
      [7, "x"],
      [first.id, " "],
      [first.id, "x".repeat(2_001)],
    ] as const)
      await assert.rejects(store.answerQuestion(SHEET, id, answer, NOW));
    const elsewhere = { ...SHEET, projectId: 99 };
    await assert.rejects(store.answerQuestion(elsewhere, first.id, "x", NOW), /There is no question Q1/);
  }));

test("an answered task still waits for what comes before it, and for a Depends On that must be mended", () =>
  withStore(async (store) => {
    const { project, task } = await working(store);
    const question = await store.block(by("s-1"), task.id, task.fence, noOptions, NOW);
    await store.changeTask(SHEET, task.id, { dependsOn: "T99" }, NOW);
    const answered = await store.answerQuestion(SHEET, question.id, "the old one", NOW);
    assert.equal(answered.task?.state, "blocked");
    assert.match(answered.task?.why ?? "", /T99/);
    const before = await store.addTask(SHEET, { projectId: project.id, description: "first", origin: "sheet" }, NOW);
    await store.changeTask(SHEET, task.id, { dependsOn: `T${before.id}` }, NOW);
    assert.equal((await store.task(task.id))?.waitReason, "dependency");
  }));

test("mending Depends On does not answer a question", () =>
  withStore(async (store) => {
    const { task } = await working(store);
    await store.block(by("s-1"), task.id, task.fence, noOptions, NOW);
    await store.changeTask(SHEET, task.id, { dependsOn: "T99" }, NOW);
    await store.changeTask(SHEET, task.id, { dependsOn: "" }, NOW);
    assert.equal((await store.task(task.id))?.state, "blocked");
    assert.equal((await store.openQuestions()).length, 1);
  }));

/** A project whose first task has stated what comes next. */
async function stated(store: Store) {
  const project = await store.addProject(SHEET, { name: "Antenna", priority: 1, nextAction: "Write the lexer" }, NOW);
  const task = await held(store, "s-1", project.id);
  const report = { summary: "did it", nextAction: "Write the parser", output: null };
  await store.complete(by("s-1"), task.id, task.fence, report, NOW);
  await store.finish(task.id, task.fence, { integratedCommit: null, checked: "unchecked", review: null }, NOW);
  const [question] = await store.openQuestions();
  assert.deepEqual([question?.kind, question?.options], ["next_action", ["Yes", "Not now"]]);
  return { project, task, question: question?.id ?? 0 };
}

test("a next action: Yes queues it once, as it was stated", () =>
  withStore(async (store) => {
    const { project, question } = await stated(store);
    const yes = await store.answerQuestion(SHEET, question, "yes", NOW);
    assert.deepEqual([yes.task?.description, yes.task?.origin], ["Write the parser", "next_action"]);
    assert.equal((await store.answerQuestion(SHEET, question, "Yes", NOW)).task?.id, yes.task?.id);
    assert.equal((await store.tasks()).length, 2);
    assert.equal((await store.project(project.id))?.nextAction, "Write the parser");
  }));

test("a next action: other words queue these and reach the cell, Not now leaves all as it is", async () => {
  await withStore(async (store) => {
    const { project, question } = await stated(store);
    const other = await store.answerQuestion(SHEET, question, "Write the tests first", NOW);
    assert.equal(other.task?.description, "Write the tests first");
    const after = await store.project(project.id);
    assert.deepEqual([after?.nextAction, after?.consumedAction], ["Write the tests first", "Write the tests first"]);
    assert.equal((await store.tasks()).length, 2, "the cell's new words make no second task");
  });
  await withStore(async (store) => {
    const { question } = await stated(store);
    assert.equal((await store.answerQuestion(SHEET, question, "not now", NOW)).task, null);
    assert.equal((await store.answerQuestion(SHEET, question, "Not now", NOW)).task, null);
    assert.equal((await store.tasks()).length, 1);
    await assert.rejects(store.answerQuestion(SHEET, question, "Yes", NOW), /answered already/);
  });
});

test("a next action: the person's newer words, or wanting the task again, take the question back", async () => {
  await withStore(async (store) => {
    const { project } = await stated(store);
    await store.changeProject(SHEET, project.id, { nextAction: "Write the docs" }, NOW);
    assert.deepEqual(await store.openQuestions(), []);
  });
  await withStore(async (store) => {
    const { task } = await stated(store);
    await store.reopenTask(SHEET, task.id, "again", NOW);
    assert.deepEqual(await store.openQuestions(), []);
  });
});

test("law 14: messages to a task are bounded, and end with it", () =>
  withStore(async (store) => {
    const { task } = await working(store);
    for (let n = 0; n < 20; n += 1) {
      const delivery = await store.say(SHEET, task.id, `note ${n}`, NOW);
      assert.deepEqual(delivery, { state: "running", live: true });
    }
    await assert.rejects(store.say(SHEET, task.id, "one more", NOW), /20 messages wait for T1/);
    assert.equal((await store.takeMessages(by("s-1"), task.id, task.fence, NOW)).length, 20);
    await assert.rejects(store.takeMessages(by("s-2"), task.id, task.fence, NOW), /not held by this session/);
    await store.giveBack(task.id, task.fence, { why: "gone", failure: false }, NOW);
    assert.equal((await store.say(SHEET, task.id, "for the next", NOW)).live, false);
    const next = await held(store, "s-2", task.projectId);
    const told = await store.takeMessages(by("s-2"), task.id, next.fence, NOW);
    assert.deepEqual(
      [told.length, ...told.slice(-2)],
      [20, "note 19", "for the next"],
      "what an earlier session was told stays",
    );
    await store.giveBack(task.id, next.fence, { why: "gone", failure: false }, NOW);
    await store.say(SHEET, task.id, "too late", NOW);
    await store.cancelTask(SHEET, task.id, "no", NOW);
    await assert.rejects(store.say(SHEET, task.id, "x", NOW), /T1 is cancelled/);
    assert.deepEqual(await store.undelivered(9), [], "nobody waits for what was said about a task that has ended");
  }));
