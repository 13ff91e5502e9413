import type { HubStatus } from "../api.ts";

export type TaskLine = HubStatus["tasks"][number];

// oxlint-disable-next-line no-control-regex -- sequences of a terminal begin with a control character
const CONTROL = /\u001B\[[0-?]*[ -/]*[@-~]|[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/g;

/** Text from outside, made fit for a terminal: it must not move the cursor or change colours. */
export function plain(text: string): string {
  return text.replace(/\r\n?/g, "\n").replace(CONTROL, "");
}

/** The same on one line of at most `max` characters. */
export function short(text: string, max = 70): string {
  const line = plain(text).replace(/\s+/g, " ").trim();
  return line.length <= max ? line : `${line.slice(0, max - 1)}…`;
}

/** Columns of text, each as wide as its widest cell. */
export function table(rows: string[][]): string {
  const widths = rows.reduce<number[]>((all, row) => row.map((cell, at) => Math.max(cell.length, all[at] ?? 0)), []);
  const line = (row: string[]) => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ");
  return rows.map((row) => `${line(row).trimEnd()}\n`).join("");
}

/** `T12  running  …`: what a person wants to know of a task in one line. */
export function taskRow(task: TaskLine): string[] {
  const words = task.why !== "" ? task.why : task.progress;
  return [
    "",
    task.id,
    task.state.replace("_", " "),
    short(task.project, 24),
    short(task.description, 48),
    short(words, 60),
  ];
}
