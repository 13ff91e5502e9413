import { z } from "zod";
import { DAY } from "../hub/base/clock.ts";
import { UserInputError } from "../hub/base/errors.ts";
import { sha256, taskName } from "../hub/base/ids.ts";
import type { Principal } from "../hub/base/session.ts";
import { COMPLEXITIES, TASK_TYPES } from "../hub/base/task.ts";
import type { NewTask } from "../hub/stores/store.ts";
import { fenceArgument, taskArgument, textArgument } from "./arguments.ts";
import { oneLine, quoted } from "./fenced.ts";
import { namedProject, projectsThereAre } from "./named.ts";
import { defineTool, type ToolContext } from "./tool.ts";
import { heldTask, taskNumber } from "./working-session.ts";

const input = z.strictObject({
  description: textArgument(4_000, "What is to be done, so that a stranger could do it"),
  task: taskArgument.optional().describe("An agent gives the task that it holds, and its fence"),
  fence: fenceArgument.optional(),
  project: z
    .string()
    .min(1)
    .max(100)
    .optional()
    .describe("The person's sessions name the project; agents add to their own"),
  type: z.enum(TASK_TYPES).optional(),
  complexity: z.enum(COMPLEXITIES).optional(),
  depends_on: z.array(taskArgument).max(20).default([]).describe("Tasks that must be done before it"),
  priority: z.int().min(1).max(99).optional().describe("1 is highest; the person's sessions only"),
});
type Params = z.output<typeof input>;

const output = z.strictObject({ task: z.string(), project: z.string(), state: z.string(), say: z.string() });

export const addTask = defineTool({
  name: "add_task",
  title: "Add a task",
  description:
    "Call this for work that you find but should not do now: a bug outside your task, a follow-up, a missing test. It " +
    "joins the queue of your project and another session does it. An agent gives the `task` and `fence` that it holds; " +
    "the person's own session gives `project`. The same call again on the same day gives the same task. Afterwards go " +
    "on with your own task, up to complete_task.",
  roles: ["agent", "human", "admin"],
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input,
  output,
  async handle(params, ctx) {
    const { by, projectId } = await authority(params, ctx);
    const project = await ctx.store.project(projectId);
    if (project === undefined) throw new UserInputError("That project is not there any more. Call whats_next.");
    const task = await ctx.store.addTask(
      by,
      await newTask(params, projectId, ctx),
      ctx.clock.now(),
      keyOf(params, by, ctx),
    );
    const name = taskName(task.id);
    const say = `${name} is ${task.state}. Go on with what you were doing.`;
    const data = { task: name, project: oneLine(project.name, 80), state: task.state, say };
    return { data, text: `Added ${name} to project ${quoted(project.name, 80)}. ${say}` };
  },
});

/** Who adds, and to which project: an agent by the task that it holds, the person by name. */
async function authority(params: Params, ctx: ToolContext): Promise<{ by: Principal; projectId: number }> {
  if (params.task !== undefined && params.fence !== undefined) {
    if (params.project !== undefined) throw new UserInputError("Give either task and fence, or project, not both.");
    const { by, task } = await heldTask(ctx, params.task, params.fence);
    return { by, projectId: task.projectId };
  }
  if (ctx.principal.role === "agent")
    throw new UserInputError("Give the task that you hold and its fence: call claim_next_task for them.");
  if (params.project === undefined) throw new UserInputError(`Say which project. ${await projectsThereAre(ctx)}`);
  return { by: ctx.principal, projectId: (await namedProject(ctx, params.project)).id };
}

async function newTask(params: Params, projectId: number, ctx: ToolContext): Promise<NewTask> {
  const agent = ctx.principal.role === "agent";
  if (agent && params.priority !== undefined)
    throw new UserInputError("Only the person sets priorities: leave it out.");
  return {
    projectId,
    description: params.description,
    origin: "tool",
    dependsOn: (await Promise.all(params.depends_on.map((name) => dependency(name, projectId, ctx)))).join(", "),
    ...(params.type !== undefined && { type: params.type }),
    ...(params.complexity !== undefined && { complexity: params.complexity }),
    ...(params.priority !== undefined && { priority: params.priority }),
  };
}

async function dependency(name: string, projectId: number, ctx: ToolContext): Promise<string> {
  const task = await ctx.store.task(taskNumber(name));
  if (task === undefined || (ctx.principal.role === "agent" && task.projectId !== projectId))
    throw new UserInputError(
      `${taskName(taskNumber(name))} is not a task of your project: leave it out of depends_on.`,
    );
  return taskName(task.id);
}

/**
 * Names the call, so that its repeat makes no second task: an agent's by its hold on the task, a
 * person's by the day, since the same words on another day mean another task.
 */
function keyOf(params: Params, by: Principal, ctx: ToolContext): string {
  const { task: _task, fence, ...args } = params;
  const hold =
    fence === undefined ? `${by.name} ${Math.floor(ctx.clock.now() / DAY)}` : `${by.sessionId} ${params.task} ${fence}`;
  return sha256(JSON.stringify([hold, "add_task", Object.entries(args).toSorted(([a], [b]) => (a < b ? -1 : 1))]));
}
