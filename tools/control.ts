import { z } from "zod";
import { UserInputError } from "../hub/base/errors.ts";
import { taskName } from "../hub/base/ids.ts";
import { isHeld } from "../hub/base/task.ts";
import { deliveryWords } from "../hub/queue/questions.ts";
import { taskArgument } from "./arguments.ts";
import { quoted } from "./fenced.ts";
import { namedProject, namedTask } from "./named.ts";
import { defineTool, type ToolContext } from "./tool.ts";

const input = z.strictObject({
  action: z.enum(["pause", "resume", "stop", "release", "run_now", "steer"]),
  project: z.string().min(1).max(100).optional().describe("For pause and resume"),
  task: taskArgument.optional().describe("For run_now and steer"),
  text: z.string().trim().min(1).max(2_000).optional().describe("For steer: what to tell the session; for stop: why"),
});
type Params = z.output<typeof input>;

const output = z.strictObject({ action: z.string(), subject: z.string(), say: z.string() });

export const control = defineTool({
  name: "control",
  title: "Control what runs",
  description:
    "Call this when the person asks to: `pause` or `resume` a `project`; `stop` everything (no agent runs on, and " +
    "nothing starts until it is released); `release` a stop; `run_now` a `task`, which puts it first; `steer` the " +
    "session of a `task` with `text`: the answer says whether it is told now or the next session is. Never call stop or release unless the person " +
    "asked for it. Afterwards call whats_next.",
  roles: ["human", "admin"],
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  input,
  output,
  async handle(params, ctx) {
    const { subject, say } = await ACTIONS[params.action](params, ctx);
    const data = { action: params.action, subject, say };
    return { data, text: `${params.action} ${JSON.stringify(subject)}: ${say}` };
  },
});

type Outcome = { subject: string; say: string };

const ACTIONS: Record<Params["action"], (params: Params, ctx: ToolContext) => Promise<Outcome>> = {
  pause: (params, ctx) => hold(params, ctx, "paused"),
  resume: (params, ctx) => hold(params, ctx, null),
  run_now: runNow,
  steer,
  stop,
  release: (_params, ctx) => release(ctx),
};

async function hold(params: Params, ctx: ToolContext, to: "paused" | null): Promise<Outcome> {
  if (params.project === undefined) throw new UserInputError(`${params.action} needs project: which one?`);
  const project = await namedProject(ctx, params.project);
  if (project.hold === "archived" || (project.hold === "planning" && to === null))
    throw new UserInputError(
      `${quoted(project.name, 80)} is ${project.hold}: set its Status in the sheet to Queued to have it worked on.`,
    );
  await ctx.store.changeProject(ctx.principal, project.id, { hold: to }, ctx.clock.now());
  const say =
    to === null
      ? "Its tasks are handed out again."
      : "Its sessions end and give their tasks back; nothing of it is handed out until it is resumed.";
  return { subject: project.name, say };
}

async function runNow(params: Params, ctx: ToolContext): Promise<Outcome> {
  if (params.task === undefined) throw new UserInputError("run_now needs task: which one?");
  const task = await namedTask(ctx, params.task);
  const subject = taskName(task.id);
  if (isHeld(task.state)) return { subject, say: `It is ${task.state} already.` };
  if (task.state === "done" || task.state === "landed")
    throw new UserInputError(`${subject} is ${task.state}: add a new task for what is missing.`);
  const now = ctx.clock.now();
  if (task.state !== "queued") await ctx.store.reopenTask(ctx.principal, task.id, "run now", now);
  const { state, why } = await ctx.store.changeTask(ctx.principal, task.id, { priority: 1 }, now);
  return {
    subject,
    say: state === "queued" ? "It is the first to be handed out." : `It is ${state}: ${quoted(why, 200)}.`,
  };
}

async function steer(params: Params, ctx: ToolContext): Promise<Outcome> {
  if (params.task === undefined || params.text === undefined) throw new UserInputError("steer needs task and text.");
  const task = await namedTask(ctx, params.task);
  const subject = taskName(task.id);
  const delivery = await ctx.store.say(ctx.principal, task.id, params.text, ctx.clock.now());
  return { subject, say: deliveryWords(delivery) };
}

async function stop(params: Params, ctx: ToolContext): Promise<Outcome> {
  needsWholeHub(ctx);
  await ctx.stop(params.text ?? "asked for through control");
  return {
    subject: "everything",
    say: "STOP is set: all sessions are being ended, and nothing starts until it is released.",
  };
}

async function release(ctx: ToolContext): Promise<Outcome> {
  needsWholeHub(ctx);
  const was = await ctx.release();
  return { subject: "everything", say: was ? "Released: work starts again." : "No stop was set." };
}

function needsWholeHub(ctx: ToolContext): void {
  if (ctx.principal.projectId !== null)
    throw new UserInputError(
      "This token is bound to one project: use a token without --project to stop or release everything.",
    );
}
