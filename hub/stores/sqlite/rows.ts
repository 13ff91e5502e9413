import { UserInputError } from "../../base/errors.ts";
import type { Task } from "../../base/task.ts";
import { eq, sql } from "../drizzle.ts";
import * as schema from "../schema.ts";
import type { Core } from "./core.ts";

/** A project's row with what only the store uses. */
export type ProjectRow = typeof schema.projects.$inferSelect;
export type TaskRow = typeof schema.tasks.$inferSelect;
export type SessionRow = typeof schema.sessions.$inferSelect;

/** Reads of single rows, each prepared once. */
export interface Rows {
  project(id: number): ProjectRow | undefined;
  task(id: number): TaskRow | undefined;
  session(id: string): SessionRow | undefined;
  /** Like the three above, but a missing row is the caller's mistake. */
  needProject(id: number): ProjectRow;
  needTask(id: number): TaskRow;
  needSession(id: string): SessionRow;
}

export function createRows({ orm }: Core): Rows {
  const byId = {
    project: orm
      .select()
      .from(schema.projects)
      .where(eq(schema.projects.id, sql.placeholder("id")))
      .prepare(),
    task: orm
      .select()
      .from(schema.tasks)
      .where(eq(schema.tasks.id, sql.placeholder("id")))
      .prepare(),
    session: orm
      .select()
      .from(schema.sessions)
      .where(eq(schema.sessions.id, sql.placeholder("id")))
      .prepare(),
  };
  const project = (id: number) => byId.project.get({ id });
  const task = (id: number) => byId.task.get({ id });
  const session = (id: string) => byId.session.get({ id });
  return {
    project,
    task,
    session,
    needProject: (id) => need(project(id), `There is no project ${id}. Call whats_next to see the projects.`),
    needTask: (id) => need(task(id), `There is no task T${id}. Call whats_next to see the tasks.`),
    needSession: (id) =>
      need(session(id), `Session ${id} is not known to the hub. Stop working: start again from the hub's own launch.`),
  };
}

function need<T>(value: T | undefined, words: string): T {
  if (value === undefined) throw new UserInputError(words);
  return value;
}

/** The task as the rest of the hub knows it. */
export function toTask(row: TaskRow): Task {
  const { dependencyProblem: _problem, parentId: _parent, stage: _stage, ...task } = row;
  return task;
}
