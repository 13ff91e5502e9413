/**
 * What a task is, and the one function that owns how its state may change.
 */

export const TASK_TYPES = [
  "planning",
  "research",
  "implementation",
  "testing",
  "refactoring",
  "documentation",
  "debugging",
  "review",
] as const;
export type TaskType = (typeof TASK_TYPES)[number];

export const COMPLEXITIES = ["low", "medium", "high", "critical"] as const;
export type Complexity = (typeof COMPLEXITIES)[number];

/** Hours of work that a task is taken for until its project has a record of its own. */
export const ESTIMATED_HOURS: Record<Complexity, number> = { low: 1, medium: 3, high: 8, critical: 8 };

export const TASK_STATES = [
  "queued",
  "running",
  "checking",
  "in_review",
  "done",
  "landed",
  "waiting",
  "blocked",
  "failed",
  "cancelled",
  "discarded",
] as const;
export type TaskState = (typeof TASK_STATES)[number];

/** What a waiting task waits for. */
export const WAIT_REASONS = ["window", "dependency", "backoff", "machine", "budget", "landing"] as const;
export type WaitReason = (typeof WAIT_REASONS)[number];

/** Everything that can happen to a task. */
export type TaskEvent =
  | "claim" // a session takes it
  | "complete" // its holder says it is finished
  | "findings" // the check, the review or the merge found something, and its holder is still there
  | "give_back" // its holder is gone, or findings have no holder to go to: back into the queue
  | "review" // the check passed; a verdict is needed
  | "finish" // checked (and reviewed as the policy says) and integrated
  | "land"
  | "wait"
  | "block"
  | "wake" // what it waited for, or the person, has come
  | "fail"
  | "cancel"
  | "discard"
  | "reopen"; // the person sends it back, or wants a finished or ended task again

const ALLOWED: Record<TaskEvent, Partial<Record<TaskState, TaskState>>> = {
  claim: { queued: "running" },
  complete: { running: "checking" },
  findings: { checking: "running", in_review: "running" },
  give_back: { running: "queued", checking: "queued", in_review: "queued" },
  review: { checking: "in_review" },
  finish: { checking: "done", in_review: "done" },
  land: { done: "landed" },
  wait: {
    queued: "waiting",
    running: "waiting",
    checking: "waiting",
    in_review: "waiting",
    waiting: "waiting",
    blocked: "waiting",
  },
  block: {
    queued: "blocked",
    running: "blocked",
    checking: "blocked",
    in_review: "blocked",
    waiting: "blocked",
    blocked: "blocked",
  },
  wake: { waiting: "queued", blocked: "queued" },
  fail: {
    queued: "failed",
    running: "failed",
    checking: "failed",
    in_review: "failed",
    waiting: "failed",
    blocked: "failed",
  },
  cancel: { queued: "cancelled", waiting: "cancelled", blocked: "cancelled", failed: "cancelled" },
  discard: { done: "discarded" },
  reopen: { done: "queued", failed: "queued", cancelled: "queued", discarded: "queued" },
};

/**
 * The state after `event`, or undefined when the event is not allowed in `state`.
 * Nothing else in the hub decides this.
 */
export function nextState(state: TaskState, event: TaskEvent): TaskState | undefined {
  return ALLOWED[event][state];
}

/** States in which a session holds the task. */
export function isHeld(state: TaskState): boolean {
  return state === "running" || state === "checking" || state === "in_review";
}

/** States that count as met for whoever depends on the task. */
export function isMet(state: TaskState): boolean {
  return state === "done" || state === "landed";
}

/** States in which the task still asks for work: they count into a project's open work. */
export function isOpen(state: TaskState): boolean {
  return state === "queued" || isHeld(state) || state === "waiting" || state === "blocked";
}

/** Why a task is where it is; a queued one that nobody has looked at yet waits for its turn. */
export function whyHere(task: Pick<Task, "state" | "why" | "reservedFor">): string {
  return task.why === "" && task.state === "queued" && task.reservedFor === null ? "waits for its turn" : task.why;
}

/** Where a task came from. */
export type TaskOrigin = "sheet" | "next_action" | "tool" | "command" | "page";

export interface Task {
  id: number;
  projectId: number;
  /** The Task ID that the person typed, if it was not one of ours. */
  alias: string | null;
  description: string;
  type: TaskType;
  complexity: Complexity;
  /** The person's own priority for this task (1 is highest); null follows the project's. */
  priority: number | null;
  /** The person's "Assigned To" for a task that nobody holds: an agent's name or model; null for any. */
  wantedAgent: string | null;
  state: TaskState;
  waitReason: WaitReason | null;
  /** When a waiting task is looked at again, epoch ms; null when an event will wake it. */
  waitUntil: number | null;
  /** One sentence for people: why it is where it is. Empty when there is nothing to add. */
  why: string;
  /** Effective priority band after slack and age (0 is first). */
  band: number;
  /** Why the band differs from the priority, e.g. "P2 → P1: 9 h work, 14 h left". */
  bandWhy: string;
  /** True when it goes before the others of its band: answered, sent back, or returned with findings. */
  front: boolean;
  /** When the band changes by itself, epoch ms. */
  rankDueAt: number | null;
  /** Rises with every claim and with every return of findings; a write with an older fence is refused. */
  fence: number;
  sessionId: string | null;
  /** Set while the supervisor prepares a machine for it: the session it will be handed to. */
  reservedFor: string | null;
  agent: string | null;
  failures: number;
  /** Rounds of findings so far. */
  rounds: number;
  /** What the last check, review or merge found, for the next attempt. */
  findings: string | null;
  progress: string;
  summary: string | null;
  /** The next action that its session stated on completion. */
  statedNext: string | null;
  /** File that the task names as its product; the person's Output cell shows it. */
  output: string | null;
  /** Path of its workspace inside its machine, once there is one. */
  workspace: string | null;
  /** Commit it started from, last commit that was checked, and the integration commit that contains it. */
  baseCommit: string | null;
  headCommit: string | null;
  integratedCommit: string | null;
  /** What the check said: passed, failed, or that there was none. */
  checked: "passed" | "failed" | "unchecked" | null;
  review: "approved" | "changes" | "unreviewed" | null;
  openDependencies: number;
  /** What the person typed into Depends On. */
  dependsOn: string;
  origin: TaskOrigin;
  createdAt: number;
  updatedAt: number;
  startedAt: number | null;
  completedAt: number | null;
}
