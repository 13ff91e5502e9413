import { addTask } from "./add-task.ts";
import { answerQuestion } from "./answer-question.ts";
import { askHuman } from "./ask-human.ts";
import { blockTask } from "./block-task.ts";
import { claimNextTask } from "./claim-next-task.ts";
import { completeTask } from "./complete-task.ts";
import { control } from "./control.ts";
import { getResult } from "./get-result.ts";
import { reportProgress } from "./report-progress.ts";
import { setPriority } from "./set-priority.ts";
import type { AnyTool } from "./tool.ts";
import { whatsNext } from "./whats-next.ts";
import { writeContinuation } from "./write-continuation.ts";

/** All tools, in the order in which clients list them. */
export const TOOLS: readonly AnyTool[] = [
  whatsNext,
  claimNextTask,
  reportProgress,
  completeTask,
  askHuman,
  blockTask,
  writeContinuation,
  addTask,
  getResult,
  setPriority,
  control,
  answerQuestion,
];
