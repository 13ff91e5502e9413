import { z } from "zod";
import { asked, giveUpWithQuestion } from "./asking.ts";
import { fenceArgument, taskArgument, textArgument } from "./arguments.ts";
import { defineTool } from "./tool.ts";

const input = z.strictObject({
  task: taskArgument,
  fence: fenceArgument,
  question: textArgument(2_000, "One question that can be answered without reading anything else"),
  answers: z
    .array(textArgument(200, "An answer to tap"))
    .max(3)
    .default([])
    .describe("Suggested answers, the one that you recommend first"),
});

export const askHuman = defineTool({
  name: "ask_human",
  title: "Ask the person",
  description:
    "Call this when the task can go on once the person has decided or told you something: which of two ways, what is " +
    "meant, a name. Suggest up to three answers. When something stands in the way that a question does not solve (a " +
    "permission, a secret, a broken repository), call block_task instead. Call write_continuation first: the task is " +
    "parked, and is handed out again first of its priority, with the answer. After it call claim_next_task, or end.",
  roles: ["agent", "human", "admin"],
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input,
  output: asked,
  handle: ({ answers, ...params }, ctx) => giveUpWithQuestion(ctx, { ...params, options: answers }),
});
