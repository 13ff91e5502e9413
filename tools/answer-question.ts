import { z } from "zod";
import { UserInputError } from "../hub/base/errors.ts";
import { parseQuestionName, questionName, taskName } from "../hub/base/ids.ts";
import { ANSWER_LIMIT } from "../hub/queue/questions.ts";
import { textArgument } from "./arguments.ts";
import { quoted } from "./fenced.ts";
import { mayUse } from "./named.ts";
import { defineTool } from "./tool.ts";

const input = z.strictObject({
  question: z.string().min(1).max(20).describe('The question\'s name in whats_next, such as "Q3"'),
  answer: textArgument(ANSWER_LIMIT, "What the person says: one of the offered answers, or their own words"),
});

const output = z.strictObject({
  question: z.string(),
  answer: z.string(),
  task: z.string().optional(),
  state: z.string().optional(),
  say: z.string(),
});

export const answerQuestion = defineTool({
  name: "answer_question",
  title: "Answer a question",
  description:
    "Call this when the person answers a question that whats_next shows. The parked task goes on with the answer, first " +
    "of its priority; `Try again` and `Cancel it` on a question of the hub's do that; `Yes` to a next action queues it, " +
    "other words queue these, `Not now` leaves it. Never answer by yourself: only with what the person said. A question " +
    "is answered once. Afterwards call whats_next.",
  roles: ["human", "admin"],
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input,
  output,
  async handle({ question: name, answer }, ctx) {
    const id = parseQuestionName(name);
    const known = id === undefined ? undefined : await ctx.store.question(id);
    if (known === undefined || !mayUse(ctx, known.projectId))
      throw new UserInputError("There is no question of that name. Call whats_next to see the open ones.");
    const { question, task } = await ctx.store.answerQuestion(ctx.principal, known.id, answer, ctx.clock.now());
    const words = question.answer ?? "";
    const say =
      task === null
        ? "Nothing else changes."
        : `${taskName(task.id)} is ${task.state}${task.state === "queued" && task.front ? " and goes first" : ""}.`;
    return {
      data: {
        question: questionName(question.id),
        answer: words,
        ...(task !== null && { task: taskName(task.id), state: task.state }),
        say,
      },
      text: `${questionName(question.id)} is answered with ${quoted(words, 200)}. ${say}`,
    };
  },
});
