import { UserInputError } from "../hub/base/errors.ts";
import type { Project } from "../hub/base/project.ts";
import type { Task } from "../hub/base/task.ts";
import { quoted } from "./fenced.ts";
import type { ToolContext } from "./tool.ts";

/** How many names an error offers. */
const OFFERED = 30;

/** The project that the person names; throws with the names that there are. */
export async function namedProject(ctx: ToolContext, name: string): Promise<Project> {
  const project = await ctx.store.findProject(name);
  if (project !== undefined && mayUse(ctx, project.id)) return project;
  throw new UserInputError(`There is no project of that name. ${await projectsThereAre(ctx)}`);
}

/** The task that the person names as `T12` or by the name in the sheet. */
export async function namedTask(ctx: ToolContext, name: string): Promise<Task> {
  const task = await ctx.store.findTask(name);
  if (task !== undefined && mayUse(ctx, task.projectId)) return task;
  throw new UserInputError("There is no task of that name. Call whats_next to see the tasks.");
}

/** What to name instead, for an error. */
export async function projectsThereAre(ctx: ToolContext): Promise<string> {
  const projects = (await ctx.store.projects()).filter((each) => mayUse(ctx, each.id));
  if (projects.length === 0) return "There is none yet: add a row to the sheet, or call cto add.";
  return `Name one of: ${projects
    .slice(0, OFFERED)
    .map((each) => quoted(each.name, 60))
    .join(", ")}.`;
}

/** A token that is bound to a project sees no other. */
export function mayUse(ctx: ToolContext, projectId: number): boolean {
  return ctx.principal.projectId === null || ctx.principal.projectId === projectId;
}
