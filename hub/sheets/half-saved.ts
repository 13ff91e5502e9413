import { readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { CsvText } from "./csv-text.ts";
import type { TabName } from "./sheet.ts";

/** How long a file that looks half saved must have been left alone before it is believed, in milliseconds. */
export interface HalfSavedLimits {
  partMs: number;
  emptyMs: number;
}

/**
 * Whether a save may still be going on: the file is empty, lost rows, or lost the end of its last
 * line, compared with what it was `before`. Answers what it looks like, and for how long it is
 * left alone; undefined for a file that is whole. Control is only ever held for being empty, since
 * a Stop must not wait.
 */
export function halfSaved(
  tab: TabName,
  text: CsvText,
  before: CsvText | undefined,
  { partMs, emptyMs }: HalfSavedLimits,
): { looks: string; ms: number } | undefined {
  const { header, rows } = text.content;
  if (rows.length === 0 && header.every((cell) => cell.trim() === "")) return { looks: "is empty", ms: emptyMs };
  if (before === undefined || (tab !== "Projects" && tab !== "Task Queue")) return undefined;
  if (rows.length < before.content.rows.length) return { looks: "has fewer rows than before", ms: partMs };
  const cut = !endsLine(text) && (endsLine(before) || text.bytes.length < before.bytes.length);
  return cut ? { looks: "ends in the middle of a line", ms: partMs } : undefined;
}

function endsLine({ bytes }: CsvText): boolean {
  const last = bytes.at(-1);
  return last === undefined || last === 10 || last === 13;
}

const WRITING = 0o3;

/** Whether a process of ours has the file open for writing, where the system tells that (Linux); false elsewhere. */
export function isOpenForWriting(path: string): boolean {
  let target: string;
  try {
    target = join(realpathSync(dirname(path)), basename(path));
  } catch {
    return false;
  }
  return namesIn("/proc")
    .filter((name) => /^\d+$/.test(name))
    .some((pid) => namesIn(`/proc/${pid}/fd`).some((fd) => pointsTo(pid, fd, target)));
}

function pointsTo(pid: string, fd: string, target: string): boolean {
  try {
    if (readlinkSync(`/proc/${pid}/fd/${fd}`) !== target) return false;
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8"))?.[1] ?? "0";
    return (Number.parseInt(flags, 8) & WRITING) !== 0;
  } catch {
    // It ended, or was closed, while we looked.
    return false;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
