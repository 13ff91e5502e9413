import { messageOf } from "../hub/base/errors.ts";
import { DAY } from "../hub/base/clock.ts";
import type { Task } from "../hub/base/task.ts";
import type { Machine } from "./machines/machine.ts";
import { placeOf, type Parts } from "./parts.ts";

export interface Retention {
  /** Workspaces of finished tasks are kept this long. */
  keepWorkspacesMs: number;
  /** Run folders of what has ended are kept this long… */
  keepRunsMs: number;
  /** …and no more than this many of them. */
  keepRuns: number;
}

type Kept = Pick<Parts, "store" | "clock" | "log" | "machines" | "workspaces">;

const PAGE = 200;
/** Tasks that finished longer ago than this were swept before, unless the hub was off for long. */
const LOOK_BACK_MS = 30 * DAY;
const FINISHED = ["done", "landed", "cancelled", "discarded"] as const;

/** Removes workspaces and run folders by age and number, so that the disk stays bounded. Whatever is in use stays. */
export async function sweep(parts: Kept, retention: Retention): Promise<void> {
  const workspaces = await sweepWorkspaces(parts, retention);
  let runs = 0;
  for (const machine of parts.machines.values()) runs += await sweepRuns(parts, machine, retention);
  if (workspaces + runs > 0) parts.log.info({ workspaces, runs }, "removed what is no longer kept");
}

async function sweepWorkspaces(parts: Kept, { keepWorkspacesMs }: Retention): Promise<number> {
  const now = parts.clock.now();
  let removed = 0;
  let beforeId: number | undefined;
  for (;;) {
    const page = await parts.store.tasks({
      states: [...FINISHED],
      limit: PAGE,
      ...(beforeId !== undefined && { beforeId }),
    });
    for (const task of page) if (isOver(task, now, keepWorkspacesMs) && (await discard(parts, task))) removed += 1;
    const last = page.at(-1);
    if (
      last === undefined ||
      page.length < PAGE ||
      page.every((task) => now - task.updatedAt > keepWorkspacesMs + LOOK_BACK_MS)
    )
      return removed;
    beforeId = last.id;
  }
}

function isOver(task: Task, now: number, keepMs: number): boolean {
  return task.workspace !== null && task.completedAt !== null && now - task.completedAt > keepMs;
}

async function discard(parts: Kept, task: Task): Promise<boolean> {
  const project = await parts.store.project(task.projectId);
  if (project === undefined) return false;
  try {
    await parts.workspaces.discard(await placeOf(parts, project), project, task);
    return true;
  } catch (error) {
    parts.log.warn({ task: task.id, error: messageOf(error) }, "a workspace could not be removed");
    return false;
  }
}

async function sweepRuns(parts: Kept, machine: Machine, { keepRunsMs, keepRuns }: Retention): Promise<number> {
  const ended = (await Promise.all((await machine.list()).map(async (id) => ({ id, at: await endedAt(parts, id) }))))
    .filter((run): run is { id: string; at: number } => run.at !== undefined)
    .toSorted((a, b) => b.at - a.at);
  const now = parts.clock.now();
  const over = ended.filter(({ at }, index) => index >= keepRuns || now - at > keepRunsMs);
  let removed = 0;
  for (const { id } of over) {
    if ((await machine.observe(id)).state === "running") continue;
    await machine.remove(id);
    removed += 1;
  }
  return removed;
}

/** When the session, or the task of the check, was over; undefined while it is not. Unknown runs are as old as can be. */
async function endedAt(parts: Kept, id: string): Promise<number | undefined> {
  const check = /^c-t(\d+)-f(\d+)-/.exec(id);
  if (check === null) {
    const session = await parts.store.session(id);
    return session === undefined ? 0 : (session.endedAt ?? undefined);
  }
  const task = await parts.store.task(Number(check[1]));
  if (task === undefined) return 0;
  return task.state === "checking" && task.fence === Number(check[2]) ? undefined : task.updatedAt;
}
