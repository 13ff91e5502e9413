import { continuationFromObservation } from "../hub/base/continuation-text.ts";
import type { StoredContinuation } from "../hub/base/continuation.ts";
import { messageOf } from "../hub/base/errors.ts";
import { taskBranch, taskName } from "../hub/base/ids.ts";
import { SUPERVISOR, type Session } from "../hub/base/session.ts";
import type { Project } from "../hub/base/project.ts";
import type { Task } from "../hub/base/task.ts";
import { placeOf, type Parts } from "./parts.ts";

type Changes = Awaited<ReturnType<Parts["workspaces"]["changes"]>>;

/**
 * Leaves a continuation for whoever goes on, made from what was observed, unless the agent
 * wrote one itself after its last report. Keeps the work that lies in the workspace, too:
 * it is committed and fetched. Never throws: a hand-over that fails must not keep a task held.
 */
export async function handOver(parts: Parts, session: Session, task: Task, ending: string): Promise<void> {
  const { store, clock, log } = parts;
  try {
    const project = await store.project(task.projectId);
    if (project === undefined) return;
    const previous = await store.latestContinuation(project.id);
    const work = await workOf(parts, project, task);
    if (previous !== undefined && (await isCurrent(parts, session, task, previous))) return;
    const last = (await store.checks(task.id)).at(-1);
    const continuation = continuationFromObservation({
      taskName: taskName(task.id),
      description: task.description,
      agent: session.agent,
      branch: taskBranch(task.id),
      ending,
      ...work,
      lastProgress: task.progress,
      lastCheck: last,
      findings: task.findings ?? undefined,
      previous,
    });
    const input = {
      projectId: project.id,
      taskId: task.id,
      author: "hub" as const,
      agent: session.agent,
      continuation,
    };
    await store.writeContinuation(SUPERVISOR, input, clock.now());
  } catch (error) {
    log.error({ session: session.id, task: task.id, error: messageOf(error) }, "no continuation could be written");
  }
}

/** Whether it tells of this session's end already: by the agent, or by us before the hub was cut off here. */
async function isCurrent(parts: Parts, session: Session, task: Task, latest: StoredContinuation): Promise<boolean> {
  if (latest.taskId !== task.id || latest.at < session.startedAt) return false;
  const events = await parts.store.recentEvents({ taskId: task.id, limit: 50 });
  const worked = events.find(({ kind, sessionId }) => kind === "task_progress" && sessionId === session.id);
  const claimed = events.find(({ kind }) => kind === "task_claimed");
  return latest.at >= Math.max(worked?.at ?? 0, claimed?.at ?? 0);
}

async function workOf(parts: Parts, project: Project, task: Task): Promise<Changes> {
  if (task.workspace === null) return { commits: [], files: [] };
  try {
    const { base, head } = await parts.workspaces.collect(await placeOf(parts, project), project, task);
    return base === head ? { commits: [], files: [] } : await parts.workspaces.changes(project, base, head);
  } catch (error) {
    parts.log.warn({ task: task.id, error: messageOf(error) }, "what lies in the workspace could not be collected");
    return { commits: [], files: [] };
  }
}
