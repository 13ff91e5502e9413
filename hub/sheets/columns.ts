import {
  fold,
  readComplexity,
  readDate,
  readPriority,
  readRequired,
  readText,
  readType,
  readWord,
  readYesNo,
  type CellReader,
} from "./cells.ts";
import type { TabContent, TabName } from "./sheet.ts";
import { readProjectStatus, readTaskStatus } from "./status.ts";

/** Whose a column is: only the hub writes its own, and it never writes over what a person typed in the others. */
export type Owner = "person" | "shared" | "hub";

export interface Column {
  name: string;
  owner: Owner;
  /** Other headers it is known under. */
  aliases: string[];
  /** Put at the right when the tab has no such column. */
  always: boolean;
  /** What a typed cell means; for the hub's own columns this is not asked. */
  read: CellReader;
}

const DEFAULT_PRIORITY = "3";
export const NAME_LIMIT = 200;
const DESCRIPTION_LIMIT = 20_000;

function column(name: string, owner: Owner, read: CellReader = readText, aliases: string[] = []): Column {
  return { name, owner, aliases, always: false, read };
}

function always(name: string): Column {
  return { ...column(name, "hub"), always: true };
}

/** The columns of each tab: the person's own first, in the order in which a new sheet has them, ours to the right. */
export const COLUMNS: Record<TabName, Column[]> = {
  Projects: [
    column("Project", "person", readRequired(NAME_LIMIT), ["name", "project name"]),
    column("Priority", "person", readPriority(DEFAULT_PRIORITY), ["prio"]),
    column("Status", "shared", readProjectStatus, ["state"]),
    column("Agent", "hub"),
    column("Last Update", "hub", readText, ["updated", "last updated"]),
    column("Next Action", "shared", readRequiredOrEmpty(DESCRIPTION_LIMIT), ["next", "next step"]),
    column("Deadline", "person", readDate, ["due", "due date"]),
    column("GPU?", "person", readYesNo, ["gpu", "needs gpu"]),
    column("Model", "person"),
    column("Credits Used", "hub", readText, ["credits"]),
    column("Repo", "person", readText, ["repository"]),
    column("Path", "person", readText, ["folder", "subfolder"]),
    column("Setup", "person", readText, ["setup command"]),
    column("Check", "person", readText, ["check command", "checks"]),
    column("Depends On", "person", readText, ["depends", "dependencies", "after"]),
    column("Budget", "person"),
    column("Autonomy", "person", readWord(["ask", "auto"], "ask")),
    column("Machine", "person"),
    column("Review", "person", readWord(["auto", "required", "none"], "auto", { no: "none", yes: "required" })),
    always("Progress"),
    always("Why"),
    always("Id"),
    always("Rev"),
  ],
  "Task Queue": [
    column("Task ID", "shared", readText, ["task", "taskid"]),
    column("Project", "person", readText, ["project name"]),
    column("Description", "person", readRequired(DESCRIPTION_LIMIT), ["what", "title"]),
    column("Type", "person", readType),
    column("Assigned To", "shared", readText, ["assignee", "agent"]),
    column("Status", "shared", readTaskStatus, ["state"]),
    column("Started", "hub"),
    column("Completed", "hub", readText, ["finished"]),
    column("Output", "shared"),
    column("Complexity", "person", readComplexity),
    column("Priority", "person", readPriority(""), ["prio"]),
    column("Depends On", "person", readText, ["depends", "dependencies", "after"]),
    always("Why"),
    always("Id"),
    always("Rev"),
  ],
  "Agent Status": ["Agent", "Type", "VM", "Status", "Current Task", "Credits", "GPU", "Uptime"].map((name) =>
    column(name, "hub"),
  ),
  "Activity Log": ["Time", "Project", "Event", "Details"].map((name) => column(name, "hub")),
  Control: [
    column("Stop", "person", readYesNo),
    column("Confirm", "person", readYesNo, ["confirm deletion"]),
    always("Stopped"),
    always("By"),
    always("Why"),
  ],
};

function readRequiredOrEmpty(limit: number): CellReader {
  const read = readRequired(limit);
  return (text) => (text === "" ? { ok: true, text } : read(text));
}

const BY_HEADER = new Map(
  Object.entries(COLUMNS).map(([tab, columns]) => [
    tab,
    new Map([
      ...columns.flatMap((each) => each.aliases.map((alias) => [alias, each] as const)),
      ...columns.map((each) => [fold(each.name), each] as const),
    ]),
  ]),
);

/** The column that a header cell names, whatever its case; undefined for one that is not ours to know. */
export function columnOf(tab: TabName, header: string): Column | undefined {
  return BY_HEADER.get(tab)?.get(fold(header));
}

/** Where a tab's known columns stand. */
export interface Layout {
  tab: TabName;
  /** The header with what must be there at its right; the same array when nothing is missing. */
  header: string[];
  added: boolean;
  index: Map<string, number>;
  /** The known columns that are there, in the sheet's order. */
  columns: { column: Column; at: number }[];
}

/** Reads a tab's header. A name that stands there twice counts where it stands first. */
export function layoutOf(tab: TabName, content: TabContent): Layout {
  const fresh = content.header.every((cell) => cell.trim() === "");
  const header = fresh ? COLUMNS[tab].map(({ name }) => name) : [...content.header];
  const index = new Map<string, number>();
  // An exact name goes before an alias: "Agent" may stand beside "Assigned To".
  for (const exact of [true, false]) {
    header.forEach((cell, at) => {
      const column = columnOf(tab, cell);
      if (column === undefined || index.has(column.name)) return;
      if (!exact || fold(cell) === fold(column.name)) index.set(column.name, at);
    });
  }
  let added = fresh;
  for (const column of COLUMNS[tab]) {
    if (!column.always || index.has(column.name)) continue;
    index.set(column.name, header.length);
    header.push(column.name);
    added = true;
  }
  const columns = COLUMNS[tab]
    .flatMap((each) => {
      const at = index.get(each.name);
      return at === undefined ? [] : [{ column: each, at }];
    })
    .toSorted((a, b) => a.at - b.at);
  return { tab, header, added, index, columns };
}

/** How many cells of `header` are known in `tab`; used to tell a header from a row. */
export function knownHeaders(tab: TabName, header: string[]): number {
  return header.filter((cell) => columnOf(tab, cell) !== undefined).length;
}

/** A new sheet's header for `tab`. */
export function freshHeader(tab: TabName): string[] {
  return COLUMNS[tab].map(({ name }) => name);
}
