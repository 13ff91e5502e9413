import type { Continuation, StoredContinuation } from "../base/continuation.ts";
import type { HubEvent } from "../base/event.ts";
import type { Project, StateCounts } from "../base/project.ts";
import type { Principal, Role, Session } from "../base/session.ts";
import type { Delivery } from "../queue/questions.ts";
import type { Complexity, Task, TaskOrigin, TaskState, TaskType, WaitReason } from "../base/task.ts";

/**
 * The store: what the hub knows, kept through crashes.
 *
 * Every method is one transaction, named after what happens in the domain, and is told
 * `now`. When the promise of a method that writes resolves, the write is on disk; only progress
 * and signs of life may be lost by a power cut (never by the end of the process). A method
 * appends the events of its change in the same transaction. Errors: `UserInputError` (the
 * caller can mend it), `StaleHolderError` (the session no longer holds the task: it must
 * stop), anything else is a bug or a broken disk.
 */
export interface Store extends ProjectStore, QueueStore, SessionStore, RecordStore, SheetStore {
  /** Called after each commit that appended events. Returns the way to stop listening. */
  onEvents(listener: (events: HubEvent[]) => void): () => void;
  /** Writes a consistent copy to `path`, which must not exist. */
  backup(path: string): Promise<void>;
  /** Moves what the write-ahead log holds into the main file; called off the request path. */
  checkpoint(): Promise<void>;
  close(): void;
}

export interface NewProject {
  name: string;
  priority?: number;
  hold?: Project["hold"];
  deadline?: number | null;
  deadlineText?: string;
  gpu?: boolean;
  model?: string;
  repo?: string;
  path?: string;
  setup?: string;
  check?: string;
  dependsOn?: string;
  budget?: string;
  autonomy?: Project["autonomy"];
  machine?: string;
  review?: Project["review"];
  nextAction?: string;
}

/** What may be changed of a project; only the given fields change. */
export type ProjectChanges = Partial<NewProject> & { blockedWhy?: string | null; lane?: string };

export interface NewTask {
  projectId: number;
  description: string;
  type?: TaskType;
  complexity?: Complexity;
  priority?: number | null;
  wantedAgent?: string | null;
  /** As a person types it: `T3, T4` or aliases. Unknown names and cycles are told in Why and block the task. */
  dependsOn?: string;
  alias?: string | null;
  origin: TaskOrigin;
}

export type TaskChanges = Partial<Omit<NewTask, "projectId" | "origin">> & { output?: string | null };

interface ProjectStore {
  addProject(by: Principal, input: NewProject, now: number): Promise<Project>;
  changeProject(by: Principal, id: number, changes: ProjectChanges, now: number): Promise<Project>;
  project(id: number): Promise<Project | undefined>;
  projects(filter?: { archived?: boolean }): Promise<Project[]>;
  /** Exact name or slug first, then a unique prefix of the name, case-insensitive. */
  findProject(name: string): Promise<Project | undefined>;
  counts(): Promise<Map<number, StateCounts>>;
}

export interface ClaimResult {
  task: Task;
  project: Project;
  /** False when the session held this task already: the same answer is given again. */
  fresh: boolean;
}

/** A ready task that heads its lane for one agent: what a plan chooses from. */
export interface ReadyHead {
  agent: string;
  lane: string;
  taskId: number;
  projectId: number;
  band: number;
  /** Rises each time its lane is served; 0 for a lane that never was. */
  served: number;
}

export interface CheckRecord {
  taskId: number;
  fence: number;
  commit: string;
  command: string;
  outcome: "passed" | "failed" | "timeout" | "error" | "unchecked";
  exitCode: number | null;
  /** The end of the output, at most 4,000 characters. */
  tail: string;
  durationMs: number;
  at: number;
}

export interface Question {
  id: number;
  projectId: number;
  taskId: number | null;
  sessionId: string | null;
  kind: "agent" | "next_action" | "findings" | "parked";
  text: string;
  options: string[];
  state: "open" | "answered" | "withdrawn";
  answer: string | null;
  askedAt: number;
  answeredAt: number | null;
}

/** What became of an answer. */
export interface Answered {
  question: Question;
  /** The task that goes on, was cancelled, or was queued by it; null when the answer changes none. */
  task: Task | null;
}

/** What a person said to whoever works on a task. */
export interface Message {
  id: number;
  taskId: number;
  text: string;
  /** Who said it: a principal's name. */
  principal: string;
  at: number;
  deliveredAt: number | null;
  /** The session that was given it. */
  deliveredTo: string | null;
}

interface QueueStore {
  /** `key` makes the call repeatable: the same key returns the task that the first call made. */
  addTask(by: Principal, input: NewTask, now: number, key?: string): Promise<Task>;
  changeTask(by: Principal, id: number, changes: TaskChanges, now: number): Promise<Task>;
  cancelTask(by: Principal, id: number, why: string, now: number): Promise<Task>;
  /** The person wants it again: a finished, failed, cancelled or blocked task goes back into the queue. */
  reopenTask(by: Principal, id: number, why: string, now: number): Promise<Task>;
  task(id: number): Promise<Task | undefined>;
  /** By `T12`, `12`'s name, or the person's own alias. */
  findTask(name: string): Promise<Task | undefined>;
  /** Newest first unless `order` is `queue` (running first, then the queue in its order). */
  tasks(filter?: {
    projectId?: number;
    states?: TaskState[];
    order?: "queue" | "newest";
    limit?: number;
    beforeId?: number;
  }): Promise<Task[]>;

  /** The head of each lane that is not busy, best first: at most `limit` for each agent. */
  readyHeads(agents: string[], limit: number): Promise<ReadyHead[]>;
  /** Keeps a queued task for a session whose machine is being prepared; false when it was taken meanwhile. */
  reserve(taskId: number, session: { id: string; agent: string; machine: string }, now: number): Promise<boolean>;
  /** Gives a reservation up: the session ends before it ran. */
  unreserve(sessionId: string, why: string, now: number): Promise<void>;

  /**
   * Hands the session a task: the one it holds, else the one reserved for it, else the first
   * ready one that it may have (its agent, its project, a lane that no other session writes in).
   * Undefined when there is none.
   */
  claim(sessionId: string, now: number): Promise<ClaimResult | undefined>;
  /** Records progress. Answers what the person said since the last call, which counts as delivered then. */
  reportProgress(
    by: Principal,
    taskId: number,
    fence: number,
    progress: string,
    now: number,
  ): Promise<{ messages: string[] }>;
  /**
   * What the person said, for the holder's claim: what waits, which counts as delivered now, after
   * what was given before: the answer with it may have been lost, or the session that got it.
   * Oldest first, at most 20.
   */
  takeMessages(by: Principal, taskId: number, fence: number, now: number): Promise<string[]>;
  /** Freezes the task for its check. Repeating it while the task is frozen or done changes nothing. */
  complete(
    by: Principal,
    taskId: number,
    fence: number,
    report: { summary: string; nextAction: string; output: string | null },
    now: number,
  ): Promise<Task>;
  /** The session cannot go on: opens a question and gives the task up until a person has acted. */
  block(
    by: Principal,
    taskId: number,
    fence: number,
    ask: { text: string; options: string[] },
    now: number,
  ): Promise<Question>;

  /**
   * What the supervisor observed of a held task. Each is guarded by the fence, and repeating
   * one after it took effect changes nothing (`false`).
   */
  /** Its workspace is ready, at `path` inside the machine, started from `base`. */
  recordWorkspace(
    taskId: number,
    fence: number,
    workspace: { path: string; base: string },
    now: number,
  ): Promise<boolean>;
  recordCommit(taskId: number, fence: number, commits: { base: string; head: string }, now: number): Promise<boolean>;
  recordCheck(check: CheckRecord): Promise<boolean>;
  /** Findings go back to the holder when it lives, else into the queue ahead of its band; the third round asks the person. */
  returnFindings(
    taskId: number,
    fence: number,
    findings: { source: "check" | "review" | "merge"; text: string },
    holderLives: boolean,
    now: number,
  ): Promise<boolean>;
  toReview(taskId: number, fence: number, why: string, now: number): Promise<boolean>;
  finish(
    taskId: number,
    fence: number,
    result: {
      integratedCommit: string | null;
      checked: "passed" | "unchecked";
      review: "approved" | "unreviewed" | null;
    },
    now: number,
  ): Promise<boolean>;
  /** The holder is gone. `failure` counts towards the limit, backs off, and parks the task with a question at the fifth. */
  giveBack(taskId: number, fence: number, end: { why: string; failure: boolean }, now: number): Promise<boolean>;
  /** A held or queued task waits; `until` null waits for an event. Failures do not move. */
  wait(taskId: number, wait: { reason: WaitReason; until: number | null; why: string }, now: number): Promise<boolean>;

  /** Says why queued tasks and projects are not running, in words; only what changed is written. */
  explain(notes: { taskId: number; why: string }[], now: number): Promise<void>;

  /** Wakes what was waiting until now or before, and moves tasks whose band changes. Returns how many changed. */
  applyDue(now: number): Promise<number>;
  /** The next moment at which `applyDue` has something to do, epoch ms. */
  nextDue(): Promise<number | undefined>;
  /** The agents there are now; ready rows are made anew for them. Called at start. */
  setAgents(agents: { name: string; model: string }[], now: number): Promise<void>;

  checks(taskId: number): Promise<CheckRecord[]>;
}

export interface TokenGrant {
  role: Role;
  sessionId: string | null;
  projectId: number | null;
  label: string;
  /** Epoch ms; null never expires. */
  expiresAt: number | null;
}

interface SessionStore {
  /** Keeps the SHA-256 (hex) of a token, never the token. */
  issueToken(by: Principal, tokenHash: string, grant: TokenGrant, now: number): Promise<number>;
  /** Undefined when unknown, expired, revoked, or bound to a session that has ended. */
  principalOf(tokenHash: string, now: number): Promise<Principal | undefined>;
  revokeToken(by: Principal, id: number, now: number): Promise<void>;

  openSession(
    session: { id: string; agent: string; projectId: number | null; kind: Session["kind"]; machine: string },
    now: number,
  ): Promise<Session>;
  /** Its process runs. */
  sessionRuns(id: string, handle: string, now: number): Promise<void>;
  sessionSeen(id: string, now: number): Promise<void>;
  /** Revokes its tokens too. Its task, if any, is the caller's business (`giveBack`). False when it had ended before. */
  endSession(id: string, end: { outcome: string; exitCode: number | null }, now: number): Promise<boolean>;
  session(id: string): Promise<Session | undefined>;
  /** Sessions that have not ended. */
  liveSessions(): Promise<Session[]>;
  recentSessions(limit: number): Promise<Session[]>;
}

export interface Artefact {
  id: number;
  taskId: number | null;
  sessionId: string | null;
  kind: "transcript" | "check" | "diff" | "plan" | "log";
  path: string;
  sha256: string;
  bytes: number;
  at: number;
}

interface RecordStore {
  writeContinuation(
    by: Principal,
    input: {
      projectId: number;
      taskId: number | null;
      author: "agent" | "hub";
      agent: string;
      continuation: Continuation;
    },
    now: number,
  ): Promise<StoredContinuation>;
  latestContinuation(projectId: number): Promise<StoredContinuation | undefined>;
  openQuestions(): Promise<Question[]>;
  question(id: number): Promise<Question | undefined>;
  /**
   * A person answers an open question. A blocked task goes back into the queue, to the front of
   * its priority; "Cancel it" on a question of the hub's cancels it, any other answer to one makes
   * its failures and rounds of findings count from zero. A next action is queued by "Yes", or in
   * other words by these, and left by "Not now". The same answer again changes nothing; another one
   * is refused with the first.
   */
  answerQuestion(by: Principal, id: number, answer: string, now: number): Promise<Answered>;
  /** The newest answered questions of a task, newest first, at most `limit`. */
  answers(taskId: number, limit: number): Promise<Question[]>;
  /**
   * What the person says to whoever works on the task; delivered with the session's next call, else to the next session.
   * The same words again, while they wait, are one message. Refused for a task that has ended.
   */
  say(by: Principal, taskId: number, text: string, now: number): Promise<Delivery>;
  /** The newest messages to a task, newest first, at most `limit`. */
  messages(taskId: number, limit: number): Promise<Message[]>;
  /** Messages of open tasks that nobody was given yet, oldest first, at most `limit`. */
  undelivered(limit: number): Promise<Message[]>;
  addArtefact(artefact: Omit<Artefact, "id">): Promise<void>;
  artefacts(taskId: number): Promise<Artefact[]>;
  /** An event with no other change: the hub started, STOP was set, the sheet has a problem. */
  note(
    by: Principal,
    event: Pick<HubEvent, "kind" | "data"> & { projectId?: number; taskId?: number; sessionId?: string },
    now: number,
  ): Promise<void>;
  /** Events after `seq`, oldest first. */
  eventsAfter(seq: number, limit: number): Promise<HubEvent[]>;
  /** The newest events, newest first. */
  recentEvents(filter: { projectId?: number; taskId?: number; limit: number; beforeSeq?: number }): Promise<HubEvent[]>;
  lastSeq(): Promise<number>;
}

/** Cells of one row by canonical column name, as text. */
export type Cells = Record<string, string>;

/** What the sheet and the hub last agreed on for one row, at one revision of the file. */
export interface AgreedRow {
  tab: "Projects" | "Task Queue";
  id: number;
  /** The revision at which this was written. */
  rev: number;
  cells: Cells;
  /** False until a read has shown the row with its Id: a crash before that must not import it twice. */
  confirmed: boolean;
}

/** What one sync cycle learned from the sheet, applied whole or not at all. */
export interface SheetChanges {
  addProjects: { key: string; input: NewProject; agreed: Cells }[];
  /** `project` is an id, or the key of a project added in the same changes. */
  addTasks: {
    key: string;
    project: number | string;
    input: Omit<NewTask, "projectId">;
    agreed: Cells;
    state?: "done" | "cancelled";
    /** Names in Depends On (in capitals) that mean this task (id) or row of the same changes (key), whatever else has them. */
    refers?: Record<string, number | string>;
  }[];
  changeProjects: { id: number; changes: ProjectChanges }[];
  changeTasks: { id: number; changes: TaskChanges }[];
  archiveProjects: number[];
  cancelTasks: number[];
  reopenTasks: number[];
  /** Snapshots to keep (new revisions of rows that exist already). */
  agreed: AgreedRow[];
  forget: { tab: AgreedRow["tab"]; id: number }[];
  rev: number;
}

interface SheetStore {
  /** All kept snapshots, every revision still needed. */
  agreedRows(): Promise<AgreedRow[]>;
  /** The revision that was written last; 0 before the first write. */
  sheetRev(): Promise<number>;
  /** Answers the ids that added rows were given, by key. */
  applySheet(changes: SheetChanges, now: number): Promise<Map<string, number>>;
}
