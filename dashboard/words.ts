import type { EventKind, HubEvent } from "../hub/base/event.ts";
import type { ProjectStatus } from "../hub/base/project.ts";
import type { Session } from "../hub/base/session.ts";
import { isOpen, TASK_STATES, type Task, type TaskState, type WaitReason, whyHere } from "../hub/base/task.ts";
import { TASK_WORDS } from "../hub/sheets/status.ts";
import type { IconName } from "./icons.ts";
import { oneLine } from "./text.ts";

/** How a status looks: its colour's name and its picture. The word always stands beside them. */
export interface Look {
  tone: "active" | "ready" | "wait" | "need" | "good" | "bad" | "quiet";
  icon: IconName;
}

const TASK_LOOKS: Record<TaskState, Look> = {
  queued: { tone: "ready", icon: "ring" },
  running: { tone: "active", icon: "play" },
  checking: { tone: "active", icon: "play" },
  in_review: { tone: "active", icon: "eye" },
  done: { tone: "good", icon: "check" },
  landed: { tone: "good", icon: "flag" },
  waiting: { tone: "wait", icon: "clock" },
  blocked: { tone: "need", icon: "warning" },
  failed: { tone: "bad", icon: "cross" },
  cancelled: { tone: "quiet", icon: "dash" },
  discarded: { tone: "quiet", icon: "dash" },
};

const PROJECT_LOOKS: Record<ProjectStatus, Look> = {
  Queued: { tone: "ready", icon: "ring" },
  "In Progress": { tone: "active", icon: "play" },
  Waiting: { tone: "wait", icon: "clock" },
  Blocked: { tone: "need", icon: "warning" },
  Done: { tone: "good", icon: "check" },
  Planning: { tone: "quiet", icon: "pencil" },
  Paused: { tone: "quiet", icon: "pause" },
};

/** How a task's state is shown; its word is the sheet's own. */
export function taskLook(state: TaskState): Look & { words: string } {
  return { ...TASK_LOOKS[state], words: TASK_WORDS[state] };
}

export const SESSION_LOOKS: Record<Session["state"], Look & { words: string }> = {
  preparing: { tone: "wait", icon: "clock", words: "Starting" },
  running: { tone: "active", icon: "play", words: "Running" },
  ended: { tone: "quiet", icon: "pause", words: "Ended" },
};

/** How a project's status is shown. */
export function projectLook(status: ProjectStatus): Look & { words: string } {
  return { ...PROJECT_LOOKS[status], words: status };
}

/** The choices of the task list's state filter: value in the address, words, states. */
export const STATE_FILTERS: readonly { value: string; words: string; states: readonly TaskState[] }[] = [
  { value: "open", words: "Open (not finished)", states: TASK_STATES.filter(isOpen) },
  ...[...new Set(Object.values(TASK_WORDS))].map((words) => ({
    value: words.toLowerCase().replaceAll(" ", "-"),
    words,
    states: TASK_STATES.filter((state) => TASK_WORDS[state] === words),
  })),
];

const WAITS_FOR: Record<WaitReason, string> = {
  window: "a usage window to renew",
  dependency: "another task",
  backoff: "a pause after a failed attempt",
  machine: "a machine",
  budget: "budget",
  landing: "earlier results to be landed",
};

/** Why a task is where it is, in one line; empty when there is nothing to add to its status. */
export function whyOf(task: Task): string {
  const why = whyHere(task);
  if (why !== "") return oneLine(why, 280);
  if (task.state === "checking") return "Its work is being checked";
  if (task.state === "waiting" && task.waitReason !== null) return `Waits for ${WAITS_FOR[task.waitReason]}`;
  if (task.reservedFor !== null) return "Its machine is being prepared";
  return "";
}

/** `P2`, or `P2 → P1: 9 h work, 14 h left` when its rank was raised. */
export function rankWords(priority: number, bandWhy: string): string {
  const words = oneLine(bandWhy, 120);
  if (words === "") return `P${priority}`;
  return words.startsWith("P") ? words : `P${priority}: ${words}`;
}

/** How the result of a check reads. */
export const CHECK_WORDS = {
  passed: "Passed",
  failed: "Failed",
  timeout: "Took too long",
  error: "Could not run",
  unchecked: "Unchecked: the project has no check command",
} as const;

export const REVIEW_WORDS = {
  approved: "Approved",
  changes: "Changes wanted",
  unreviewed: "Unreviewed",
} as const;

/** What each kind of event is called, with its picture and the colour's name. */
const EVENTS: Record<EventKind, Look & { words: string }> = {
  hub_started: { words: "Hub started", icon: "power", tone: "quiet" },
  hub_stopped: { words: "Hub stopped", icon: "power", tone: "quiet" },
  stop_set: { words: "STOP set", icon: "stop", tone: "bad" },
  stop_released: { words: "STOP released", icon: "play", tone: "good" },
  project_added: { words: "Project added", icon: "sheet", tone: "quiet" },
  project_changed: { words: "Project changed", icon: "pencil", tone: "quiet" },
  task_added: { words: "Added", icon: "ring", tone: "ready" },
  task_changed: { words: "Changed", icon: "pencil", tone: "quiet" },
  task_reserved: { words: "Machine is being prepared", icon: "clock", tone: "wait" },
  task_claimed: { words: "Started", icon: "arrow", tone: "active" },
  task_progress: { words: "Progress", icon: "dot", tone: "active" },
  task_completed: { words: "Handed in, being checked", icon: "eye", tone: "active" },
  task_checked: { words: "Checked", icon: "eye", tone: "active" },
  task_findings: { words: "Something to mend", icon: "warning", tone: "need" },
  task_requeued: { words: "Back in the queue", icon: "ring", tone: "ready" },
  task_waiting: { words: "Waiting", icon: "clock", tone: "wait" },
  task_blocked: { words: "Blocked", icon: "warning", tone: "need" },
  task_woken: { words: "Ready again", icon: "ring", tone: "ready" },
  task_done: { words: "Complete", icon: "check", tone: "good" },
  task_failed: { words: "Failed", icon: "cross", tone: "bad" },
  task_cancelled: { words: "Cancelled", icon: "dash", tone: "quiet" },
  task_reopened: { words: "Opened again", icon: "ring", tone: "ready" },
  continuation_written: { words: "Hand-over written", icon: "pencil", tone: "quiet" },
  question_asked: { words: "Question", icon: "question", tone: "need" },
  question_answered: { words: "Answered", icon: "question", tone: "good" },
  message_sent: { words: "Message to the session", icon: "message", tone: "quiet" },
  message_delivered: { words: "Message delivered", icon: "message", tone: "good" },
  session_started: { words: "Session started", icon: "play", tone: "active" },
  session_ended: { words: "Session ended", icon: "pause", tone: "quiet" },
  token_issued: { words: "Token issued", icon: "key", tone: "quiet" },
  token_revoked: { words: "Token revoked", icon: "key", tone: "quiet" },
  sheet_synced: { words: "Sheet read", icon: "sheet", tone: "quiet" },
  sheet_problem: { words: "Sheet needs a look", icon: "sheet", tone: "need" },
};

/** An event's words, picture and colour; a kind of a newer hub is shown by its own name. */
export function eventLook(event: HubEvent): Look & { words: string } {
  if (Object.hasOwn(EVENTS, event.kind)) return EVENTS[event.kind];
  return { words: oneLine(event.kind, 60), icon: "dot", tone: "quiet" };
}

/** Fields that the hub writes for itself: their change is no news. */
const OWN_FIELDS: ReadonlySet<unknown> = new Set(["why", "workspace"]);

/** Whether an event is worth a line to a person. */
export function isNews(event: HubEvent): boolean {
  const changed = event.kind === "task_changed" ? event.data["changed"] : undefined;
  return !(Array.isArray(changed) && changed.every((field) => OWN_FIELDS.has(field)));
}

/** Where an event's data holds words of its own, in the order of their worth. */
const DETAIL_KEYS = ["why", "text", "progress", "summary", "outcome", "words", "message", "problem", "name", "label"];

/** The one thing of an event's data that a person wants to read; empty when there is none. */
export function eventDetail(event: HubEvent): string {
  const { data } = event;
  if (event.kind === "project_added") return "";
  const changed = Object.hasOwn(data, "changed") ? data["changed"] : undefined;
  if (Array.isArray(changed)) return oneLine(changed.filter(isText).map(spacedOut).join(", "), 240);
  // What the agent asked stands in the question; "agent" alone only says where the block came from.
  if (event.kind === "task_blocked" && data["why"] === "agent") return "by a question of its agent";
  const found = DETAIL_KEYS.map((key) => textAt(data, key)).find((value) => value !== "");
  if (found !== undefined) return found;
  const agent = textAt(data, "agent");
  if (agent !== "") return `by ${agent}`;
  const source = textAt(data, "source");
  return source === "" ? "" : `found by the ${source}`;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** `next action` for `nextAction`. */
function spacedOut(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function textAt(data: Record<string, unknown>, key: string): string {
  const value = Object.hasOwn(data, key) ? data[key] : undefined;
  return typeof value === "string" ? oneLine(value, 240) : "";
}

/** Who did it, where that was somebody else than the hub itself; empty otherwise. */
export function byWords(principal: string): string {
  if (principal === "supervisor" || principal === "hub") return "";
  return oneLine(principal, 60);
}
