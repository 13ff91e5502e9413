import { z } from "zod";
import { asked, giveUpWithQuestion } from "./asking.ts";
import { fenceArgument, taskArgument, textArgument } from "./arguments.ts";
import { defineTool } from "./tool.ts";

const input = z.strictObject({
  task: taskArgument,
  fence: fenceArgument,
  question: textArgument(2_000, "What stands in the way, what you tried, and what the person should do"),
  options: z
    .array(textArgument(200, "An answer to choose"))
    .max(6)
    .default([])
    .describe("Answers that the person can tap, the one that you recommend first"),
});

export const blockTask = defineTool({
  name: "block_task",
  title: "Say that the task is blocked",
  description:
    "Call this when something outside the task stands in the way until the person has acted: a permission, a missing " +
    "secret or access, a broken repository, a task that asks for nothing. For a decision or an information call " +
    "ask_human instead. Call write_continuation first. The task is given up until the person has answered, and is then " +
    "handed out again with the answer. After it call claim_next_task for other work, or end. Do not use it for what you " +
    "can find out yourself.",
  roles: ["agent", "human", "admin"],
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input,
  output: asked,
  handle: (params, ctx) => giveUpWithQuestion(ctx, params),
});
