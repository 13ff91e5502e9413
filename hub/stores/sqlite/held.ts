import { MINUTE } from "../../base/clock.ts";
import { StaleHolderError, UserInputError } from "../../base/errors.ts";
import { taskName } from "../../base/ids.ts";
import { backoffMs } from "../../base/service.ts";
import { SUPERVISOR, type Principal } from "../../base/session.ts";
import { isHeld, isMet } from "../../base/task.ts";
import { asksWhy, CANCEL_IT, howToAnswer, NOT_NOW, TRY_AGAIN, YES } from "../../queue/questions.ts";
import { and, eq, sql as drizzleSql } from "../drizzle.ts";
import * as schema from "../schema.ts";
import type { CheckRecord, Question } from "../store.ts";
import type { Core } from "./core.ts";
import type { Ready } from "./ready.ts";
import type { Rows, TaskRow } from "./rows.ts";
import { about, type Tasks } from "./tasks.ts";

/** Rounds of findings before the person is asked. */
const FINDINGS_LIMIT = 3;
/** Failures before a task is parked. */
const FAILURE_LIMIT = 5;
const FIRST_BACKOFF_MS = MINUTE;
const LONGEST_BACKOFF_MS = 15 * MINUTE;
const FINDINGS_BYTES = 16_000;

/** What a holder says and what is observed of a held task, inside a transaction. */
export interface Held {
  report(by: Principal, taskId: number, fence: number, progress: string, now: number): { messages: string[] };
  complete(
    by: Principal,
    taskId: number,
    fence: number,
    report: { summary: string; nextAction: string; output: string | null },
    now: number,
  ): TaskRow;
  block(by: Principal, taskId: number, fence: number, ask: { text: string; options: string[] }, now: number): Question;
  recordWorkspace(taskId: number, fence: number, workspace: { path: string; base: string }, now: number): boolean;
  recordCommit(taskId: number, fence: number, commits: { base: string; head: string }, now: number): boolean;
  recordCheck(check: CheckRecord): boolean;
  returnFindings(
    taskId: number,
    fence: number,
    findings: { source: "check" | "review" | "merge"; text: string },
    holderLives: boolean,
    now: number,
  ): boolean;
  toReview(taskId: number, fence: number, why: string, now: number): boolean;
  finish(
    taskId: number,
    fence: number,
    result: {
      integratedCommit: string | null;
      checked: "passed" | "unchecked";
      review: "approved" | "unreviewed" | null;
    },
    now: number,
  ): boolean;
  giveBack(taskId: number, fence: number, end: { why: string; failure: boolean }, now: number): boolean;
  takeMessages(by: Principal, taskId: number, fence: number, now: number): string[];
}

export function createHeld(core: Core, rows: Rows, ready: Ready, tasks: Tasks): Held {
  const { db, orm } = core;
  const sql = {
    messages: db.prepare(
      "SELECT id, text FROM messages WHERE task_id = ? AND delivered_at IS NULL ORDER BY id LIMIT 20",
    ),
    given: db
      .prepare(
        "SELECT text FROM (SELECT id, text FROM messages WHERE task_id = ? AND delivered_at IS NOT NULL ORDER BY id DESC LIMIT 20) ORDER BY id",
      )
      .pluck(),
    delivered: db.prepare("UPDATE messages SET delivered_at = ?, delivered_to = ? WHERE id = ?"),
    seen: db.prepare("UPDATE sessions SET last_seen_at = max(last_seen_at, ?) WHERE id = ?"),
    sessionDid: db.prepare("UPDATE sessions SET tasks_done = tasks_done + 1 WHERE id = ?"),
    projectProgress: db.prepare("UPDATE projects SET progress = ?, last_update_at = ? WHERE id = ?"),
    addCheck: db.prepare(
      'INSERT OR REPLACE INTO checks (task_id, fence, "commit", command, outcome, exit_code, tail, duration_ms, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    withdraw: db.prepare(
      "UPDATE questions SET state = 'withdrawn', answered_at = ? WHERE task_id = ? AND state = 'open'",
    ),
  };
  const openQuestion = orm
    .select()
    .from(schema.questions)
    .where(and(eq(schema.questions.taskId, drizzleSql.placeholder("taskId")), eq(schema.questions.state, "open")))
    .prepare();

  /** The task, if the caller is the session that holds (or held) this very fence. */
  function guard(by: Principal, taskId: number, fence: number): TaskRow {
    const task = rows.needTask(taskId);
    const name = taskName(taskId);
    if (by.sessionId === null)
      throw new UserInputError(`Only the session that claimed ${name} can do this. Call claim_next_task first.`);
    if (by.projectId !== null && by.projectId !== task.projectId)
      throw new UserInputError(
        `${name} belongs to another project than this session. Call claim_next_task for a task of yours.`,
      );
    if (task.sessionId !== by.sessionId) {
      throw new StaleHolderError(
        `${name} is not held by this session (any more). Stop working on it and do not call this again; call claim_next_task, and end if it says so.`,
      );
    }
    if (task.fence !== fence) {
      throw new UserInputError(
        `Fence ${fence} of ${name} is old: the task came back to you with findings. Call claim_next_task to get them and the new fence.`,
      );
    }
    return task;
  }

  function observed(taskId: number, fence: number): TaskRow | undefined {
    const task = rows.task(taskId);
    return task !== undefined && task.fence === fence && isHeld(task.state) ? task : undefined;
  }

  function takeMessages(task: TaskRow, sessionId: string | null, now: number): string[] {
    const messages = sql.messages.all(task.id) as { id: number; text: string }[];
    for (const message of messages) sql.delivered.run(now, sessionId, message.id);
    if (messages.length > 0)
      core.append(SUPERVISOR, "message_delivered", { ...about(task), sessionId }, { count: messages.length }, now);
    return messages.map(({ text }) => text);
  }

  function ask(
    question: Pick<Question, "projectId" | "taskId" | "sessionId" | "kind" | "text" | "options">,
    by: Principal,
    now: number,
  ): Question {
    const id = core.insert(schema.questions, { ...question, state: "open", askedAt: now });
    core.append(
      by,
      "question_asked",
      { projectId: question.projectId, taskId: question.taskId, sessionId: question.sessionId },
      { question: id, kind: question.kind, text: question.text.slice(0, 300) },
      now,
    );
    return { ...question, id, state: "open", answer: null, askedAt: now, answeredAt: null };
  }

  function block(
    by: Principal,
    taskId: number,
    fence: number,
    request: { text: string; options: string[] },
    now: number,
  ): Question {
    const task = guard(by, taskId, fence);
    const open = openQuestion.get({ taskId });
    if (task.state === "blocked" && open !== undefined) return open;
    if (task.state !== "running")
      throw new UserInputError(
        `${taskName(taskId)} is ${task.state}: there is nothing to block. Wait for its check with get_result.`,
      );
    // What the hub asks itself, it acts on: its question is of the kind that "Cancel it" cancels.
    const kind = by.name === SUPERVISOR.name ? "parked" : "agent";
    const question = ask({ projectId: task.projectId, taskId, sessionId: by.sessionId, kind, ...request }, by, now);
    tasks.move(task, "block", { why: asksWhy(question.id, request.text) }, now);
    const why = kind === "agent" ? "agent" : request.text.slice(0, 300);
    core.append(by, "task_blocked", about(task), { why }, now);
    return question;
  }

  function returnFindings(
    taskId: number,
    fence: number,
    findings: { source: "check" | "review" | "merge"; text: string },
    holderLives: boolean,
    now: number,
  ): boolean {
    const task = observed(taskId, fence);
    if (task === undefined || task.state === "running") return false;
    const rounds = task.rounds + 1;
    const text = findings.text.slice(-FINDINGS_BYTES);
    const lane = ready.laneId(rows.needProject(task.projectId).lane);
    const changes = {
      rounds,
      findings: text,
      checked: findings.source === "check" ? ("failed" as const) : task.checked,
      fence: task.fence + 1,
    };
    core.append(
      SUPERVISOR,
      "task_findings",
      { ...about(task), sessionId: task.sessionId },
      { source: findings.source, rounds },
      now,
    );
    if (rounds >= FINDINGS_LIMIT) {
      const why = `came back ${rounds} times; the last: ${firstLine(findings.text)}`;
      const question = ask(
        {
          projectId: task.projectId,
          taskId,
          sessionId: task.sessionId,
          kind: "findings",
          text: `${taskName(taskId)} ${why}`,
          options: [TRY_AGAIN, CANCEL_IT],
        },
        SUPERVISOR,
        now,
      );
      tasks.move(task, "block", { ...changes, why: `${why}; ${howToAnswer(question.id)}` }, now);
      core.append(SUPERVISOR, "task_blocked", about(task), { why }, now);
      return true;
    }
    const holder = ready.holder(lane);
    if (holderLives && (holder === null || holder === task.sessionId)) {
      tasks.move(task, "findings", { ...changes, why: `being mended: ${firstLine(findings.text)}` }, now);
      if (holder === null) ready.hold(lane, task.sessionId);
      return true;
    }
    tasks.move(
      task,
      "give_back",
      {
        ...changes,
        sessionId: null,
        front: true,
        why: `goes to the next session to be mended: ${firstLine(findings.text)}`,
      },
      now,
    );
    return true;
  }

  function finish(taskId: number, fence: number, result: Parameters<Held["finish"]>[2], now: number): boolean {
    const task = observed(taskId, fence);
    if (task === undefined || task.state === "running") return false;
    const words = [
      result.checked === "unchecked" ? "unchecked" : "",
      result.review === "unreviewed" ? "unreviewed" : "",
    ].filter((word) => word !== "");
    tasks.move(
      task,
      "finish",
      { ...result, findings: null, why: words.join(", "), completedAt: now, rankDueAt: null },
      now,
    );
    if (task.sessionId !== null) sql.sessionDid.run(task.sessionId);
    sql.withdraw.run(now, taskId);
    sql.projectProgress.run(task.summary ?? task.progress, now, task.projectId);
    core.append(
      SUPERVISOR,
      "task_done",
      { ...about(task), sessionId: task.sessionId },
      { commit: result.integratedCommit, checked: result.checked, review: result.review },
      now,
    );
    closeTheLoop(rows.needTask(taskId), now);
    return true;
  }

  /** The next action that a Next Action task states is asked about, or queued where the project is on `auto`. */
  function closeTheLoop(task: TaskRow, now: number): void {
    const stated = task.statedNext?.trim() ?? "";
    if (task.origin !== "next_action" || stated === "") return;
    const project = rows.needProject(task.projectId);
    // Only while the cell still holds the text that was consumed: newer words of the person stay.
    if (project.nextAction.trim() === project.consumedAction) {
      core.update(schema.projects, project.id, { nextAction: stated, consumedAction: stated, updatedAt: now });
      core.append(SUPERVISOR, "project_changed", { projectId: project.id }, { changed: ["nextAction"] }, now);
    } else return;
    if (project.autonomy === "auto") {
      tasks.add(SUPERVISOR, { projectId: project.id, description: stated, origin: "next_action" }, now);
      return;
    }
    ask(
      {
        projectId: project.id,
        // The task that stated it: wanting that one again takes the question back.
        taskId: task.id,
        sessionId: null,
        kind: "next_action",
        text: `Go on in ${project.name} with: ${stated}`,
        options: [YES, NOT_NOW],
      },
      SUPERVISOR,
      now,
    );
  }

  function giveBack(taskId: number, fence: number, end: { why: string; failure: boolean }, now: number): boolean {
    const task = observed(taskId, fence);
    if (task === undefined) return false;
    if (!end.failure) {
      tasks.move(task, "give_back", { sessionId: null, why: end.why }, now);
      core.append(SUPERVISOR, "task_requeued", { ...about(task), sessionId: task.sessionId }, { why: end.why }, now);
      return true;
    }
    const failures = task.failures + 1;
    if (failures >= FAILURE_LIMIT) {
      const why = `parked after ${failures} failures; the last: ${end.why}`;
      const question = ask(
        {
          projectId: task.projectId,
          taskId,
          sessionId: task.sessionId,
          kind: "parked",
          text: `${taskName(taskId)} is ${why}.`,
          options: [TRY_AGAIN, CANCEL_IT],
        },
        SUPERVISOR,
        now,
      );
      tasks.move(task, "block", { failures, why: `${why}; ${howToAnswer(question.id)}` }, now);
      core.append(SUPERVISOR, "task_blocked", about(task), { why }, now);
      return true;
    }
    const waitUntil = now + backoffMs(failures, FIRST_BACKOFF_MS, LONGEST_BACKOFF_MS);
    const why = `failure ${failures} of ${FAILURE_LIMIT}: ${end.why}`;
    tasks.move(task, "wait", { failures, sessionId: null, waitReason: "backoff", waitUntil, why }, now);
    core.append(
      SUPERVISOR,
      "task_waiting",
      { ...about(task), sessionId: task.sessionId },
      { reason: "backoff", until: waitUntil, why },
      now,
    );
    return true;
  }

  return {
    block,
    returnFindings,
    finish,
    giveBack,
    report(by, taskId, fence, progress, now) {
      const task = guard(by, taskId, fence);
      if (task.state !== "running")
        throw new UserInputError(
          `${taskName(taskId)} is ${task.state}; there is nothing to report. Wait for its check with get_result.`,
        );
      const text = progress.trim().slice(0, 2_000);
      sql.seen.run(now, by.sessionId);
      if (text !== task.progress) {
        core.update(schema.tasks, taskId, { progress: text, updatedAt: now });
        sql.projectProgress.run(text, now, task.projectId);
        core.append(by, "task_progress", about(task), { text: text.slice(0, 500) }, now);
      }
      return { messages: takeMessages(task, by.sessionId, now) };
    },
    takeMessages(by, taskId, fence, now) {
      const task = guard(by, taskId, fence);
      const before = sql.given.all(taskId) as string[];
      return [...before, ...takeMessages(task, by.sessionId, now)].slice(-20);
    },
    complete(by, taskId, fence, report, now) {
      const task = guard(by, taskId, fence);
      sql.seen.run(now, by.sessionId);
      if (task.state !== "running") {
        if (isHeld(task.state) || isMet(task.state)) return task;
        throw new UserInputError(
          `${taskName(taskId)} is ${task.state}; it cannot be completed now. Call claim_next_task.`,
        );
      }
      const after = tasks.move(
        task,
        "complete",
        {
          summary: report.summary.slice(0, 4_000),
          statedNext: report.nextAction.slice(0, 2_000),
          output: report.output ?? task.output,
          why: "being checked",
          checked: null,
          review: null,
        },
        now,
      );
      core.append(by, "task_completed", about(task), { summary: report.summary.slice(0, 500) }, now);
      return after;
    },
    recordWorkspace(taskId, fence, { path, base }, now) {
      const task = observed(taskId, fence);
      if (task === undefined) return false;
      core.update(schema.tasks, taskId, { workspace: path, baseCommit: base, updatedAt: now });
      core.append(
        SUPERVISOR,
        "task_changed",
        { ...about(task), sessionId: task.sessionId },
        { changed: ["workspace"] },
        now,
      );
      return true;
    },
    recordCommit(taskId, fence, { base, head }, now) {
      if (observed(taskId, fence) === undefined) return false;
      core.update(schema.tasks, taskId, { baseCommit: base, headCommit: head, updatedAt: now });
      return true;
    },
    recordCheck(check) {
      const task = observed(check.taskId, check.fence);
      if (task === undefined) return false;
      sql.addCheck.run(
        check.taskId,
        check.fence,
        check.commit,
        check.command,
        check.outcome,
        check.exitCode,
        check.tail.slice(-4_000),
        check.durationMs,
        check.at,
      );
      const checked = check.outcome === "passed" ? "passed" : check.outcome === "unchecked" ? "unchecked" : "failed";
      core.update(schema.tasks, check.taskId, { checked, updatedAt: check.at });
      core.append(
        SUPERVISOR,
        "task_checked",
        { ...about(task), sessionId: task.sessionId },
        { outcome: check.outcome, exitCode: check.exitCode, commit: check.commit },
        check.at,
      );
      return true;
    },
    toReview(taskId, fence, why, now) {
      const task = observed(taskId, fence);
      if (task === undefined || task.state !== "checking") return false;
      tasks.move(task, "review", { why }, now);
      // A review may take days; the lane goes on meanwhile.
      const lane = ready.laneId(rows.needProject(task.projectId).lane);
      if (ready.holder(lane) === task.sessionId) ready.hold(lane, null);
      return true;
    },
  };
}

function firstLine(text: string): string {
  return (text.split("\n")[0] ?? "").slice(0, 200);
}
