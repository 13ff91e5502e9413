import type { Project, StateCounts } from "../base/project.ts";
import { projectStatus } from "../base/project.ts";
import { taskName } from "../base/ids.ts";
import { isHeld, isOpen, type Task, whyHere } from "../base/task.ts";
import type { Cells } from "../stores/store.ts";
import { shownText, tidyText } from "./cells.ts";
import { TASK_WORDS } from "./status.ts";
import { formatTime } from "./zone.ts";

/** A project or task as the sheet should show it: text for every column of ours. */
export interface HubRow {
  id: number;
  cells: Cells;
  /** Shown although no row of it was ever in the sheet. */
  shown: boolean;
  /** What taking its row out does: `end` cancels or archives, `back` brings the row back, `none` does nothing more. */
  removal: "end" | "back" | "none";
  /** Why it comes back. */
  removalWhy: string;
  /** The hub's columns that are emptied when it has nothing to say there; in others an old text stays. */
  clears: string[];
}

export interface ProjectHubRow extends HubRow {
  name: string;
  slug: string;
  hold: Project["hold"];
}

export interface TaskHubRow extends HubRow {
  projectId: number;
  alias: string | null;
  /** Epoch ms. */
  createdAt: number;
  state: Task["state"];
  /** It does not go on because its project's row was taken out; when that comes back, so does the task. */
  rests: boolean;
  /** The agent whose it is now or was; empty while nobody had it. */
  agent: string;
}

/** What the hub shows in Projects. */
export function projectRow(project: Project, counts: StateCounts, why: string, zone: string): ProjectHubRow {
  const busy = (counts.running ?? 0) + (counts.checking ?? 0) + (counts.in_review ?? 0);
  const archived = project.hold === "archived";
  return {
    id: project.id,
    name: project.name,
    slug: project.slug,
    hold: project.hold,
    shown: !archived,
    removal: archived ? "none" : busy > 0 ? "back" : "end",
    removalWhy: "a session is working on it",
    clears: ["Why"],
    cells: {
      Project: tidyText(project.name),
      Priority: String(project.priority),
      Status: projectStatus(project, counts),
      Agent: shownText(project.agent),
      "Last Update": formatTime(project.lastUpdateAt, zone),
      "Next Action": tidyText(project.nextAction),
      Deadline: tidyText(project.deadlineText),
      "GPU?": project.gpu ? "Yes" : "No",
      Model: tidyText(project.model),
      "Credits Used": "",
      Repo: tidyText(project.repo),
      Path: tidyText(project.path),
      Setup: tidyText(project.setup),
      Check: tidyText(project.check),
      "Depends On": tidyText(project.dependsOn),
      Budget: tidyText(project.budget),
      Autonomy: project.autonomy,
      Machine: tidyText(project.machine),
      Review: project.review,
      Progress: shownText(project.progress),
      Why: shownText(why),
    },
  };
}

/** What the hub shows in Task Queue. `archived` says that the project's row was taken out. */
export function taskRow(task: Task, projectName: string, zone: string, archived = false): TaskHubRow {
  const rests = archived && (task.state === "queued" || task.state === "waiting" || task.state === "blocked");
  const imported = task.startedAt === null && task.agent === null;
  const agent = isHeld(task.state) || !isOpen(task.state) ? (task.agent ?? "") : "";
  const over = task.state === "cancelled" || task.state === "discarded" || task.state === "landed";
  return {
    id: task.id,
    projectId: task.projectId,
    alias: task.alias,
    createdAt: task.createdAt,
    state: task.state,
    agent: shownText(agent),
    rests,
    shown: !over && !rests,
    removal: over ? "none" : isHeld(task.state) || task.state === "done" ? "back" : "end",
    clears: isOpen(task.state) && task.startedAt !== null ? ["Why", "Completed"] : ["Why"],
    removalWhy: task.state === "done" ? "it is finished and waits for your merge" : "it is being worked on",
    cells: {
      "Task ID": tidyText(task.alias ?? "") || taskName(task.id),
      Project: tidyText(projectName),
      Description: tidyText(task.description),
      Type: task.type,
      "Assigned To": agent === "" ? tidyText(task.wantedAgent ?? "") : tidyText(shownText(agent)),
      Status: rests ? TASK_WORDS.cancelled : TASK_WORDS[task.state],
      Started: formatTime(task.startedAt, zone),
      // What was finished before it was imported has its own history in the row.
      Completed: imported || isOpen(task.state) ? "" : formatTime(task.completedAt, zone),
      Output: tidyText(task.output ?? ""),
      Complexity: task.complexity,
      Priority: task.priority === null ? "" : String(task.priority),
      "Depends On": tidyText(task.dependsOn),
      Why: shownText(
        (rests
          ? ["its project's row was taken out: put it back in Projects and this goes on"]
          : [whyHere(task), isOpen(task.state) ? task.bandWhy : ""]
        )
          .filter((words) => words !== "")
          .join("; "),
      ),
    },
  };
}
