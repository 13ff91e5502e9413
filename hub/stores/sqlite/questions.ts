import { UserInputError } from "../../base/errors.ts";
import { questionName } from "../../base/ids.ts";
import type { Principal } from "../../base/session.ts";
import { ANSWER_LIMIT, answerWords, CANCEL_IT, NOT_NOW, YES } from "../../queue/questions.ts";
import { and, asc, desc, eq, sql } from "../drizzle.ts";
import * as schema from "../schema.ts";
import type { Question } from "../store.ts";
import type { Core } from "./core.ts";
import type { Rows, TaskRow } from "./rows.ts";
import type { Tasks } from "./tasks.ts";

/** Questions and their answers, inside a transaction where they write. Asking is the holder's business. */
export interface Questions {
  open(): Question[];
  one(id: number): Question | undefined;
  answers(taskId: number, limit: number): Question[];
  answer(by: Principal, id: number, answer: string, now: number): { question: Question; task: TaskRow | undefined };
  /** Takes back what was asked about a project's next action. */
  withdrawNextAction(projectId: number, now: number): void;
}

export function createQuestions(core: Core, rows: Rows, tasks: Tasks): Questions {
  const { db, orm } = core;
  const { questions } = schema;
  const place = sql.placeholder;
  const statements = {
    open: orm
      .select()
      .from(questions)
      .where(eq(questions.state, "open"))
      .orderBy(asc(questions.askedAt), asc(questions.id))
      .prepare(),
    one: orm
      .select()
      .from(questions)
      .where(eq(questions.id, place("id")))
      .prepare(),
    answers: orm
      .select()
      .from(questions)
      .where(and(eq(questions.taskId, place("taskId")), eq(questions.state, "answered")))
      .orderBy(desc(questions.answeredAt), desc(questions.id))
      .limit(place("limit"))
      .prepare(),
    withdrawNextAction: db.prepare(
      "UPDATE questions SET state = 'withdrawn', answered_at = ? WHERE project_id = ? AND kind = 'next_action' AND state = 'open'",
    ),
  };
  const one = (id: number) => statements.one.get({ id });

  function answer(by: Principal, id: number, given: string, now: number) {
    const question = one(id);
    const name = questionName(id);
    if (question === undefined || (by.projectId !== null && by.projectId !== question.projectId))
      throw new UserInputError(`There is no question ${name}. Call whats_next to see the open ones.`);
    const words = answerWords(question.options, given);
    if (words === "" || words.length > ANSWER_LIMIT)
      throw new UserInputError(`An answer has 1 to ${ANSWER_LIMIT} characters.`);
    if (question.state === "withdrawn")
      throw new UserInputError(`${name} was taken back, since its task has moved on: there is nothing to answer.`);
    if (question.state === "answered") {
      if (question.answer === words) return { question, task: became(question, words) };
      throw new UserInputError(
        `${name} is answered already, with ${JSON.stringify((question.answer ?? "").slice(0, 200))}. Steer the task to say more.`,
      );
    }
    core.update(questions, id, { state: "answered", answer: words, answeredAt: now });
    const { projectId, taskId } = question;
    core.append(by, "question_answered", { projectId, taskId }, { question: id, text: words.slice(0, 500) }, now);
    const task = question.kind === "next_action" ? goOn(by, question, words, now) : settle(by, question, words, now);
    return { question: { ...question, state: "answered" as const, answer: words, answeredAt: now }, task };
  }

  /** The task that an answer was about, for who gives the same answer again. */
  function became(question: Question, words: string): TaskRow | undefined {
    if (question.kind !== "next_action") return question.taskId === null ? undefined : rows.task(question.taskId);
    return words === NOT_NOW ? undefined : tasks.ofCall(keyOf(question));
  }

  function settle(by: Principal, question: Question, words: string, now: number): TaskRow | undefined {
    const task = question.taskId === null ? undefined : rows.task(question.taskId);
    if (task === undefined) return undefined;
    const name = questionName(question.id);
    const asked = question.kind !== "agent";
    if (asked && words === CANCEL_IT) return tasks.cancel(by, task.id, `cancelled by the answer to ${name}`, now);
    // One that goes on already, since something else moved it, is told with its next claim.
    if (task.state !== "blocked") return task;
    return tasks.wake(by, task, { why: `${name} is answered`, fresh: asked }, now);
  }

  /** "Yes" queues the next action as it was stated, other words queue these and reach its cell. */
  function goOn(by: Principal, question: Question, words: string, now: number): TaskRow | undefined {
    if (words === NOT_NOW) return undefined;
    const project = rows.needProject(question.projectId);
    const stated = question.taskId === null ? null : (rows.task(question.taskId)?.statedNext?.trim() ?? null);
    const description = words === YES ? (stated ?? question.text) : words;
    if (words !== YES && words !== project.consumedAction) {
      core.update(schema.projects, project.id, { nextAction: words, consumedAction: words, updatedAt: now });
      core.append(by, "project_changed", { projectId: project.id }, { changed: ["nextAction"] }, now);
    }
    return tasks.add(by, { projectId: project.id, description, origin: "next_action" }, now, keyOf(question));
  }

  return {
    open: () => statements.open.all(),
    one,
    answers: (taskId, limit) => statements.answers.all({ taskId, limit }),
    answer,
    withdrawNextAction: (projectId, now) => void statements.withdrawNextAction.run(now, projectId),
  };
}

function keyOf(question: Question): string {
  return `question ${question.id}`;
}
