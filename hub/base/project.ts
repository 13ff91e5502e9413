/** A row of the Projects tab. Its id and slug never change; its name is a label. */
export interface Project {
  id: number;
  slug: string;
  name: string;
  /** 1 is highest. */
  priority: number;
  /** What keeps the person's project from being worked on; null when nothing does. */
  hold: "planning" | "paused" | "archived" | null;
  /** What we found wrong with the row itself ("the repository … cannot be read"); null when nothing is. */
  blockedWhy: string | null;
  /** End of the deadline's day, epoch ms. */
  deadline: number | null;
  /** The deadline as the person wrote it (an ISO date once understood). */
  deadlineText: string;
  gpu: boolean;
  /** Agent or model the person wants; empty for any. */
  model: string;
  /** URL or path of the repository; empty for one that we make under `projects_dir`. */
  repo: string;
  /** Folder inside the repository that the project is; empty for the root. */
  path: string;
  setup: string;
  check: string;
  dependsOn: string;
  budget: string;
  autonomy: "ask" | "auto";
  machine: string;
  review: "auto" | "required" | "none";
  nextAction: string;
  /** The text of Next Action that was last turned into a task, or written by us: it makes no task again. */
  consumedAction: string;
  progress: string;
  /** The agent that last worked on it. */
  agent: string;
  lastUpdateAt: number | null;
  /** One writing session at a time works in a lane: the repository, or the project where it has none of its own. */
  lane: string;
  createdAt: number;
  updatedAt: number;
}

/** How many tasks of a project are in each state; kept by the store, never counted at read time. */
export type StateCounts = Partial<Record<import("./task.ts").TaskState, number>>;

export type ProjectStatus = "Planning" | "Queued" | "In Progress" | "Waiting" | "Blocked" | "Paused" | "Done";

/**
 * The word shown for a project, from what is observed. A project that has nothing open and
 * something finished is Done; one that never had a task is Queued (it waits for a first one).
 */
export function projectStatus(project: Pick<Project, "hold" | "blockedWhy">, counts: StateCounts): ProjectStatus {
  if (project.hold === "planning") return "Planning";
  if (project.hold === "paused" || project.hold === "archived") return "Paused";
  if (project.blockedWhy !== null) return "Blocked";
  const n = (state: import("./task.ts").TaskState) => counts[state] ?? 0;
  if (n("running") + n("checking") + n("in_review") > 0) return "In Progress";
  if (n("queued") > 0) return "Queued";
  if (n("blocked") > 0) return "Blocked";
  if (n("waiting") > 0) return "Waiting";
  if (n("failed") > 0) return "Blocked";
  return n("done") + n("landed") > 0 ? "Done" : "Queued";
}
