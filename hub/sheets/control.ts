import type { Stop } from "../base/stop-file.ts";
import { cellText, readYesNo, safeCell, shownText, tidyText } from "./cells.ts";
import { layoutOf } from "./columns.ts";
import type { TabContent, TabEdits } from "./sheet.ts";
import { formatTime } from "./zone.ts";

/** What the Control tab says, and what to write there. */
export interface ControlReading {
  /** The person asks for STOP, and it was not done yet. */
  stop: boolean;
  /** The answer to what `question` asked in an earlier cycle. */
  answer: "yes" | "no" | undefined;
  edits: TabEdits | undefined;
}

export interface ControlInput {
  content: TabContent;
  stopped: Stop | undefined;
  /** The Stop that stands in the cell was obeyed already. */
  obeyed: boolean;
  /** What a person must confirm; empty for nothing. */
  question: string;
  zone: string;
}

/**
 * Reads the Control tab. Stop counts once: after a release the cell is emptied, so that an old
 * yes does not stop everything again; emptying the cell releases nothing.
 */
export function readControl({ content, stopped, obeyed, question, zone }: ControlInput): ControlReading {
  const layout = layoutOf("Control", content);
  const text = (row: string[], column: string) => cellText(row[layout.index.get(column) ?? -1] ?? "");
  const stopRow = content.rows.findIndex((row) => asksForStop(text(row, "Stop")));
  const first = content.rows.findIndex((row) => row.some((cell) => cell.trim() !== ""));
  const at = stopRow >= 0 ? stopRow : first;
  const row = content.rows[at] ?? [];
  const typed = stopRow >= 0;
  const known = obeyed || text(row, "Stopped") !== "";
  const released = typed && stopped === undefined && known;
  const confirm = text(row, "Confirm").toLowerCase();
  const asked = question !== "" && text(row, "Why").includes(tidyText(question));

  const cells: Record<string, string> = {
    Stopped: stopped === undefined ? "" : timeOf(stopped.at, zone),
    By: stopped?.by ?? "",
    Why: shownText([whyOf(stopped, typed, text(row, "Stop")), question].filter((words) => words !== "").join(" ")),
  };
  if (released) cells["Stop"] = "";
  if (confirm !== "" && layout.index.has("Confirm")) cells["Confirm"] = "";
  return {
    stop: typed && stopped === undefined && !known,
    answer: !asked || confirm === "" ? undefined : answerOf(confirm),
    edits: editsOf(content, layout, at, cells),
  };
}

function asksForStop(text: string): boolean {
  const word = readYesNo(text);
  return word.ok ? word.text === "Yes" : ["stop", "halt", "now", "stop all"].includes(text.toLowerCase());
}

function answerOf(text: string): "yes" | "no" | undefined {
  const word = readYesNo(text);
  return word.ok ? (word.text === "Yes" ? "yes" : "no") : undefined;
}

function timeOf(at: string, zone: string): string {
  const ms = Date.parse(at);
  return Number.isNaN(ms) ? "yes" : formatTime(ms, zone);
}

function whyOf(stopped: Stop | undefined, typed: boolean, text: string): string {
  if (stopped === undefined)
    return text === "" || typed || readYesNo(text).ok
      ? ""
      : `Stop "${text.slice(0, 40)}" is not understood: write yes.`;
  const end = typed ? "" : " Emptying Stop does not release it:";
  return `${stopped.why === "" ? "Everything is stopped" : stopped.why}.${end} Use "cto release" or the page to go on.`;
}

function editsOf(
  content: TabContent,
  layout: ReturnType<typeof layoutOf>,
  at: number,
  cells: Record<string, string>,
): TabEdits | undefined {
  const edits: TabEdits = { tab: "Control", cells: [], append: [], remove: [] };
  if (layout.added) edits.header = layout.header;
  const row = content.rows[at];
  if (row === undefined) {
    if (Object.values(cells).some((cell) => cell !== ""))
      edits.append.push(layout.columns.map(({ column }) => safeCell(cells[column.name] ?? "")));
  } else {
    for (const [column, cell] of Object.entries(cells)) {
      const place = layout.index.get(column);
      const raw = row[place ?? -1] ?? "";
      if (place !== undefined && cellText(raw) !== tidyText(cell))
        edits.cells.push({ row: at, column: place, text: safeCell(cell) });
    }
  }
  return edits.header !== undefined || edits.cells.length > 0 || edits.append.length > 0 ? edits : undefined;
}
