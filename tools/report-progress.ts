import { z } from "zod";
import { StaleHolderError } from "../hub/base/errors.ts";
import { taskName } from "../hub/base/ids.ts";
import { isHeld } from "../hub/base/task.ts";
import { fenceArgument, taskArgument } from "./arguments.ts";
import { oneLine } from "./fenced.ts";
import { messageTexts } from "./person-said.ts";
import { defineTool } from "./tool.ts";
import { holder, ownTask } from "./working-session.ts";

const MAX_MESSAGES = 20;

const input = z.strictObject({
  task: taskArgument,
  fence: fenceArgument,
  progress: z.string().trim().min(1).max(2_000).describe("What is done and what comes next, in one or two sentences"),
});

const output = z.strictObject({
  task: z.string(),
  directive: z.enum(["continue", "checkpoint", "stop"]),
  say: z.string(),
  messages: z.array(z.string()),
});

export const reportProgress = defineTool({
  name: "report_progress",
  title: "Report progress",
  description:
    "Call this after each step of the task that you hold. The answer carries a directive: `continue` means go on; " +
    "`checkpoint` means call write_continuation now, then go on; `stop` means stop working at once and end. " +
    "It also carries what the person said to you, which you take into account. At the end call complete_task instead.",
  roles: ["agent", "human", "admin"],
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input,
  output,
  async handle({ task: name, fence, progress }, ctx) {
    const task = await ownTask(ctx, name);
    const by = await holder(ctx);
    const called = taskName(task.id);
    if (!isHeld(task.state))
      return answer(called, "stop", `${called} is ${task.state} and no longer yours: stop and end.`, []);
    if (task.fence !== fence)
      throw new StaleHolderError(
        `Stop what you are doing: ${called} has come back to you with a new fence. Call claim_next_task for it.`,
      );
    const { messages } = await ctx.store.reportProgress(by, task.id, fence, progress, ctx.clock.now());
    const said = messageTexts(messages, MAX_MESSAGES);
    const stop = ctx.stopped();
    if (stop === undefined) return answer(called, "continue", "Go on.", said);
    return answer(
      called,
      "stop",
      `STOP is set (${oneLine(stop.why || "no reason given", 200)}): stop and end now.`,
      said,
    );
  },
});

function answer(task: string, directive: "continue" | "checkpoint" | "stop", say: string, messages: string[]) {
  const text = [`${task}: ${directive}. ${say}`, ...messages].join("\n");
  return { data: { task, directive, say, messages }, text };
}
