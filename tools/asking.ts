import { z } from "zod";
import { questionName, taskName } from "../hub/base/ids.ts";
import type { ToolContext } from "./tool.ts";
import { holder, taskNumber } from "./working-session.ts";

/** What `ask_human` and `block_task` answer. */
export const asked = z.strictObject({ task: z.string(), question: z.string(), say: z.string() });

/** Gives a held task up until the person has answered. A repeat asks no second question. */
export async function giveUpWithQuestion(
  ctx: ToolContext,
  call: { task: string; fence: number; question: string; options: string[] },
) {
  const id = taskNumber(call.task);
  const request = { text: call.question, options: call.options };
  const question = await ctx.store.block(await holder(ctx), id, call.fence, request, ctx.clock.now());
  const name = questionName(question.id);
  const say = "The person is asked. The task is no longer yours: call claim_next_task for other work, or end.";
  return {
    data: { task: taskName(id), question: name, say },
    text: `${taskName(id)} is blocked by question ${name}. ${say}`,
  };
}
