import type { EventKind, HubEvent } from "../base/event.ts";
import type { Session } from "../base/session.ts";
import { taskName } from "../base/ids.ts";
import type { Cells } from "../stores/store.ts";
import { cellText, fold, safeCell, shownText, tidyText } from "./cells.ts";
import { layoutOf } from "./columns.ts";
import type { TabContent, TabEdits } from "./sheet.ts";
import { formatTime } from "./zone.ts";

/** An agent as the Agent Status tab shows it. */
export interface AgentInfo {
  name: string;
  /** Its model, or its program where it has none of its own. */
  type: string;
  enabled: boolean;
}

/** The row of each agent, from what is configured and what runs now. */
export function agentRows(agents: AgentInfo[], live: Session[], now: number): Cells[] {
  const names = new Set(agents.map(({ name }) => name));
  const others = [...new Set(live.map(({ agent }) => agent))].filter((name) => !names.has(name));
  const all = [...agents, ...others.map((name) => ({ name, type: "", enabled: true }))];
  return all.map((agent) => {
    const sessions = live.filter((session) => session.agent === agent.name);
    const working = sessions.filter((session) => session.taskId !== null);
    const since = Math.min(...sessions.map((session) => session.startedAt));
    return {
      Agent: agent.name,
      Type: shownText(agent.type),
      VM: [...new Set(sessions.map((session) => session.machine))].join(", "),
      Status: working.length > 0 ? "Active" : agent.enabled ? "Idle" : "Off",
      "Current Task": working.map((session) => taskName(session.taskId ?? 0)).join(", "),
      Uptime: sessions.length === 0 ? "" : durationOf(now - since),
    };
  });
}

function durationOf(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  return minutes < 60 ? `${minutes}m` : `${Math.floor(minutes / 60)}h ${minutes % 60}m`;
}

/** Brings the Agent Status tab up to date; an agent that is not there any more is Off. */
export function agentEdits(content: TabContent, rows: Cells[]): TabEdits | undefined {
  const layout = layoutOf("Agent Status", content);
  const edits: TabEdits = { tab: "Agent Status", cells: [], append: [], remove: [] };
  if (layout.added) edits.header = layout.header;
  const wanted = new Map(rows.map((row) => [fold(row["Agent"] ?? ""), row]));
  const nameAt = layout.index.get("Agent") ?? -1;
  content.rows.forEach((row, at) => {
    const name = fold(cellText(row[nameAt] ?? ""));
    if (name === "") return;
    const cells = wanted.get(name) ?? { Status: "Off", "Current Task": "", Uptime: "" };
    wanted.delete(name);
    for (const [column, text] of Object.entries(cells)) {
      const place = layout.index.get(column);
      if (place !== undefined && column !== "Agent" && cellText(row[place] ?? "") !== tidyText(text))
        edits.cells.push({ row: at, column: place, text: safeCell(text) });
    }
  });
  if (nameAt >= 0) for (const row of wanted.values()) edits.append.push(rowOf(layout.header.length, layout.index, row));
  return edits.header !== undefined || edits.cells.length > 0 || edits.append.length > 0 ? edits : undefined;
}

function rowOf(length: number, index: Map<string, number>, cells: Cells): string[] {
  const row = Array.from({ length }, () => "");
  for (const [column, text] of Object.entries(cells)) {
    const at = index.get(column);
    if (at !== undefined) row[at] = safeCell(text);
  }
  return row;
}

/** What the Activity Log shows, and in which words. */
const EVENT_WORDS: Partial<Record<EventKind, string>> = {
  hub_started: "Hub started",
  hub_stopped: "Hub stopped",
  stop_set: "Stopped",
  stop_released: "Released",
  project_added: "Project added",
  task_added: "Task added",
  task_claimed: "Started",
  task_progress: "Progress",
  task_completed: "Completed",
  task_checked: "Checked",
  task_findings: "Findings",
  task_requeued: "Back in the queue",
  task_waiting: "Waiting",
  task_blocked: "Blocked",
  task_done: "Done",
  task_failed: "Failed",
  task_cancelled: "Cancelled",
  task_reopened: "Reopened",
  question_asked: "Question",
  question_answered: "Answered",
  sheet_problem: "Sheet",
};
const LOGGED = new Set(Object.values(EVENT_WORDS));
const LOG_ROWS = 200;
const TIME = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}$/;

/** The log's rows, oldest first; `events` newest first, `projects` are names by id. */
export function logRows(events: HubEvent[], projects: Map<number, string>, zone: string): Cells[] {
  return events
    .flatMap((event) => {
      const words = EVENT_WORDS[event.kind];
      if (words === undefined) return [];
      const project = event.projectId === null ? "" : (projects.get(event.projectId) ?? "");
      return [{ Time: formatTime(event.at, zone), Project: project, Event: words, Details: detailsOf(event) }];
    })
    .slice(0, LOG_ROWS)
    .toReversed();
}

function detailsOf({ taskId, data }: HubEvent): string {
  const keys = ["text", "summary", "why", "words", "outcome", "name", "origin"];
  const text = keys.map((key) => data[key]).find((value) => typeof value === "string" && value !== "");
  const details = typeof text === "string" ? text : "";
  return shownText([taskId === null ? "" : taskName(taskId), details].filter((part) => part !== "").join(": ")).slice(
    0,
    300,
  );
}

/** Adds new rows at the end of the Activity Log and takes our oldest out; what a person wrote there stays. */
export function logEdits(content: TabContent, rows: Cells[]): TabEdits | undefined {
  const layout = layoutOf("Activity Log", content);
  const edits: TabEdits = { tab: "Activity Log", cells: [], append: [], remove: [] };
  if (layout.added) edits.header = layout.header;
  const columns = ["Time", "Project", "Event", "Details"];
  const keyOf = (text: (column: string) => string) => JSON.stringify(columns.map(text));
  const wanted = new Map<string, number>();
  for (const row of rows) {
    const key = keyOf((column) => (layout.index.has(column) ? tidyText(row[column] ?? "") : ""));
    wanted.set(key, (wanted.get(key) ?? 0) + 1);
  }
  content.rows.forEach((row, at) => {
    const text = (column: string) => cellText(row[layout.index.get(column) ?? -1] ?? "");
    const key = keyOf(text);
    const left = wanted.get(key) ?? 0;
    if (left > 0) wanted.set(key, left - 1);
    else if (TIME.test(text("Time")) && LOGGED.has(text("Event"))) edits.remove.push(at);
  });
  for (const row of rows) {
    const key = keyOf((column) => (layout.index.has(column) ? tidyText(row[column] ?? "") : ""));
    const left = wanted.get(key) ?? 0;
    if (left === 0) continue;
    wanted.set(key, left - 1);
    edits.append.push(rowOf(layout.header.length, layout.index, row));
  }
  return edits.header !== undefined || edits.remove.length > 0 || edits.append.length > 0 ? edits : undefined;
}
