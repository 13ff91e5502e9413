import { StaleHolderError } from "../../hub/base/errors.ts";
import type { Project } from "../../hub/base/project.ts";
import type { Task } from "../../hub/base/task.ts";
import type { Parts } from "../parts.ts";
import type { Place } from "../workspaces/workspaces.ts";

/** What every step after `complete_task` is about. */
export interface Step {
  parts: Parts;
  place: Place;
  project: Project;
  /** As it was when the steps began: its fence guards everything that they write. */
  task: Task;
  signal: AbortSignal;
}

/** What goes back to whoever mends it. */
export interface Findings {
  source: "check" | "merge";
  text: string;
}

/** A write was refused by the fence: somebody else decides about the task now, and these steps are over. */
export function stillOurs(accepted: boolean): void {
  if (!accepted) throw new StaleHolderError("the task has gone on without these steps");
}
