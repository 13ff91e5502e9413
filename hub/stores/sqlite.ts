import { Worker } from "node:worker_threads";
import type Database from "better-sqlite3";
import { SUPERVISOR } from "../base/session.ts";
import type { Task } from "../base/task.ts";
import { openDatabase, type OpenOptions } from "./open.ts";
import { createClaims } from "./sqlite/claim.ts";
import { createCore, type Core } from "./sqlite/core.ts";
import { createHeld } from "./sqlite/held.ts";
import { createProjects, toProject } from "./sqlite/projects.ts";
import { createMessages } from "./sqlite/messages.ts";
import { createQuestions } from "./sqlite/questions.ts";
import { createReady, type Ready } from "./sqlite/ready.ts";
import { createRecords } from "./sqlite/records.ts";
import { createRows, toTask, type Rows, type SessionRow } from "./sqlite/rows.ts";
import { createSessions } from "./sqlite/sessions.ts";
import { createSheetRecords } from "./sqlite/sheet.ts";
import { createTaskList } from "./sqlite/task-list.ts";
import { about, createTasks, type Tasks } from "./sqlite/tasks.ts";
import type { Store } from "./store.ts";
import * as schema from "./schema.ts";
import type { Session } from "../base/session.ts";

const CHECKPOINT_WORKER = new URL("./checkpoint-worker.ts", import.meta.url);

export interface SqliteOptions extends OpenOptions {
  /** The database file, or `:memory:`. */
  path: string;
}

/**
 * The store on SQLite. Opens and migrates the file; see `openDatabase` for what it refuses.
 * Each method is one transaction on this connection, without awaiting inside it.
 */
export function openSqliteStore(options: SqliteOptions): Store {
  const db = openDatabase(options.path, options);
  return createStore(db, options.path);
}

function createStore(db: Database.Database, path: string): Store {
  const core = createCore(db);
  const rows = createRows(core);
  const ready = createReady(core, rows);
  const tasks = createTasks(core, rows, ready);
  const projects = createProjects(core, rows, ready, (by, project, text, now) => {
    tasks.add(by, { projectId: project.id, description: text, origin: "next_action" }, now);
    // Newer words of the person have answered what was asked about the older ones.
    questions.withdrawNextAction(project.id, now);
  });
  const questions = createQuestions(core, rows, tasks);
  const messages = createMessages(core, rows);
  const claims = createClaims(core, rows, ready);
  const held = createHeld(core, rows, ready, tasks);
  const sessions = createSessions(core, rows);
  const records = createRecords(core);
  const sheet = createSheetRecords(core, rows, projects, tasks);
  const list = createTaskList(core);
  const due = createDue(core, rows, ready, tasks);
  const { write } = core;

  return {
    onEvents: core.onEvents,
    async backup(target) {
      db.prepare("VACUUM INTO ?").run(target);
    },
    checkpoint: () => checkpoint(path),
    close: () => void db.close(),

    addProject: (by, input, now) => write(() => toProject(projects.add(by, input, now))),
    changeProject: (by, id, changes, now) => write(() => toProject(projects.change(by, id, changes, now))),
    project: async (id) => optional(rows.project(id), toProject),
    projects: async (filter) => projects.all(filter?.archived ?? false).map(toProject),
    findProject: async (name) => optional(projects.find(name), toProject),
    counts: async () => projects.counts(),

    addTask: (by, input, now, key) => write(() => toTask(tasks.add(by, input, now, key))),
    changeTask: (by, id, changes, now) => write(() => toTask(tasks.change(by, id, changes, now))),
    cancelTask: (by, id, why, now) => write(() => toTask(tasks.cancel(by, id, why, now))),
    reopenTask: (by, id, why, now) => write(() => toTask(tasks.reopen(by, id, why, now))),
    task: async (id) => optional(rows.task(id), toTask),
    findTask: async (name) => optional(tasks.find(name), toTask),
    tasks: async (filter) => list(filter ?? {}),

    readyHeads: async (agents, limit) => claims.heads(agents, limit),
    reserve: (taskId, session, now) => write(() => claims.reserve(taskId, session, now)),
    unreserve: (sessionId, why, now) => write(() => claims.unreserve(sessionId, why, now)),
    claim: (sessionId, now) => write(() => claims.claim(sessionId, now)),
    reportProgress: (by, taskId, fence, progress, now) =>
      write(() => held.report(by, taskId, fence, progress, now), "later"),
    takeMessages: (by, taskId, fence, now) => write(() => held.takeMessages(by, taskId, fence, now)),
    complete: (by, taskId, fence, report, now) => write(() => toTask(held.complete(by, taskId, fence, report, now))),
    block: (by, taskId, fence, ask, now) => write(() => held.block(by, taskId, fence, ask, now)),
    recordWorkspace: (taskId, fence, workspace, now) =>
      write(() => held.recordWorkspace(taskId, fence, workspace, now)),
    recordCommit: (taskId, fence, commits, now) => write(() => held.recordCommit(taskId, fence, commits, now)),
    recordCheck: (check) => write(() => held.recordCheck(check)),
    returnFindings: (taskId, fence, findings, holderLives, now) =>
      write(() => held.returnFindings(taskId, fence, findings, holderLives, now)),
    toReview: (taskId, fence, why, now) => write(() => held.toReview(taskId, fence, why, now)),
    finish: (taskId, fence, result, now) => write(() => held.finish(taskId, fence, result, now)),
    giveBack: (taskId, fence, end, now) => write(() => held.giveBack(taskId, fence, end, now)),
    wait: (taskId, wait, now) => write(() => due.wait(taskId, wait, now)),
    explain: (notes, now) => write(() => due.explain(notes, now)),
    applyDue: (now) => write(() => due.apply(now)),
    nextDue: async () => due.next(),
    setAgents: (agents, now) =>
      write(() => {
        // Ready rows are kept in step by every change: only other agents make them wrong.
        if (ready.setAgents(agents)) for (const project of projects.all(true)) ready.refreshProject(project.id, now);
      }),
    checks: async (taskId) => records.checks(taskId),

    issueToken: (by, hash, grant, now) => write(() => sessions.issue(by, hash, grant, now)),
    principalOf: async (hash, now) => sessions.principalOf(hash, now),
    revokeToken: (by, id, now) => write(() => sessions.revoke(by, id, now)),
    openSession: (session, now) => write(() => toSession(sessions.open(session, now))),
    sessionRuns: (id, handle, now) => write(() => sessions.runs(id, handle, now)),
    sessionSeen: (id, now) => write(() => sessions.seen(id, now), "later"),
    endSession: (id, end, now) => write(() => sessions.end(id, end, now)),
    session: async (id) => optional(rows.session(id), toSession),
    liveSessions: async () => sessions.live().map(toSession),
    recentSessions: async (limit) => sessions.recent(limit).map(toSession),

    writeContinuation: (by, input, now) => write(() => records.writeContinuation(by, input, now)),
    latestContinuation: async (projectId) => records.latestContinuation(projectId),
    openQuestions: async () => questions.open(),
    question: async (id) => questions.one(id),
    answerQuestion: (by, id, answer, now) =>
      write(() => {
        const { question, task } = questions.answer(by, id, answer, now);
        return { question, task: task === undefined ? null : toTask(task) };
      }),
    answers: async (taskId, limit) => questions.answers(taskId, limit),
    say: (by, taskId, text, now) => write(() => messages.say(by, taskId, text, now)),
    messages: async (taskId, limit) => messages.of(taskId, limit),
    undelivered: async (limit) => messages.undelivered(limit),
    addArtefact: (artefact) => write(() => void core.insert(schema.artefacts, artefact)),
    artefacts: async (taskId) => records.artefacts(taskId),
    note: (by, { kind, data, projectId = null, taskId = null, sessionId = null }, now) =>
      write(() => core.append(by, kind, { projectId, taskId, sessionId }, data, now)),
    eventsAfter: async (seq, limit) => records.eventsAfter(seq, limit),
    recentEvents: async (filter) => records.recentEvents(filter),
    lastSeq: async () => records.lastSeq(),

    agreedRows: async () => sheet.agreedRows(),
    sheetRev: async () => sheet.rev(),
    applySheet: (changes, now) => write(() => sheet.apply(changes, now)),
  };
}

/** What time brings: waits that are over and bands that change. */
function createDue(core: Core, rows: Rows, ready: Ready, tasks: Tasks) {
  const { db } = core;
  const sql = {
    waits: db
      .prepare(
        "SELECT id FROM tasks WHERE state = 'waiting' AND wait_until IS NOT NULL AND wait_until <= ? ORDER BY wait_until LIMIT 1000",
      )
      .pluck(),
    ranks: db
      .prepare(
        "SELECT id FROM tasks WHERE rank_due_at IS NOT NULL AND rank_due_at <= ? ORDER BY rank_due_at LIMIT 1000",
      )
      .pluck(),
    boosts: db.prepare("SELECT id FROM projects WHERE boost_due_at IS NOT NULL AND boost_due_at <= ?").pluck(),
    next: db
      .prepare(
        "SELECT min(at) FROM (SELECT min(wait_until) AS at FROM tasks WHERE state = 'waiting' AND wait_until IS NOT NULL " +
          "UNION ALL SELECT min(rank_due_at) FROM tasks WHERE rank_due_at IS NOT NULL UNION ALL SELECT min(boost_due_at) FROM projects WHERE boost_due_at IS NOT NULL)",
      )
      .pluck(),
    explain: db
      .prepare(
        "UPDATE tasks SET why = ? WHERE id = ? AND why <> ? AND state = 'queued' AND reserved_for IS NULL RETURNING project_id",
      )
      .pluck(),
  };
  return {
    wait(
      taskId: number,
      wait: { reason: Task["waitReason"]; until: number | null; why: string },
      now: number,
    ): boolean {
      const task = rows.needTask(taskId);
      if (task.state === "waiting" && task.waitReason === wait.reason && task.waitUntil === wait.until) return false;
      const changes = {
        waitReason: wait.reason,
        waitUntil: wait.until,
        why: wait.why,
        reservedFor: null,
        sessionId: null,
      };
      tasks.move(task, "wait", changes, now);
      core.append(SUPERVISOR, "task_waiting", { ...about(task), sessionId: task.sessionId }, { ...wait }, now);
      return true;
    },
    explain(notes: { taskId: number; why: string }[], now: number): void {
      for (const { taskId, why } of notes) {
        const projectId = sql.explain.get(why, taskId, why) as number | undefined;
        if (projectId !== undefined)
          core.append(SUPERVISOR, "task_changed", { projectId, taskId }, { changed: ["why"] }, now);
      }
    },
    apply(now: number): number {
      const waits = sql.waits.all(now) as number[];
      for (const id of waits) {
        const task = rows.needTask(id);
        tasks.move(task, "wake", { waitReason: null, waitUntil: null, why: "" }, now);
        core.append(SUPERVISOR, "task_woken", about(task), { reason: task.waitReason }, now);
      }
      const boosts = sql.boosts.all(now) as number[];
      for (const id of boosts) ready.refreshProject(id, now);
      const ranks = sql.ranks.all(now) as number[];
      for (const id of ranks) ready.refreshTask(id, now);
      return waits.length + boosts.length + ranks.length;
    },
    next: () => (sql.next.get() as number | null) ?? undefined,
  };
}

function optional<Row, Value>(row: Row | undefined, map: (row: Row) => Value): Value | undefined {
  return row === undefined ? undefined : map(row);
}

function toSession(row: SessionRow): Session {
  return row;
}

/** Runs on a thread of its own, so that no call waits for it. Nothing to do for a database in memory. */
function checkpoint(path: string): Promise<void> {
  if (path === ":memory:") return Promise.resolve();
  return new Promise((resolve, reject) => {
    const worker = new Worker(CHECKPOINT_WORKER, { workerData: { path } });
    worker.once("error", reject);
    worker.once("exit", () => resolve());
  });
}
