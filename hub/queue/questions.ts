import { questionName } from "../base/ids.ts";
import type { TaskState } from "../base/task.ts";

/** Answers that the hub itself offers, and acts on. */
export const TRY_AGAIN = "Try again";
export const CANCEL_IT = "Cancel it";
export const YES = "Yes";
export const NOT_NOW = "Not now";

/** What an answer may have at most, in characters. */
export const ANSWER_LIMIT = 2_000;
/** What the sheet shows of a question: the rest is on the page. */
const WHY_LIMIT = 200;

/** The answer as it is kept: an offered one in the words in which it was offered, whatever its case. */
export function answerWords(options: readonly string[], given: string): string {
  const words = given.trim();
  return options.find((option) => option.trim().toLowerCase() === words.toLowerCase()) ?? words;
}

/** Why a task stands still that asks `text`, with the way to answer. */
export function asksWhy(id: number, text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  const words = line.length <= WHY_LIMIT ? line : `${line.slice(0, WHY_LIMIT - 1).toWellFormed()}…`;
  return `asks: ${words}; ${howToAnswer(id)}`;
}

/** Where a person answers. */
export function howToAnswer(id: number): string {
  return `answer on the page or with cto answer ${questionName(id)}`;
}

/** When a message to whoever works on a task is delivered. */
export interface Delivery {
  state: TaskState;
  /** A session that lives works on the task now. */
  live: boolean;
}

/** The same in words, for whoever sent it. */
export function deliveryWords({ state, live }: Delivery): string {
  if (live) return "Its session is told with its next call.";
  if (state === "checking" || state === "in_review")
    return "Its work is being checked: the message waits for whoever works on it next.";
  return "No session works on it now: the message waits for the next one.";
}
