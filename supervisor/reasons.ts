import { taskName } from "../hub/base/ids.ts";
import type { Project } from "../hub/base/project.ts";
import type { Task } from "../hub/base/task.ts";
import { nobodyWords } from "../hub/routing/allowed-agents.ts";
import type { Known, Plan } from "./plan.ts";

/** What there is to say about a queued task that the plan did not look at, because it heads no lane. */
export interface QueueView {
  stop: { by: string; why: string } | undefined;
  /** Queued tasks that nobody prepares a machine for. */
  queued: Pick<Task, "id" | "projectId" | "wantedAgent">[];
  projects: Map<number, Pick<Project, "name" | "hold" | "blockedWhy" | "lane" | "dependsOn" | "model">>;
  known: Pick<Known, "agents" | "off">;
  /** The task that is worked on in a lane. */
  busy: Map<string, number>;
  /** The first ready task of a lane. */
  first: Map<string, number>;
  plan: Pick<Plan, "start" | "notYet">;
}

/** Why each queued task is not running, in one sentence each: nothing in the queue is left without a reason. Pure. */
export function reasons(view: QueueView): { taskId: number; why: string }[] {
  const planned = new Map(view.plan.notYet.map(({ taskId, why }) => [taskId, why]));
  const starting = new Set(view.plan.start.map(({ taskId }) => taskId));
  return view.queued
    .filter(({ id }) => !starting.has(id))
    .map((task) => ({ taskId: task.id, why: planned.get(task.id) ?? reasonOf(task, view) }));
}

function reasonOf(task: QueueView["queued"][number], view: QueueView): string {
  if (view.stop !== undefined) return "STOP is set; nothing starts until it is released";
  const project = view.projects.get(task.projectId);
  if (project === undefined) return "";
  if (project.hold !== null) return `its project is ${project.hold === "planning" ? "in planning" : project.hold}`;
  if (project.blockedWhy !== null) return `its project is blocked: ${project.blockedWhy}`;
  const busy = view.busy.get(project.lane);
  if (busy !== undefined) return `waits for ${taskName(busy)}: one session at a time works in this repository`;
  const first = view.first.get(project.lane);
  if (first !== undefined && first !== task.id)
    return `waits for ${taskName(first)}, which goes before it in this repository`;
  const nobody = nobodyWords(view.known.agents, view.known.off ?? [], task.wantedAgent, project.model);
  if (nobody !== undefined) return nobody;
  if (project.dependsOn.trim() !== "")
    return `waits for what its project depends on: ${project.dependsOn.trim().slice(0, 100)}`;
  return "waits for its turn";
}
