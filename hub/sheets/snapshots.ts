import type { AgreedRow, Cells } from "../stores/store.ts";

/**
 * What the sheet and the hub agreed on, row by row and revision by revision.
 *
 * A snapshot's cells are the person's and shared columns as the sheet shows them at that
 * revision. Besides, its keys may be: `was <Column>`, what the sheet showed in a cell that the
 * hub was about to write (it counts until a read has shown the revision); `note` and `note
 * status`, words kept in Why while the status stays; `deleted`, the person took the row out;
 * `back`, the row was taken out and must come back; `copy`, the row was copied from another, so
 * that the hub's cells in it say what is true of that one; `others`, what a new row had in columns
 * that are not ours.
 */
export type RowTab = AgreedRow["tab"];

const WAS = "was ";
export const NOTE = "note";
export const NOTE_STATUS = "note status";
/** A note status that begins so has what was typed as Task ID behind it, and stays whatever the status is. */
export const TYPED = "typed ";
export const DELETED = "deleted";
export const BACK = "back";
export const COPY = "copy";
export const OTHERS = "others";
const MARKS = new Set([NOTE, NOTE_STATUS, DELETED, BACK, COPY, OTHERS]);

/** All snapshots of one row, oldest first. */
export type History = AgreedRow[];
export type Histories = Map<string, History>;

export function rowKey(tab: RowTab, id: number): string {
  return `${tab === "Projects" ? "P" : "T"}${id}`;
}

export function historiesOf(agreed: AgreedRow[]): Histories {
  const histories: Histories = new Map();
  for (const row of agreed) {
    const key = rowKey(row.tab, row.id);
    const history = histories.get(key);
    if (history === undefined) histories.set(key, [row]);
    else history.push(row);
  }
  for (const history of histories.values()) history.sort((a, b) => a.rev - b.rev);
  return histories;
}

/** What a row in the sheet is compared with. */
export interface Base {
  /** The cell as it was when the row's file was written; undefined when that is not known. */
  cell(column: string): string | undefined;
  /** True when `text` stood in the cell at a later agreement already, so that an old file's copy of it is no edit. */
  taken(column: string, text: string): boolean;
  /** The snapshot of the row's revision is not kept any more: only texts never seen are edits. */
  vague: boolean;
}

/**
 * The base of a row that shows revision `rev` (undefined when the cell is empty or wrong).
 * As long as nothing newer was seen written, the file goes on from what was last read of it;
 * otherwise it is an old file, saved over a newer one, and goes on from its own revision.
 */
export function baseOf(history: History, rev: number | undefined): Base {
  const newest = history.at(-1);
  if (newest === undefined) return { cell: () => undefined, taken: () => false, vague: false };
  const at = rev === undefined ? newest : history.findLast((row) => row.rev <= rev);
  const later = at === undefined ? history : history.slice(history.indexOf(at) + 1);
  const current = at !== undefined && later.every((row) => !row.confirmed);
  if (current && newest !== at) {
    return {
      cell: (column) => newest.cells[WAS + column] ?? newest.cells[column],
      taken: () => false,
      vague: false,
    };
  }
  const snapshot = at ?? history[0];
  return {
    cell: (column) => snapshot?.cells[column],
    taken: (column, text) => later.some((row) => row.cells[column] === text),
    vague: at === undefined,
  };
}

/** What the newest file of ours that is known to be there shows in a cell. */
export function lastShown(history: History, column: string): string | undefined {
  const newest = history.at(-1);
  if (newest === undefined) return undefined;
  return newest.confirmed ? newest.cells[column] : (newest.cells[WAS + column] ?? newest.cells[column]);
}

/** The snapshot's agreed cells alone. */
export function agreedCells(cells: Cells): Cells {
  return Object.fromEntries(Object.entries(cells).filter(([key]) => !key.startsWith(WAS) && !MARKS.has(key)));
}

/** `cells` with what the sheet showed where the hub is about to write. */
export function withWas(cells: Cells, was: Cells): Cells {
  return { ...cells, ...Object.fromEntries(Object.entries(was).map(([column, text]) => [WAS + column, text])) };
}

export function sameCells(a: Cells, b: Cells): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

/** Snapshots that the row's revision proves to be in the file, and that were not known to be. */
export function newlySeen(history: History, rev: number | undefined): AgreedRow[] {
  if (rev === undefined) return [];
  return history.filter((row) => row.rev <= rev && !row.confirmed);
}
