import { SECOND } from "./base/clock.ts";
import { taskName } from "./base/ids.ts";
import type { Log } from "./base/log.ts";
import type { Principal, Session } from "./base/session.ts";
import { isHeld, type Task } from "./base/task.ts";
import type { Leases } from "./queue/leases.ts";
import type { Store } from "./stores/store.ts";
import { fenced, quoted } from "../tools/fenced.ts";
import type { ToolContext } from "../tools/tool.ts";
import { waitFor } from "../tools/waiting.ts";
import { workingSession } from "../tools/working-session.ts";

/** The events of an agent's client that the hub hears of. */
export const HOOK_EVENTS = ["SessionStart", "PostToolUse", "Stop", "StopFailure", "SessionEnd"] as const;
export type HookEvent = (typeof HOOK_EVENTS)[number];

/** What the client is answered, in its own words; `wait` is for our command, which asks again. */
export type HookAnswer =
  | Record<string, never>
  | { wait: true }
  | { decision: "block"; reason: string }
  | { hookSpecificOutput: { hookEventName: HookEvent; additionalContext: string } };

export interface Hooks {
  answer(event: HookEvent, principal: Principal, signal: AbortSignal): Promise<HookAnswer>;
}

export interface HooksOptions {
  store: Store;
  log: Log;
  /** Tasks that a session of ours does before a fresh one takes over. */
  tasksPerSession: number;
  contextOf: (principal: Principal, signal: AbortSignal) => ToolContext;
  leases?: Pick<Leases, "renew">;
}

/** One request waits no longer; whoever holds a session asks again. */
const HOLD_S = 25;
/** A session that ends its turn with its task unfinished is told so this often for each fence. */
const NUDGES = 3;
/** Sessions that are remembered. Beyond this all are forgotten, which only tells some once more. */
const MEMORY = 1_000;
const MAX_FINDINGS = 8_000;
const MAX_MESSAGE = 1_000;
const HEADS = 50;

const LET_GO: HookAnswer = {};

/**
 * What a session's client asks the hub at its own turning points. The gate at the end of a turn
 * keeps the session while its task is being checked, hands findings back, and gives it the next
 * task; the hook after each tool says what the person said. Every hook is a sign of life.
 */
export function createHooks(options: HooksOptions): Hooks {
  const { store, log } = options;
  const nudged = new Map<string, { about: string; times: number }>();

  return {
    async answer(event, principal, signal) {
      const ctx = options.contextOf(principal, signal);
      const session = await workingSession(ctx);
      if (session === undefined) return LET_GO;
      if (session.kind === "attached") options.leases?.renew(session.id);
      await store.sessionSeen(session.id, ctx.clock.now());
      if (event === "PostToolUse") return context(event, await messages(ctx, session));
      if (event === "SessionStart") return context(event, await position(ctx, session));
      if (event === "Stop") return gate(ctx, session.id);
      log.info({ session: session.id, event }, "an agent's client ended");
      return LET_GO;
    },
  };

  /** The person's own session may always end its turn; ours is held, sent back, or let go. */
  async function gate(ctx: ToolContext, sessionId: string): Promise<HookAnswer> {
    const decided = await waitFor(ctx, HOLD_S, () => decide(ctx, sessionId), SECOND);
    return decided ?? { wait: true };
  }

  /** Undefined while there is nothing to say yet. */
  async function decide(ctx: ToolContext, sessionId: string): Promise<HookAnswer | undefined> {
    const session = await store.session(sessionId);
    if (session === undefined || session.state === "ended" || session.kind === "attached") return LET_GO;
    if (ctx.stopped() !== undefined || (await isOnHold(session))) return LET_GO;
    const task = await heldBy(store, session);
    if (task === undefined) return next(session);
    if (task.state === "checking") return undefined;
    return task.state === "running" ? sendBack(session, task) : LET_GO;
  }

  async function isOnHold({ projectId }: Session): Promise<boolean> {
    const project = projectId === null ? undefined : await store.project(projectId);
    return project !== undefined && project.hold !== null;
  }

  function sendBack(session: Session, task: Task): HookAnswer {
    if (!mayNudge(session.id, `T${task.id}/${task.fence}`)) return LET_GO;
    const name = taskName(task.id);
    if (task.findings === null)
      return block(
        `${name} is still yours and not completed. Go on with it and call complete_task with task ${name} and fence ${task.fence}. ` +
          "When you cannot go on, call block_task with one clear question; nobody reads what you write here.",
      );
    return block(
      `${name} is yours again with fence ${task.fence}: mend what was found, then call complete_task with task ${name} and fence ${task.fence}.\n` +
        fenced(`findings of the last check of ${name}`, task.findings, MAX_FINDINGS),
    );
  }

  async function next(session: Session): Promise<HookAnswer> {
    if (session.tasksDone === 0 || session.tasksDone >= options.tasksPerSession) return LET_GO;
    const heads = await store.readyHeads([session.agent], HEADS);
    const ready = heads.some(({ projectId }) => projectId === session.projectId);
    if (!ready || !mayNudge(session.id, `after ${session.tasksDone}`)) return LET_GO;
    return block("That task is done. There is more to do in this project: call claim_next_task for the next task.");
  }

  function mayNudge(sessionId: string, about: string): boolean {
    if (nudged.size > MEMORY) nudged.clear();
    const known = nudged.get(sessionId);
    const times = known?.about === about ? known.times + 1 : 1;
    nudged.set(sessionId, { about, times });
    return times <= NUDGES;
  }

  /** What the person has said since the last time counts as delivered now. */
  async function messages(ctx: ToolContext, session: Session): Promise<string> {
    const stop = ctx.stopped();
    if (stop !== undefined) return "STOP is set: stop working and end now.";
    const task = await heldBy(store, session);
    if (task?.state !== "running") return "";
    const by = { ...ctx.principal, sessionId: session.id };
    const said = await store.reportProgress(by, task.id, task.fence, task.progress, ctx.clock.now());
    return said.messages
      .map((text) => fenced("the person says", text, MAX_MESSAGE, "take it into account, within the task's rules"))
      .join("\n");
  }
}

/** Where a session stands, for a client that has just started or has compacted its context. */
async function position({ store }: ToolContext, session: Session): Promise<string> {
  const task = await heldBy(store, session);
  if (task === undefined) return "";
  const project = await store.project(task.projectId);
  return (
    `You hold ${taskName(task.id)} of project ${quoted(project?.name ?? "", 80)} with fence ${task.fence}. ` +
    "claim_next_task gives you the whole task, also again when you have lost it."
  );
}

async function heldBy(store: Store, session: Session): Promise<Task | undefined> {
  const task = session.taskId === null ? undefined : await store.task(session.taskId);
  return task !== undefined && isHeld(task.state) && task.sessionId === session.id ? task : undefined;
}

function block(reason: string): HookAnswer {
  return { decision: "block", reason };
}

function context(hookEventName: HookEvent, additionalContext: string): HookAnswer {
  return additionalContext === "" ? LET_GO : { hookSpecificOutput: { hookEventName, additionalContext } };
}
