import { StaleHolderError, UserInputError } from "../hub/base/errors.ts";
import { parseTaskName, sha256, taskName } from "../hub/base/ids.ts";
import type { Principal, Session } from "../hub/base/session.ts";
import { isHeld, type Task } from "../hub/base/task.ts";
import type { ToolContext } from "./tool.ts";

/** What is shown as the agent of a session that is not ours: which one it is nobody told us. */
const ATTACHED_AGENT = "attached";

/**
 * The session that the caller works in; undefined when it has none yet.
 *
 * A session of ours has a token bound to it. Any other token works in an attached session of
 * its own, whose id follows from the token, so that a call that is repeated finds it again; when
 * one has ended, the next claim opens the next.
 */
export async function workingSession(ctx: ToolContext): Promise<Session | undefined> {
  const { principal, store } = ctx;
  if (principal.sessionId !== null) return live(await store.session(principal.sessionId));
  return live((await latestAttached(ctx)).session);
}

/** The same, opening an attached session when there is none. */
export async function openWorkingSession(ctx: ToolContext): Promise<Session> {
  const found = await workingSession(ctx);
  if (found !== undefined) return found;
  const { principal, store, clock } = ctx;
  if (principal.sessionId !== null) throw new StaleHolderError("This session has ended. Stop now: make no more calls.");
  const { next } = await latestAttached(ctx);
  return store.openSession(
    {
      id: attachedId(principal, next),
      agent: ATTACHED_AGENT,
      projectId: principal.projectId,
      kind: "attached",
      machine: "native",
    },
    clock.now(),
  );
}

/** The caller as the holder of tasks: with the session that it works in. */
export async function holder(ctx: ToolContext): Promise<Principal> {
  const session = await workingSession(ctx);
  if (session === undefined)
    throw new StaleHolderError("You hold no task. Stop working on it, and call claim_next_task for one.");
  return { ...ctx.principal, sessionId: session.id, projectId: ctx.principal.projectId ?? session.projectId };
}

/** The number of a task that the caller names as `T12`. */
export function taskNumber(name: string): number {
  const id = parseTaskName(name);
  if (id === undefined)
    throw new UserInputError(`${JSON.stringify(name.slice(0, 40))} is not a task. Use its name, such as "T12".`);
  return id;
}

/**
 * The task `name`, which the caller holds or was the last to hold. A task of another session or project is refused in the
 * same words as one that does not exist: names give no hints.
 */
export async function ownTask(ctx: ToolContext, name: string): Promise<Task> {
  const id = taskNumber(name);
  const session = await workingSession(ctx);
  const task = await ctx.store.task(id);
  if (task === undefined || session === undefined || task.sessionId !== session.id)
    throw new StaleHolderError(`${taskName(id)} is not yours. Stop working on it, and call claim_next_task.`);
  return task;
}

/** `T12`'s hold by the calling session under `fence`; throws when it is no longer so. */
export async function heldTask(ctx: ToolContext, name: string, fence: number): Promise<{ by: Principal; task: Task }> {
  const task = await ownTask(ctx, name);
  if (!isHeld(task.state))
    throw new StaleHolderError(
      `${taskName(task.id)} is ${task.state} and no longer yours. Stop working on it, and call claim_next_task.`,
    );
  if (task.fence !== fence)
    throw new StaleHolderError(
      `Stop what you are doing: fence ${fence} of ${taskName(task.id)} is old. Call claim_next_task: it gives you the task as it stands now.`,
    );
  return { by: await holder(ctx), task };
}

function live(session: Session | undefined): Session | undefined {
  return session?.state === "ended" ? undefined : session;
}

/** A caller's attached sessions are numbered; the newest is found by doubling and halving. */
async function latestAttached(ctx: ToolContext): Promise<{ session: Session | undefined; next: number }> {
  const at = (n: number) => ctx.store.session(attachedId(ctx.principal, n));
  let beyond = 1;
  while ((await at(beyond - 1)) !== undefined) beyond *= 2;
  let [first, last] = [Math.floor(beyond / 2), beyond - 1];
  while (first < last) {
    const middle = Math.floor((first + last) / 2);
    if ((await at(middle)) === undefined) last = middle;
    else first = middle + 1;
  }
  return { session: first === 0 ? undefined : await at(first - 1), next: first };
}

/** The id of a caller's `n`th attached session, from 0. */
export function attachedId(principal: Principal, n: number): string {
  return `s-${sha256(`attached ${principal.name} ${n}`).slice(0, 12)}`;
}
