import { z } from "zod";
import { taskName } from "../hub/base/ids.ts";
import { fenceArgument, taskArgument, textArgument } from "./arguments.ts";
import { defineTool } from "./tool.ts";
import { holder, taskNumber } from "./working-session.ts";

const input = z.strictObject({
  task: taskArgument,
  fence: fenceArgument,
  question: textArgument(2_000, "One clear question, with what you found and what you would do"),
  options: z
    .array(textArgument(200, "An answer to choose"))
    .max(6)
    .default([])
    .describe("Answers that the person can tap, the one that you recommend first"),
});

const output = z.strictObject({ task: z.string(), question: z.int(), say: z.string() });

export const blockTask = defineTool({
  name: "block_task",
  title: "Block the task with a question",
  description:
    "Call this when you cannot go on without the person: a decision, a permission, a missing secret. Call " +
    "write_continuation first. The task is given up until the person has answered, and is then handed out again with " +
    "the answer. After it call claim_next_task for other work, or end. Do not use it for what you can find out yourself.",
  roles: ["agent", "human", "admin"],
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input,
  output,
  async handle({ task: name, fence, question: text, options }, ctx) {
    const id = taskNumber(name);
    const question = await ctx.store.block(await holder(ctx), id, fence, { text, options }, ctx.clock.now());
    const say = "The person is asked. The task is no longer yours: call claim_next_task for other work, or end.";
    return {
      data: { task: taskName(id), question: question.id, say },
      text: `${taskName(id)} is blocked by question ${question.id}. ${say}`,
    };
  },
});
