import { z } from "zod";
import type { Continuation } from "../hub/base/continuation.ts";
import { taskName } from "../hub/base/ids.ts";
import { fenceArgument, taskArgument, textArgument } from "./arguments.ts";
import { defineTool } from "./tool.ts";
import { heldTask } from "./working-session.ts";

const list = (what: string) => z.array(textArgument(500, "One item")).max(30).default([]).describe(what);

const input = z.strictObject({
  task: taskArgument,
  fence: fenceArgument,
  current_task: textArgument(1_000, "What is being worked on"),
  progress: z
    .array(z.strictObject({ done: z.boolean(), text: textArgument(300, "One step") }))
    .max(50)
    .describe("The steps, those done and those still open, in order"),
  context: z
    .string()
    .trim()
    .max(4_000)
    .default("")
    .describe("What the next session must know: files, constraints, traps"),
  key_decisions: list("Decisions taken and why"),
  blockers: list("What stands in the way; empty when nothing does"),
  next_action: textArgument(1_000, "The very next thing to do, so that a stranger can start with it"),
  references: list("Files, commits, documents and links that matter"),
});

const output = z.strictObject({ task: z.string(), version: z.int(), say: z.string() });

export const writeContinuation = defineTool({
  name: "write_continuation",
  title: "Write the continuation",
  description:
    "Call this before you end, before block_task, when report_progress says `checkpoint`, and when your context runs " +
    "out: it leaves the project's state for whoever goes on, who will have nothing else. Fill every field. The newest " +
    "one counts, so write the whole state each time. Afterwards go on, or call complete_task when the task is finished.",
  roles: ["agent", "human", "admin"],
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input,
  output,
  async handle(params, ctx) {
    const { by, task } = await heldTask(ctx, params.task, params.fence);
    const continuation: Continuation = {
      currentTask: params.current_task,
      progress: params.progress,
      context: params.context,
      keyDecisions: params.key_decisions,
      blockers: params.blockers,
      nextAction: params.next_action,
      references: params.references,
    };
    const latest = await ctx.store.latestContinuation(task.projectId);
    // A repeat of a call whose answer was lost adds no version.
    const repeated = latest?.taskId === task.id && latest.author === "agent" && sameWords(latest, continuation);
    const entry = {
      projectId: task.projectId,
      taskId: task.id,
      author: "agent" as const,
      agent: task.agent ?? "",
      continuation,
    };
    const stored = repeated ? latest : await ctx.store.writeContinuation(by, entry, ctx.clock.now());
    const say = "Kept for the next session. Go on, or call complete_task when the task is finished.";
    return {
      data: { task: taskName(task.id), version: stored.version, say },
      text: `Continuation version ${stored.version} of ${taskName(task.id)}: ${say}`,
    };
  },
});

function sameWords(a: Continuation, b: Continuation): boolean {
  return JSON.stringify(fieldsOf(a)) === JSON.stringify(fieldsOf(b));
}

function fieldsOf(each: Continuation): unknown[] {
  const steps = each.progress.map((step) => [step.done, step.text]);
  return [each.currentTask, steps, each.context, each.keyDecisions, each.blockers, each.nextAction, each.references];
}
