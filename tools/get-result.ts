import { z } from "zod";
import { UserInputError } from "../hub/base/errors.ts";
import { taskName } from "../hub/base/ids.ts";
import type { Task, TaskState } from "../hub/base/task.ts";
import { taskArgument } from "./arguments.ts";
import { fenced, oneLine } from "./fenced.ts";
import { defineTool, type ToolContext } from "./tool.ts";
import { waitFor, waitSeconds } from "./waiting.ts";
import { ownTask, taskNumber } from "./working-session.ts";

const MAX_FINDINGS = 8_000;
const MAX_CHECK_OUTPUT = 4_000;

const input = z.strictObject({ task: taskArgument, wait_s: waitSeconds });

const output = z.strictObject({
  task: z.string(),
  status: z.enum(["working", "checking", "findings", "done", "waiting", "blocked", "ended"]),
  say: z.string(),
  fence: z.int().optional(),
  commit: z.string().optional(),
  checked: z.string().optional(),
  review: z.string().optional(),
  why: z.string().optional(),
  findings: z.string().optional(),
  check_output: z.string().optional(),
});
type Data = z.input<typeof output>;

export const getResult = defineTool({
  name: "get_result",
  title: "Get the result of a check",
  description:
    "Call this after complete_task to hear what came of the task's check, with wait_s up to 45 to wait for it. " +
    "`checking`: call it again. `findings`: the task is yours again with the NEW fence in the answer; mend what is " +
    "listed, then call complete_task with that fence. `done`: call claim_next_task for the next task, or end.",
  roles: ["agent", "human", "admin"],
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input,
  output,
  async handle({ task: name, wait_s }, ctx) {
    const settled = async () => {
      const task = await visibleTask(ctx, name);
      return task.state === "checking" || task.state === "in_review" ? undefined : task;
    };
    const task = (await waitFor(ctx, wait_s, settled)) ?? (await visibleTask(ctx, name));
    const data = await resultOf(task, ctx);
    return { data, text: textOf(data) };
  },
});

/** The person sees every task, an agent its own. */
async function visibleTask(ctx: ToolContext, name: string): Promise<Task> {
  if (ctx.principal.role === "agent") return ownTask(ctx, name);
  const task = await ctx.store.task(taskNumber(name));
  if (task === undefined || (ctx.principal.projectId ?? task.projectId) !== task.projectId)
    throw new UserInputError(`There is no task ${taskName(taskNumber(name))}. Call whats_next to see the tasks.`);
  return task;
}

async function resultOf(task: Task, ctx: ToolContext): Promise<Data> {
  if (task.state === "running") return task.findings === null ? working(task) : findings(task, ctx);
  if (task.state === "done" || task.state === "landed") return done(task);
  const name = taskName(task.id);
  const [status, say] = OTHERWISE[task.state];
  return { task: name, status, say: say(name), ...(task.why !== "" && { why: oneLine(task.why, 300) }) };
}

const OTHERWISE: Record<
  Exclude<TaskState, "running" | "done" | "landed">,
  [Data["status"], (name: string) => string]
> = {
  checking: ["checking", () => "Not finished yet: call get_result again."],
  in_review: ["checking", () => "The check passed and a review is under way: call get_result again."],
  queued: ["waiting", (name) => `${name} is in the queue. Call claim_next_task.`],
  waiting: ["waiting", (name) => `${name} waits and will be handed out again. Call claim_next_task.`],
  blocked: ["blocked", (name) => `${name} needs the person. Call claim_next_task for other work, or end.`],
  failed: ["ended", (name) => `${name} has failed. Call claim_next_task, or end.`],
  cancelled: ["ended", (name) => `${name} was cancelled. Call claim_next_task, or end.`],
  discarded: ["ended", (name) => `${name} was discarded. Call claim_next_task, or end.`],
};

function working(task: Task): Data {
  const name = taskName(task.id);
  return {
    task: name,
    status: "working",
    fence: task.fence,
    say: `${name} is being worked on: call complete_task when it is finished.`,
  };
}

async function findings(task: Task, ctx: ToolContext): Promise<Data> {
  const name = taskName(task.id);
  const last = (await ctx.store.checks(task.id)).filter((check) => check.outcome !== "passed").at(-1);
  // The findings of a failed check hold its output already.
  const output = last !== undefined && !(task.findings ?? "").includes(last.tail.trim()) ? last.tail : "";
  return {
    task: name,
    status: "findings",
    fence: task.fence,
    say: `${name} is yours again with fence ${task.fence}: mend the findings, then call complete_task with fence ${task.fence}.`,
    findings: fenced(`findings of the last check of ${name}`, task.findings ?? "", MAX_FINDINGS),
    ...(output !== "" && { check_output: fenced(`output of the check of ${name}`, output, MAX_CHECK_OUTPUT) }),
  };
}

function done(task: Task): Data {
  const name = taskName(task.id);
  const commit = task.integratedCommit ?? task.headCommit;
  return {
    task: name,
    status: "done",
    say: `${name} is ${task.state}. Call claim_next_task for the next task, or end.`,
    ...(commit !== null && { commit }),
    checked: task.checked ?? "unchecked",
    review: task.review ?? "unreviewed",
  };
}

function textOf(data: Data): string {
  const facts = [
    ...(data.fence === undefined ? [] : [`fence ${data.fence}`]),
    ...(data.commit === undefined ? [] : [`commit ${data.commit}`]),
    ...(data.checked === undefined ? [] : [`check: ${data.checked}`]),
    ...(data.review === undefined ? [] : [`review: ${data.review}`]),
    ...(data.why === undefined ? [] : [`why: ${JSON.stringify(data.why)}`]),
  ];
  const head = `${data.task}: ${data.status}${facts.length === 0 ? "" : ` (${facts.join(", ")})`}. ${data.say}`;
  return [head, data.findings, data.check_output].filter((part) => part !== undefined).join("\n");
}
