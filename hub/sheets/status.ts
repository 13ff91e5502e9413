import type { Project, ProjectStatus } from "../base/project.ts";
import { isHeld, type TaskState } from "../base/task.ts";
import { readWord } from "./cells.ts";

/** The one table of the words in the sheet and the states behind them. */
export const TASK_WORDS: Record<TaskState, string> = {
  queued: "Queued",
  running: "Running",
  checking: "Running",
  in_review: "In Review",
  done: "Complete",
  landed: "Landed",
  waiting: "Waiting",
  blocked: "Blocked",
  failed: "Failed",
  cancelled: "Cancelled",
  discarded: "Cancelled",
};

export const PROJECT_WORDS: readonly ProjectStatus[] = [
  "Planning",
  "Queued",
  "In Progress",
  "Waiting",
  "Blocked",
  "Paused",
  "Done",
];

export const readTaskStatus = readWord([...new Set(Object.values(TASK_WORDS))], "", {
  "in progress": "Running",
  active: "Running",
  started: "Running",
  done: "Complete",
  completed: "Complete",
  finished: "Complete",
  todo: "Queued",
  "to do": "Queued",
  new: "Queued",
  open: "Queued",
  review: "In Review",
  merged: "Landed",
  canceled: "Cancelled",
});

export const readProjectStatus = readWord(PROJECT_WORDS, "", {
  running: "In Progress",
  active: "In Progress",
  todo: "Queued",
  "to do": "Queued",
  new: "Queued",
  "on hold": "Paused",
  hold: "Paused",
  complete: "Done",
  completed: "Done",
});

/** Why a task's word cannot be taken; undefined for a word that is known. */
function unknownTaskWord(word: string): string | undefined {
  if (word === "" || Object.values(TASK_WORDS).includes(word)) return undefined;
  return `"${word}" is no status: you can type Queued, Cancelled or, for finished work, Complete`;
}

/** Why a project's word cannot be taken; undefined for a word that is known. */
export function unknownProjectWord(word: string): string | undefined {
  if (word === "" || PROJECT_WORDS.some((known) => known === word)) return undefined;
  return `"${word}" is no status: you can type Queued, Planning or Paused`;
}

/** What a word that a person typed for a task asks for. */
export type TaskAsk = "cancel" | "reopen" | "nothing" | { putBack: string };

/** What typing `word` over a task in `state` means. */
export function askOfTask(word: string, state: TaskState): TaskAsk {
  if (word === TASK_WORDS[state]) return "nothing";
  if (word === "") return "nothing";
  if (word === "Cancelled") {
    if (isHeld(state)) return { putBack: "it is being worked on: stop its session first, then cancel it" };
    if (state === "done") return { putBack: "it is finished: discard it instead of cancelling it" };
    return state === "landed" ? { putBack: "it has landed already" } : "cancel";
  }
  if (word === "Queued") {
    if (state === "landed") return { putBack: "it has landed: add a new row for more work" };
    if (isHeld(state)) return { putBack: "it is being worked on already" };
    if (state === "waiting") return { putBack: "it waits for what Why says" };
    return "reopen";
  }
  const unknown = unknownTaskWord(word);
  return { putBack: unknown ?? `"${word}" is what the hub finds out itself; you can type Queued or Cancelled` };
}

/** What a new row's status means: a task to make, or why none is made yet. */
export function askOfNewTask(word: string): { state?: "done" | "cancelled" } | { wait: string } {
  const unknown = unknownTaskWord(word);
  if (unknown !== undefined) return { wait: `Status ${unknown}; until then it is not taken` };
  switch (word) {
    case "Complete":
    case "Landed":
      return { state: "done" };
    case "Cancelled":
      return { state: "cancelled" };
    case "Blocked":
    case "Failed":
      return { wait: `it says ${word}, so it was not taken: type Queued to have it done` };
    default:
      return {};
  }
}

/** What a project's typed word does: a new hold, or back to what is true. */
export type ProjectAsk = { hold: Project["hold"]; note?: string } | { putBack: string } | "nothing";

/** What typing `word` over a project means. `shown` is the word that the hub has for it now. */
export function askOfProject(word: string, hold: Project["hold"], shown: string): ProjectAsk {
  if (word === shown || word === "") return "nothing";
  switch (word) {
    case "Planning":
      return { hold: "planning" };
    case "Paused":
      return { hold: "paused" };
    case "Queued":
      return hold === null ? { putBack: "it is not held back" } : { hold: null };
    case "In Progress":
      return hold === null ? { putBack: '"In Progress" is what the hub finds out itself' } : { hold: null };
    case "Blocked":
    case "Done":
      return { hold: "paused", note: `you typed ${word}: it rests until you type Queued` };
    default:
      return {
        putBack:
          unknownProjectWord(word) ??
          `"${word}" is what the hub finds out itself; you can type Queued, Planning or Paused`,
      };
  }
}

/** The hold of a project whose row is new. */
export function holdOfNewProject(word: string): Project["hold"] {
  if (word === "Planning") return "planning";
  return word === "Paused" || word === "Blocked" || word === "Done" ? "paused" : null;
}
