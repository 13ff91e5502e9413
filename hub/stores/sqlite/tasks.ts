import { UserInputError } from "../../base/errors.ts";
import { parseTaskName, taskName } from "../../base/ids.ts";
import type { Principal } from "../../base/session.ts";
import { isHeld, isMet, nextState, type TaskEvent, type TaskState } from "../../base/task.ts";
import { dependencyNames, findCycle } from "../../queue/dependencies.ts";
import * as schema from "../schema.ts";
import type { NewTask, TaskChanges } from "../store.ts";
import type { Core } from "./core.ts";
import type { Ready } from "./ready.ts";
import type { Rows, TaskRow } from "./rows.ts";

const DESCRIPTION_LIMIT = 20_000;
/** Open tasks one project may have; more is a runaway. */
const OPEN_TASK_LIMIT = 100_000;

/** Tasks inside a transaction: adding, changing, and the one place where a state changes. */
export interface Tasks {
  add(by: Principal, input: NewTask, now: number, key?: string): TaskRow;
  change(by: Principal, id: number, changes: TaskChanges, now: number): TaskRow;
  cancel(by: Principal, id: number, why: string, now: number): TaskRow;
  reopen(by: Principal, id: number, why: string, now: number): TaskRow;
  find(name: string): TaskRow | undefined;
  /** The task that a repeatable call made; see `add`. */
  ofCall(key: string): TaskRow | undefined;
  /** A blocked task goes on, before the others of its band; `fresh` makes its failures and rounds count from zero. */
  wake(by: Principal, task: TaskRow, wake: { why: string; fresh: boolean }, now: number): TaskRow;
  /** Applies `event` with `changes`, keeps ready rows, lane and dependents in step. Throws when it is not allowed. */
  move(task: TaskRow, event: TaskEvent, changes: Partial<TaskRow>, now: number): TaskRow;
  /** Frees the task's session and lane. */
  letGo(task: TaskRow): void;
}

export function createTasks(core: Core, rows: Rows, ready: Ready): Tasks {
  const { db } = core;
  const sql = {
    byAlias: db.prepare("SELECT id FROM tasks WHERE alias = ? COLLATE NOCASE ORDER BY id DESC LIMIT 1").pluck(),
    known: db.prepare("SELECT task_id FROM calls WHERE key = ?").pluck(),
    remember: db.prepare("INSERT INTO calls (key, task_id, at) VALUES (?, ?, ?)"),
    on: db.prepare("SELECT on_task_id FROM dependencies WHERE task_id = ?").pluck(),
    clearDependencies: db.prepare("DELETE FROM dependencies WHERE task_id = ?"),
    addDependency: db.prepare("INSERT OR IGNORE INTO dependencies VALUES (?, ?, ?)"),
    unmet: db.prepare("SELECT on_task_id FROM dependencies WHERE task_id = ? AND met = 0 ORDER BY on_task_id").pluck(),
    dependents: db.prepare("SELECT task_id FROM dependencies WHERE on_task_id = ? AND met = ?").pluck(),
    setMet: db.prepare("UPDATE dependencies SET met = ? WHERE on_task_id = ?"),
    problems: db.prepare("SELECT id FROM tasks WHERE dependency_problem = 1").pluck(),
    sessionLets: db.prepare("UPDATE sessions SET task_id = NULL WHERE id = ? AND task_id = ?"),
    asked: db.prepare("SELECT 1 FROM questions WHERE task_id = ? AND state = 'open'").pluck(),
    withdraw: db.prepare(
      "UPDATE questions SET state = 'withdrawn', answered_at = ? WHERE task_id = ? AND state = 'open'",
    ),
  };

  function find(name: string): TaskRow | undefined {
    const text = name.trim();
    const alias = text === "" ? undefined : (sql.byAlias.get(text) as number | undefined);
    const id = alias ?? parseTaskName(text);
    return id === undefined ? undefined : rows.task(id);
  }

  function add(by: Principal, input: NewTask, now: number, key?: string): TaskRow {
    const known = key === undefined ? undefined : (sql.known.get(key) as number | undefined);
    if (known !== undefined) return rows.needTask(known);
    const description = checkDescription(input.description);
    const project = rows.needProject(input.projectId);
    let open = 0;
    for (const [state, n] of ready.counts(project.id))
      if (state === "queued" || state === "waiting" || state === "blocked") open += n;
    if (open >= OPEN_TASK_LIMIT)
      throw new UserInputError(
        `Project "${project.name}" has ${open} open tasks; finish or cancel some before adding more.`,
      );
    const id = core.insert(schema.tasks, {
      projectId: project.id,
      alias: input.alias ?? null,
      description,
      type: input.type ?? "implementation",
      complexity: input.complexity ?? "medium",
      priority: checkPriority(input.priority ?? null),
      wantedAgent: input.wantedAgent ?? null,
      state: "queued" satisfies TaskState,
      band: input.priority ?? project.priority,
      origin: input.origin,
      dependsOn: input.dependsOn ?? "",
      createdAt: now,
      updatedAt: now,
    });
    if (key !== undefined) sql.remember.run(key, id, now);
    core.append(by, "task_added", { projectId: project.id, taskId: id }, { origin: input.origin }, now);
    if (input.dependsOn !== undefined && input.dependsOn !== "") resolveDependencies(id, now);
    ready.refreshTask(id, now);
    ready.workChanged(project.id, now);
    // Rows of one sheet may name tasks that stand further down.
    resolveProblems(id, now);
    return rows.needTask(id);
  }

  function resolveProblems(except: number, now: number): void {
    for (const other of sql.problems.all() as number[]) if (other !== except) resolveDependencies(other, now);
  }

  /** What a task stands on; one with a problem has no rows, so its text says it. */
  function standsOn(id: number): number[] {
    const task = rows.needTask(id);
    if (!task.dependencyProblem) return sql.on.all(id) as number[];
    return dependencyNames(task.dependsOn).flatMap((name) => find(name)?.id ?? []);
  }

  /** Reads Depends On anew: sets the rows and the counter, and moves the task between queued, waiting and blocked. */
  function resolveDependencies(id: number, now: number): void {
    const task = rows.needTask(id);
    const found = dependencyNames(task.dependsOn).map((name) => ({ name, task: find(name) }));
    const missing = found.filter((entry) => entry.task === undefined).map((entry) => entry.name);
    const on = found.flatMap((entry) => (entry.task === undefined ? [] : [entry.task]));
    const cycle = findCycle(
      id,
      on.map((other) => other.id),
      standsOn,
    );
    const problem = dependencyProblem(missing, cycle);
    sql.clearDependencies.run(id);
    if (problem === undefined) for (const other of on) sql.addDependency.run(id, other.id, isMet(other.state) ? 1 : 0);
    const unmet = sql.unmet.all(id) as number[];
    core.update(schema.tasks, id, { openDependencies: unmet.length, dependencyProblem: problem !== undefined });
    // Whoever else is on the circle must say so as well.
    for (const other of cycle ?? []) if (!rows.needTask(other).dependencyProblem) resolveDependencies(other, now);
    if (isHeld(task.state)) return;
    if (problem !== undefined) {
      if (task.state === "blocked" && task.dependencyProblem && task.why !== problem)
        core.update(schema.tasks, id, { why: problem, updatedAt: now });
      if (task.state === "queued" || task.state === "waiting")
        move(rows.needTask(id), "block", { why: problem, waitReason: null, waitUntil: null, reservedFor: null }, now);
    } else if (unmet.length > 0) {
      if (task.state === "queued" || task.dependencyProblem || task.waitReason === "dependency") {
        move(
          rows.needTask(id),
          "wait",
          { waitReason: "dependency", waitUntil: null, why: waitsFor(unmet), reservedFor: null },
          now,
        );
      }
    } else if (
      task.waitReason === "dependency" ||
      (task.dependencyProblem && task.state === "blocked" && sql.asked.get(id) === undefined)
    ) {
      move(rows.needTask(id), "wake", { waitReason: null, waitUntil: null, why: "" }, now);
    }
  }

  function change(by: Principal, id: number, changes: TaskChanges, now: number): TaskRow {
    const before = rows.needTask(id);
    if (changes.description !== undefined) changes = { ...changes, description: checkDescription(changes.description) };
    if (changes.priority !== undefined) checkPriority(changes.priority);
    const differing = Object.entries(changes).filter(
      ([key, value]) => value !== undefined && before[key as keyof TaskRow] !== value,
    );
    if (differing.length === 0) return before;
    core.update(schema.tasks, id, { ...Object.fromEntries(differing), updatedAt: now });
    core.append(by, "task_changed", about(before), { changed: differing.map(([key]) => key) }, now);
    if (changes.dependsOn !== undefined) resolveDependencies(id, now);
    if (changes.dependsOn !== undefined || changes.alias !== undefined) resolveProblems(id, now);
    ready.refreshTask(id, now);
    if (changes.complexity !== undefined) ready.workChanged(before.projectId, now);
    return rows.needTask(id);
  }

  function cancel(by: Principal, id: number, why: string, now: number): TaskRow {
    const task = rows.needTask(id);
    if (task.state === "cancelled") return task;
    if (isHeld(task.state)) {
      throw new UserInputError(`T${id} is being worked on (${task.state}); stop its session first, then cancel it.`);
    }
    const after = move(
      task,
      "cancel",
      { why, reservedFor: null, waitReason: null, waitUntil: null, completedAt: now },
      now,
    );
    sql.withdraw.run(now, id);
    core.append(by, "task_cancelled", about(task), { why }, now);
    return after;
  }

  function reopen(by: Principal, id: number, why: string, now: number): TaskRow {
    const task = rows.needTask(id);
    const event: TaskEvent = task.state === "blocked" || task.state === "waiting" ? "wake" : "reopen";
    const fresh = {
      failures: 0,
      rounds: 0,
      waitReason: null,
      waitUntil: null,
      why: "",
      front: true,
      completedAt: null,
    };
    const after = move(
      task,
      event,
      { ...fresh, sessionId: null, checked: null, review: null, integratedCommit: null },
      now,
    );
    sql.withdraw.run(now, id);
    core.append(by, "task_reopened", about(task), { why }, now);
    return after;
  }

  function wake(by: Principal, task: TaskRow, { why, fresh }: { why: string; fresh: boolean }, now: number): TaskRow {
    const counters = fresh ? { failures: 0, rounds: 0 } : {};
    const after = move(
      task,
      "wake",
      {
        ...counters,
        sessionId: null,
        front: true,
        waitReason: null,
        waitUntil: null,
        why,
        checked: null,
        review: null,
      },
      now,
    );
    core.append(by, "task_woken", about(task), { why }, now);
    return after;
  }

  function move(task: TaskRow, event: TaskEvent, changes: Partial<TaskRow>, now: number): TaskRow {
    const next = nextState(task.state, event);
    // What it stands on may have been wanted again while it was held or waited: then it waits for that.
    const unmet = next === "queued" ? (sql.unmet.all(task.id) as number[]) : [];
    const state = unmet.length > 0 ? "waiting" : next;
    if (unmet.length > 0)
      changes = { ...changes, waitReason: "dependency", waitUntil: null, why: waitsFor(unmet), reservedFor: null };
    if (state === undefined)
      throw new UserInputError(`T${task.id} is ${task.state}; ${event.replace("_", " ")} is not possible now.`);
    core.update(schema.tasks, task.id, { ...changes, state, updatedAt: now });
    const gaveUpReservation = task.reservedFor !== null && changes.reservedFor === null;
    if (gaveUpReservation || (isHeld(task.state) && !isHeld(state))) letGo(task);
    if (isHeld(state)) ready.remove(task.id);
    else ready.refreshTask(task.id, now);
    if (isMet(state) !== isMet(task.state)) setMet(task.id, isMet(state), now);
    if (stillOpen(task.state) !== stillOpen(state)) ready.workChanged(task.projectId, now);
    const after = rows.needTask(task.id);
    // Whoever wants it again: a Depends On that cannot be understood must be mended first.
    if (after.state === "queued" && after.dependencyProblem) resolveDependencies(task.id, now);
    return rows.needTask(task.id);
  }

  /** Frees the lane of whoever held the task, or had it reserved. */
  function letGo(task: TaskRow): void {
    const session = task.sessionId ?? task.reservedFor;
    if (session === null) return;
    const lane = ready.laneId(rows.needProject(task.projectId).lane);
    sql.sessionLets.run(session, task.id);
    if (ready.holder(lane) === session) ready.hold(lane, null);
  }

  /** Counts a finished (or reopened) task for whoever stands on it. */
  function setMet(id: number, met: boolean, now: number): void {
    const dependents = sql.dependents.all(id, met ? 0 : 1) as number[];
    sql.setMet.run(met ? 1 : 0, id);
    for (const dependent of dependents) {
      const task = rows.needTask(dependent);
      const unmet = sql.unmet.all(dependent) as number[];
      core.update(schema.tasks, dependent, { openDependencies: unmet.length });
      const current = rows.needTask(dependent);
      if (unmet.length === 0 && task.state === "waiting" && task.waitReason === "dependency") {
        move(current, "wake", { waitReason: null, waitUntil: null, why: "" }, now);
      } else if (unmet.length > 0 && (task.state === "queued" || task.waitReason === "dependency")) {
        move(
          current,
          "wait",
          { waitReason: "dependency", waitUntil: null, why: waitsFor(unmet), reservedFor: null },
          now,
        );
      }
    }
  }

  function ofCall(key: string): TaskRow | undefined {
    const id = sql.known.get(key) as number | undefined;
    return id === undefined ? undefined : rows.task(id);
  }

  return { add, change, cancel, reopen, wake, ofCall, find, move, letGo };
}

export function about(task: TaskRow): { projectId: number; taskId: number } {
  return { projectId: task.projectId, taskId: task.id };
}

function stillOpen(state: TaskState): boolean {
  return state === "queued" || isHeld(state) || state === "waiting" || state === "blocked";
}

function waitsFor(tasks: number[]): string {
  const names = tasks.slice(0, 5).map(taskName).join(", ");
  return `waits for ${names}${tasks.length > 5 ? ` and ${tasks.length - 5} more` : ""}`;
}

function dependencyProblem(missing: string[], cycle: number[] | undefined): string | undefined {
  if (missing.length > 0) {
    return `Depends On names ${missing
      .slice(0, 5)
      .map((name) => `"${name.slice(0, 40)}"`)
      .join(", ")}, which is no task here; correct it.`;
  }
  if (cycle !== undefined)
    return `Depends On goes round in a circle: ${cycle.map(taskName).join(" → ")}; remove one of them.`;
  return undefined;
}

function checkDescription(text: string): string {
  const description = text.trim();
  if (description === "")
    throw new UserInputError("A task needs a description: say what should be true when it is done.");
  if (description.length > DESCRIPTION_LIMIT) {
    throw new UserInputError(
      `A description may have at most ${DESCRIPTION_LIMIT} characters; put the rest into a file of the repository.`,
    );
  }
  return description;
}

function checkPriority(priority: number | null): number | null {
  if (priority !== null && (!Number.isInteger(priority) || priority < 1 || priority > 99)) {
    throw new UserInputError("A priority is a whole number from 1 (first) to 99.");
  }
  return priority;
}
