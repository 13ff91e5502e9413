import { z } from "zod";
import { UserInputError } from "../hub/base/errors.ts";
import { taskName } from "../hub/base/ids.ts";
import { fenceArgument, taskArgument, textArgument } from "./arguments.ts";
import { defineTool } from "./tool.ts";
import { holder, taskNumber } from "./working-session.ts";

const input = z.strictObject({
  task: taskArgument,
  fence: fenceArgument,
  summary: textArgument(4_000, "What you did and how you know that it works, for the person"),
  next_action: z.string().trim().max(1_000).default("").describe("What the project needs next, in one sentence"),
  output: z
    .string()
    .trim()
    .max(300)
    .optional()
    .describe("The file that the task produced, relative to the repository, when it was to produce one"),
});

const output = z.strictObject({ task: z.string(), state: z.string(), say: z.string() });

export const completeTask = defineTool({
  name: "complete_task",
  title: "Complete the task",
  description:
    "Call this once when the task that you hold is finished: your changes are in the workspace and the check command " +
    "passes when you run it. The task is frozen, what you left is committed, and the check runs on that commit. Stop " +
    "working after this call. If you can go on, call get_result with wait_s to hear whether it is done or has findings " +
    "to mend; otherwise end.",
  roles: ["agent", "human", "admin"],
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input,
  output,
  async handle(params, ctx) {
    const id = taskNumber(params.task);
    const report = {
      summary: params.summary,
      nextAction: params.next_action,
      output: params.output === undefined ? null : repositoryPath(params.output),
    };
    // The store alone decides whose call this is: it knows a repeat of the call that froze the task.
    const task = await ctx.store.complete(await holder(ctx), id, params.fence, report, ctx.clock.now());
    const name = taskName(id);
    const say =
      task.state === "checking"
        ? "checking: stop here, you will be told. To wait for it, call get_result."
        : `${name} is ${task.state} already. Call get_result for what came of it.`;
    return { data: { task: name, state: task.state, say }, text: `${name}: ${say}` };
  },
});

/** A path inside the repository, or null for none. Others are refused: they never become paths of ours. */
function repositoryPath(path: string): string | null {
  if (path === "" || path === "-") return null;
  const parts = path.split("/");
  // eslint-disable-next-line no-control-regex -- a name with control characters is refused
  if (path.startsWith("/") || /[\\\u0000-\u001f]/.test(path) || parts.includes("..") || parts.includes(".git"))
    throw new UserInputError("output must be the path of a file in the repository, such as docs/report.md.");
  return path;
}
