import { z } from "zod";
import { UserInputError } from "../hub/base/errors.ts";
import { taskName } from "../hub/base/ids.ts";
import { taskArgument } from "./arguments.ts";
import { oneLine, quoted } from "./fenced.ts";
import { namedProject, namedTask } from "./named.ts";
import { defineTool } from "./tool.ts";

const input = z.strictObject({
  project: z.string().min(1).max(100).optional().describe("The project's name, its slug, or the start of its name"),
  task: taskArgument.optional(),
  priority: z.int().min(1).max(99).describe("1 is highest"),
});

const output = z.strictObject({ subject: z.string(), priority: z.int(), was: z.string(), say: z.string() });

export const setPriority = defineTool({
  name: "set_priority",
  title: "Set a priority",
  description:
    "Call this when the person says that a project or a task is more or less urgent. Give either `project` or `task`, " +
    "and the new `priority`, where 1 is highest. It counts as the person's own edit and reaches the sheet. Afterwards " +
    "call whats_next to show the new order.",
  roles: ["human", "admin"],
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input,
  output,
  async handle({ project: projectName, task: name, priority }, ctx) {
    if ((projectName === undefined) === (name === undefined)) throw new UserInputError("Give either project or task.");
    const say = "Call whats_next to see the new order.";
    if (projectName !== undefined) {
      const project = await namedProject(ctx, projectName);
      await ctx.store.changeProject(ctx.principal, project.id, { priority }, ctx.clock.now());
      const data = { subject: oneLine(project.name, 80), priority, was: String(project.priority), say };
      return { data, text: `Project ${quoted(project.name, 80)} has priority ${priority} (was ${data.was}). ${say}` };
    }
    const task = await namedTask(ctx, name ?? "");
    await ctx.store.changeTask(ctx.principal, task.id, { priority }, ctx.clock.now());
    const was = task.priority === null ? "its project's" : String(task.priority);
    const data = { subject: taskName(task.id), priority, was, say };
    return { data, text: `${data.subject} has priority ${priority} (was ${was}). ${say}` };
  },
});
