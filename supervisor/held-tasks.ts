import { MINUTE, SECOND } from "../hub/base/clock.ts";
import { messageOf, StaleHolderError } from "../hub/base/errors.ts";
import { backoffMs } from "../hub/base/service.ts";
import type { Session } from "../hub/base/session.ts";
import type { Task } from "../hub/base/task.ts";
import type { Jobs } from "./jobs.ts";
import type { Observed } from "./observe.ts";
import { Halted, MachineTrouble, type Parts } from "./parts.ts";
import { prepare } from "./prepare.ts";
import { repositoryBlock } from "./repository-block.ts";
import { blockTask } from "./session.ts";
import { concludeTask } from "./steps/integrate.ts";

/** A machine that does not come back within this makes the task wait: nothing stays held without a process for two minutes. */
const MACHINE_PATIENCE_MS = 80 * SECOND;
const MACHINE_WAIT_MS = 5 * MINUTE;
const RETRY_MS = SECOND;
const RETRY_CAP_MS = 20 * SECOND;
/** Tries of the steps after complete_task before their failing counts as a failure of the task. */
const STEP_TRIES = 5;
/** Remembered launches that failed; beyond this all are forgotten, which only makes retries come sooner. */
const MEMORY = 10_000;

/** What is done for tasks, one thing at a time for each: launching, making workspaces, concluding. */
export interface HeldTasks {
  busy(): ReadonlySet<number>;
  /** Runs a launch. `tries` counts those of the same task before it that came to nothing. */
  start(taskId: number, work: (tries: number) => Promise<boolean>): void;
  /** The session was given a workspace for the task. */
  provided(taskId: number, sessionId: string): void;
  /** After a restart: sessions that were given a workspace keep it as it is. */
  adopt(): Promise<void>;
  look(seen: Observed, signal: AbortSignal, stopped: boolean): void;
}

export function createHeldTasks(parts: Parts, jobs: Jobs): HeldTasks {
  const { store, clock, log } = parts;
  const busy = new Set<number>();
  const launches = new Map<number, number>();
  /** Which session was given the task's workspace. */
  const workspaces = new Map<number, string>();
  const troubles = new Map<number, { since: number; tries: number }>();

  function begin(taskId: number, work: () => Promise<void>): void {
    if (busy.has(taskId)) return;
    busy.add(taskId);
    jobs.start(`task:${taskId}`, async () => {
      try {
        await work();
      } finally {
        busy.delete(taskId);
      }
    });
  }

  function look(seen: Observed, signal: AbortSignal, stopped: boolean): void {
    const sessions = new Map(seen.sessions.map((session) => [session.id, session]));
    const ids = new Set(seen.held.map(({ id }) => id));
    for (const id of workspaces.keys()) if (!ids.has(id) && !busy.has(id)) workspaces.delete(id);
    for (const task of seen.held) {
      const session = sessions.get(task.sessionId ?? "");
      if (task.state === "running" && session === undefined) begin(task.id, () => giveUpLost(task));
      else if (stopped || signal.aborted) continue;
      else if (task.state === "checking") begin(task.id, () => concludeOne(task, signal));
      else if (task.state === "running" && session !== undefined && needsWorkspace(task, session))
        begin(task.id, () => provide(task, signal));
    }
  }

  /** Sessions that claimed by themselves: attached ones, and ours that took another task after their first. */
  function needsWorkspace(task: Task, session: Session): boolean {
    return session.state === "running" && workspaces.get(task.id) !== session.id;
  }

  /** The session ended without its task: whoever ended it was cut off before giving it back. */
  async function giveUpLost(task: Task): Promise<void> {
    const session = task.sessionId === null ? undefined : await store.session(task.sessionId);
    if (session !== undefined && session.state !== "ended") return;
    const why = `its session has ended: ${session?.outcome ?? "unknown"}`;
    await store.giveBack(task.id, task.fence, { why, failure: false }, clock.now());
  }

  async function provide(task: Task, signal: AbortSignal): Promise<void> {
    const project = await store.project(task.projectId);
    if (project === undefined) return;
    try {
      const preparation = await prepare(parts, project, task, signal);
      if (preparation.ok) {
        const { folder: path, base } = preparation.prepared;
        await store.recordWorkspace(task.id, task.fence, { path, base }, clock.now());
        if (task.sessionId !== null) workspaces.set(task.id, task.sessionId);
      } else if (preparation.block === "task") await blockTask(parts, task, preparation.why);
      else {
        await repositoryBlock.set(parts, project.id, preparation.why);
        await store.giveBack(task.id, task.fence, { why: preparation.why, failure: false }, clock.now());
      }
    } catch (error) {
      await troubled(task, error, 1, signal);
    }
  }

  async function concludeOne(task: Task, signal: AbortSignal): Promise<void> {
    try {
      await concludeTask(parts, task.id, signal);
      troubles.delete(task.id);
    } catch (error) {
      await troubled(task, error, STEP_TRIES, signal);
    }
  }

  /** Something of ours failed: tried again soon, and when that does not help the task says so. */
  async function troubled(task: Task, error: unknown, triesAllowed: number, signal: AbortSignal): Promise<void> {
    if (error instanceof Halted) return;
    if (error instanceof StaleHolderError) return void troubles.delete(task.id);
    const now = clock.monotonic();
    const { since, tries } = troubles.get(task.id) ?? { since: now, tries: 0 };
    troubles.set(task.id, { since, tries: tries + 1 });
    const why = messageOf(error).slice(0, 300);
    log.warn({ task: task.id, tries: tries + 1, error: why }, "the work of a task could not be taken care of");
    const machine = error instanceof MachineTrouble;
    const over = machine ? now - since > MACHINE_PATIENCE_MS : tries + 1 >= triesAllowed;
    if (!over) return clock.sleep(backoffMs(tries + 1, RETRY_MS, RETRY_CAP_MS), signal);
    troubles.delete(task.id);
    const current = await store.task(task.id);
    if (current?.fence !== task.fence || current.state !== task.state) return;
    if (machine) {
      const wait = {
        reason: "machine" as const,
        until: clock.now() + MACHINE_WAIT_MS,
        why: `waits for machine: ${why}`,
      };
      await store.wait(task.id, wait, clock.now());
    } else
      await store.giveBack(
        task.id,
        task.fence,
        { why: `its work could not be taken in: ${why}`, failure: true },
        clock.now(),
      );
  }

  return {
    busy: () => busy,
    start(taskId, work) {
      begin(taskId, async () => {
        if (launches.size > MEMORY) launches.clear();
        const tries = launches.get(taskId) ?? 0;
        if (await work(tries)) launches.delete(taskId);
        else launches.set(taskId, tries + 1);
      });
    },
    provided: (taskId, sessionId) => void workspaces.set(taskId, sessionId),
    async adopt() {
      for (const task of await store.tasks({ states: ["running", "checking"] }))
        if (task.workspace !== null && task.sessionId !== null) workspaces.set(task.id, task.sessionId);
    },
    look,
  };
}
