import { taskName } from "../base/ids.ts";
import type { HubEvent } from "../base/event.ts";
import { projectStatus, type Project, type StateCounts } from "../base/project.ts";
import type { Session } from "../base/session.ts";
import type { Task } from "../base/task.ts";
import type { Question, Store } from "../stores/store.ts";
import { asksWhy } from "../queue/questions.ts";
import { projectRow, taskRow, type ProjectHubRow, type TaskHubRow } from "./hub-rows.ts";

const LOG_EVENTS = 600;

/** What the hub has to show in the sheet. */
export interface HubView {
  projects: ProjectHubRow[];
  tasks: TaskHubRow[];
  names: Map<number, string>;
  live: Session[];
  events: HubEvent[];
}

export type ViewedStore = Pick<
  Store,
  "projects" | "counts" | "tasks" | "openQuestions" | "liveSessions" | "recentEvents"
>;

/** Reads everything that the sheet shows. */
export async function viewHub(store: ViewedStore, zone: string): Promise<HubView> {
  const projects = await store.projects({ archived: true });
  const counts = await store.counts();
  const tasks = (await store.tasks()).toReversed();
  const questions = await store.openQuestions();
  const archived = new Set(projects.filter(({ hold }) => hold === "archived").map(({ id }) => id));
  const names = new Map(projects.map(({ id, name }) => [id, name]));
  const stuck = firstStuck(tasks);
  return {
    projects: projects.map((project) => {
      const count = counts.get(project.id) ?? {};
      return projectRow(project, count, projectWhy(project, count, stuck.get(project.id), questions), zone);
    }),
    tasks: tasks.map((task) => taskRow(task, names.get(task.projectId) ?? "", zone, archived.has(task.projectId))),
    names,
    live: await store.liveSessions(),
    events: await store.recentEvents({ limit: LOG_EVENTS }),
  };
}

/** For each project the first task that does not run, with its reason. */
function firstStuck(tasks: Task[]): Map<number, Task> {
  const first = new Map<number, Task>();
  const order = { blocked: 0, failed: 1, waiting: 2, queued: 3 } as const;
  for (const task of tasks) {
    if (task.why === "" || !(task.state in order)) continue;
    const known = first.get(task.projectId);
    const rank = (each: Task) => order[each.state as keyof typeof order];
    if (known === undefined || rank(task) < rank(known)) first.set(task.projectId, task);
  }
  return first;
}

/** Why a project is where it is, in one line; empty when its status says it all. */
function projectWhy(project: Project, counts: StateCounts, stuck: Task | undefined, questions: Question[]): string {
  if (project.blockedWhy !== null) return project.blockedWhy;
  if (project.hold !== null)
    return project.hold === "archived" ? "its row was taken out: type Queued to take it up again" : "";
  const asked = questions.find((question) => question.projectId === project.id);
  if (asked !== undefined) {
    // A next action is the hub's question about the project, whichever task stated it.
    const who = asked.taskId === null || asked.kind === "next_action" ? "" : `${taskName(asked.taskId)} `;
    return `${who}${asksWhy(asked.id, asked.text)}`;
  }
  if (projectStatus(project, counts) === "In Progress" || stuck === undefined) return "";
  return `${taskName(stuck.id)}: ${stuck.why}`;
}
