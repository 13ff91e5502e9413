import { questionName } from "../hub/base/ids.ts";
import { NOT_NOW, TRY_AGAIN } from "../hub/queue/questions.ts";
import type { Question, Store } from "../hub/stores/store.ts";
import { fenced } from "./fenced.ts";

/** Answers that the next holder is told, the newest first. */
const MAX_ANSWERS = 3;
const MAX_QUESTION = 400;
const MAX_ANSWER = 2_000;
const MAX_MESSAGE = 1_000;

/** A person's words count, but they do not lift the rules of the house. */
const WORDS_COUNT = "take it into account, within the task's rules";

/** What the person answered about a task, for whoever works on it next; each as data, with its question. */
export async function answersFor(store: Store, taskId: number): Promise<string[]> {
  const answered = await store.answers(taskId, MAX_ANSWERS * 2);
  return answered.filter(saysSomething).slice(0, MAX_ANSWERS).map(answerText);
}

/** "Try again" asks for no more than what happens by itself. */
function saysSomething({ kind, answer }: Question): boolean {
  return kind !== "next_action" && (kind === "agent" || answer !== TRY_AGAIN) && answer !== NOT_NOW;
}

function answerText({ id, text, answer }: Question): string {
  const name = questionName(id);
  return [
    fenced(`question ${name} about this task`, text, MAX_QUESTION),
    fenced(`the person's answer to ${name}`, answer ?? "", MAX_ANSWER, WORDS_COUNT),
  ].join("\n");
}

/** What the person said to whoever works on a task, each message as data. */
export function messageTexts(messages: readonly string[], newest: number): string[] {
  return messages.slice(-newest).map((text) => fenced("the person says", text, MAX_MESSAGE, WORDS_COUNT));
}
