import type { AgreedRow, Cells, SheetChanges } from "../stores/store.ts";
import { cellText, isFormula, safeCell, shownText, tidyText } from "./cells.ts";
import { layoutOf, type Column, type Layout } from "./columns.ts";
import type { HubRow, ProjectHubRow, TaskHubRow } from "./hub-rows.ts";
import { linkRows, type Absent, type LinkRules } from "./link.ts";
import { createProjectRules } from "./merge-projects.ts";
import { createTaskRules } from "./merge-tasks.ts";
import { othersOf, rowsOf, short, type SheetRow } from "./row.ts";
import type { TabContent, TabEdits } from "./sheet.ts";
import {
  agreedCells,
  BACK,
  baseOf,
  COPY,
  DELETED,
  lastShown,
  newlySeen,
  NOTE,
  NOTE_STATUS,
  OTHERS,
  rowKey,
  sameCells,
  TYPED,
  withWas,
  type Base,
  type Histories,
  type History,
  type RowTab,
} from "./snapshots.ts";

/** Everything a merge looks at. */
export interface MergeInput {
  /** The tabs to merge; one that cannot be read now is left out. */
  tabs: Partial<Record<RowTab, TabContent>>;
  histories: Histories;
  projects: ProjectHubRow[];
  tasks: TaskHubRow[];
  /** The tabs are a save that a newer file took the place of: the file as it is now does not show what is taken from it. */
  earlier?: boolean;
  /** The highest revision so far. */
  rev: number;
  /** The person's zone, for the end of a deadline's day. */
  zone: string;
  /** Epoch ms. */
  now: number;
  /** Whether a row (by its Id) has been missing for long enough to be believed. */
  missingLong(key: string): boolean;
  /** What the person answered when asked whether rows were meant to be taken out. */
  answer: "yes" | "no" | undefined;
}

export interface MergeResult {
  /** What the person did, for the store. When `imports` is true, apply it and merge again before writing. */
  changes: SheetChanges;
  imports: boolean;
  /** What to write into the sheet, and the snapshots to keep before that is done. */
  edits: TabEdits[];
  planned: AgreedRow[];
  /** Snapshots that this reading has shown to be in the file. */
  seen: AgreedRow[];
  /** Ids of rows that are not in the file although it is new enough to have them. */
  missing: string[];
  /** Tabs that lost so many rows that a person must say yes first. */
  needsYes: { tab: RowTab; missing: number; of: number }[];
  /** What a person should be told. */
  notes: string[];
}

/** Words that stay in Why as long as the row has `status`. */
export interface RowNote {
  text: string;
  status: string;
}

/** What becomes of a cell that a person changed. */
export type CellEdit =
  | { take: () => void; note?: RowNote }
  /** It cannot be: the cell stays, the last good value counts, and Why says so. */
  | { bad: string }
  /** The hub's word is put back, and Why says why. */
  | { putBack: string };

/** A row without Id: taken as new under `key`, left alone, or left alone with a reason. */
export type NewRow = { key: string; take: (agreed: Cells) => void; note?: RowNote } | { why: string } | undefined;

/** What Projects and Task Queue do differently. */
export interface TabRules<Row extends HubRow> {
  tab: RowTab;
  hub: Map<number, Row>;
  links: LinkRules;
  /** Rows that the person took out and may type anew under the same name are linked, too. */
  revives: boolean;
  /** A hub row that has never been in the sheet and that this row names; undefined for none. */
  adopt(row: SheetRow, layout: Layout): number | undefined;
  /** The text that a cell is compared by. */
  comparable(column: string, text: string): string;
  edit(column: string, text: string, row: Row): CellEdit;
  /** A row that was archived or taken out is there again. */
  revive(row: Row): void;
  take(row: SheetRow, layout: Layout, read: (column: string) => string): NewRow;
  end(id: number): void;
  /** Whether Why still says what was typed as Task ID of a row that was given another name. */
  typedStays(row: Row, typed: string): boolean;
}

/** Rows beside the changed ones that are given a new revision, so that taking those out is seen. */
const STAMPED_ROWS = 8;

/**
 * The three-way merge between what was agreed, the sheet now and the hub now. Pure: it decides,
 * the sync acts. A person's edit is never lost and never written over; where sheet and hub
 * changed the same cell, the sheet's counts and a note says so.
 */
export function mergeSheet(input: MergeInput): MergeResult {
  const changes: SheetChanges = {
    addProjects: [],
    addTasks: [],
    changeProjects: [],
    changeTasks: [],
    archiveProjects: [],
    cancelTasks: [],
    reopenTasks: [],
    agreed: [],
    forget: [],
    rev: input.rev + 1,
  };
  const result: MergeResult = {
    changes,
    imports: false,
    edits: [],
    planned: [],
    seen: [],
    missing: [],
    needsYes: [],
    notes: [],
  };
  const projects = createProjectRules(input, changes);
  if (input.tabs.Projects !== undefined) mergeTab(projects, input.tabs.Projects, input, result);
  const tasks = createTaskRules(input, changes, projects.find);
  const queue = input.tabs["Task Queue"];
  if (queue !== undefined) mergeTab(tasks, queue, input, result);
  tasks.refer();
  result.imports =
    changes.agreed.length > 0 ||
    changes.addProjects.length > 0 ||
    changes.addTasks.length > 0 ||
    changes.changeProjects.length > 0 ||
    changes.changeTasks.length > 0 ||
    changes.archiveProjects.length > 0 ||
    changes.cancelTasks.length > 0;
  return result;
}

function mergeTab<Row extends HubRow>(
  rules: TabRules<Row>,
  content: TabContent,
  input: MergeInput,
  result: MergeResult,
): void {
  const { tab, hub } = rules;
  const layout = layoutOf(tab, content);
  const rows = rowsOf(tab, content, layout, input.rev);
  for (const row of rows) if (row.id !== undefined && !hub.has(row.id)) row.id = undefined;
  const histories = new Map<number, History>();
  for (const id of hub.keys()) {
    const history = input.histories.get(rowKey(tab, id));
    if (history !== undefined) histories.set(id, history);
  }
  const highest = Math.max(0, ...rows.map((row) => row.rev ?? 0));

  splitCopies(rows, layout, histories);
  const known = new Map<SheetRow, number>();
  for (const row of rows) if (row.id !== undefined) known.set(row, row.id);
  const revs = linkTyped(rules, rows, known, histories, layout, highest);

  const edits: TabEdits = { tab, cells: [], append: [], remove: [] };
  if (layout.added) edits.header = layout.header;
  const fileRevs = new Map<SheetRow, number>();
  for (const row of rows) {
    const id = known.get(row);
    const own = id === undefined ? undefined : hub.get(id);
    if (id === undefined || own === undefined) {
      takeRow(rules, row, layout, edits);
      continue;
    }
    const rev = row.id === undefined ? revs.get(row) : row.rev;
    let history = histories.get(id) ?? [];
    const seen = row.id === undefined ? [] : newlySeen(history, row.rev);
    if (seen.length > 0) {
      history = history.map((snapshot) => (seen.includes(snapshot) ? { ...snapshot, confirmed: true } : snapshot));
      result.seen.push(...history.filter((snapshot, at) => snapshot !== histories.get(id)?.[at]));
      histories.set(id, history);
    }
    const written = mergeRow({ rules, row, own, rev, history, layout, input, result, edits });
    if (written !== undefined) fileRevs.set(row, written);
  }
  const present = new Set(known.values());
  appendMissing({ rules, present, histories, layout, input, result, edits, highest, rowCount: rows.length });
  stampOthers(rows, known, fileRevs, edits, layout, highest, result.planned);
  if (edits.header !== undefined || edits.cells.length > 0 || edits.append.length > 0) result.edits.push(edits);
}

/** Of rows with the same Id the unchanged one keeps it, else the first; the others are copies. */
function splitCopies(rows: SheetRow[], layout: Layout, histories: Map<number, History>): void {
  const byId = new Map<number, SheetRow[]>();
  for (const row of rows) {
    if (row.id === undefined) continue;
    const same = byId.get(row.id);
    if (same === undefined) byId.set(row.id, [row]);
    else same.push(row);
  }
  for (const [id, same] of byId) {
    if (same.length === 1) continue;
    const unchanged = same.find((row) => {
      const base = baseOf(histories.get(id) ?? [], row.rev);
      return layout.columns.every(({ column, at }) => {
        if (column.owner === "hub") return true;
        const before = base.cell(column.name);
        return before === undefined || readCell(column, row.raw[at] ?? "").text === before;
      });
    });
    for (const row of same) {
      if (row === (unchanged ?? same[0])) continue;
      row.copyOf = id;
      row.id = undefined;
      row.rev = undefined;
    }
  }
}

/** Adds rows that are ours although they show no Id to `known`; answers the revision each goes on from. */
function linkTyped<Row extends HubRow>(
  rules: TabRules<Row>,
  rows: SheetRow[],
  known: Map<SheetRow, number>,
  histories: Map<number, History>,
  layout: Layout,
  highest: number,
): Map<SheetRow, number | undefined> {
  const strangers = rows.filter((row) => !known.has(row));
  const revs = new Map<SheetRow, number | undefined>();
  if (strangers.length === 0) return revs;
  const present = new Set(known.values());
  const absent: Absent[] = [];
  for (const [id, history] of histories) {
    const own = rules.hub.get(id);
    if (present.has(id) || own === undefined) continue;
    if (history.at(-1)?.cells[DELETED] !== undefined && !rules.revives) continue;
    absent.push({ id, history, newborn: isNewborn(history, highest), untouched: own.removal === "end" });
  }
  for (const [row, id] of linkRows(strangers, absent, layout, rules.links)) {
    known.set(row, id);
    const history = histories.get(id) ?? [];
    revs.set(row, isNewborn(history, highest) ? history[0]?.rev : undefined);
    // Typed anew after it was taken out: its empty cells say nothing.
    if (history.at(-1)?.cells[DELETED] !== undefined) histories.set(id, []);
  }
  for (const row of strangers) {
    if (known.has(row)) continue;
    const id = rules.adopt(row, layout);
    if (id === undefined || [...known.values()].includes(id)) continue;
    known.set(row, id);
    histories.set(id, []);
  }
  return revs;
}

/** Never seen in the file, or younger than the file: its absence says nothing. */
function isNewborn(history: History, highest: number): boolean {
  return (history[0]?.rev ?? 0) > highest || history.every((snapshot) => !snapshot.confirmed);
}

type Reading = { ok: true; text: string } | { ok: false; text: string; why: string };

function readCell(column: Column, raw: string): Reading {
  const text = cellText(raw);
  const value = column.read(text);
  if (value.ok) return { ok: true, text: value.text };
  // A status word that nobody knows is compared like any other, and put back.
  return column.name === "Status" ? { ok: true, text } : { ok: false, text, why: value.why };
}

interface RowMerge<Row extends HubRow> {
  rules: TabRules<Row>;
  row: SheetRow;
  own: Row;
  rev: number | undefined;
  history: History;
  layout: Layout;
  input: MergeInput;
  result: MergeResult;
  edits: TabEdits;
}

/** Merges a row that is ours. Answers the revision that is written into it, if one is. */
function mergeRow<Row extends HubRow>(merge: RowMerge<Row>): number | undefined {
  const { rules, row, own, rev, history, layout, input, result } = merge;
  const base = baseOf(history, rev);
  const newest = history.at(-1);
  const shown: Cells = {};
  const taken: string[] = [];
  const pushes: { name: string; at: number; text: string }[] = [];
  const problems: string[] = [];
  const notes: string[] = [];
  let putBack = false;
  /** The note stays in Why as long as the row has this status. */
  let status = own.cells["Status"] ?? "";

  for (const { column, at } of layout.columns) {
    const { name } = column;
    if (column.owner === "hub") continue;
    const raw = row.raw[at] ?? "";
    const before = base.cell(name);
    const hub = own.cells[name] ?? "";
    if (raw === before && raw === hub) {
      shown[name] = raw;
      continue;
    }
    const cell = readCell(column, raw);
    if (!cell.ok) {
      shown[name] = before ?? hub;
      problems.push(badCell(column, cell.text, cell.why, before ?? hub));
      continue;
    }
    const text = cell.text;
    shown[name] = text;
    const same = (a: string, b: string) => a === b || rules.comparable(name, a) === rules.comparable(name, b);
    if (same(text, hub)) continue;
    if (!isEdit(name, text, raw, before, base, history, same)) {
      if (!isFormula(raw)) pushes.push({ name, at, text: hub });
      continue;
    }
    const edit = rules.edit(name, text, own);
    if ("bad" in edit) {
      shown[name] = before ?? hub;
      problems.push(badCell(column, text, edit.bad, before ?? hub));
    } else if ("putBack" in edit) {
      putBack = true;
      notes.push(`${name} was put back: ${edit.putBack}`);
      pushes.push({ name, at, text: hub });
    } else {
      edit.take();
      taken.push(name);
      if (edit.note !== undefined) {
        notes.push(edit.note.text);
        status = edit.note.status;
      }
      if (before !== undefined && !same(hub, before)) {
        result.notes.push(
          `${titleOf(rules, own)}: ${name} was changed both in the sheet ("${short(text)}") and elsewhere ("${short(hub)}"); the sheet's counts.`,
        );
      }
    }
  }
  if (history.length === 0 && rules.revives) rules.revive(own);

  const until = newest?.cells[NOTE_STATUS] ?? "";
  const typed =
    until.startsWith(TYPED) &&
    taken.every((name) => name === "Output") &&
    rules.typedStays(own, until.slice(TYPED.length));
  const kept = until === status || typed ? (newest?.cells[NOTE] ?? "") : "";
  if (typed && notes.length === 0) status = until;
  const note = notes.length > 0 ? notes.join("; ") : kept;
  if (taken.length > 0 || putBack) {
    result.changes.agreed.push({
      tab: rules.tab,
      id: own.id,
      rev: input.rev + 1,
      cells: { ...seenCells(merge, base, shown, taken), ...noteCells(note, status) },
      confirmed: false,
    });
    return undefined;
  }
  return writeRow({ ...merge, shown, pushes, problems, note, noteStatus: status });
}

function badCell(column: Column, text: string, why: string, kept: string): string {
  const usual = column.read("");
  const counts = usual.ok && usual.text === kept ? "is taken" : "still counts";
  const instead = kept === "" ? "it counts as empty" : `"${short(kept)}" ${counts}`;
  return `${column.name} "${short(text)}" ${why}; ${instead}`;
}

function noteCells(note: string, status: string): Cells {
  return note === "" ? {} : { [NOTE]: note, [NOTE_STATUS]: status };
}

function isEdit(
  name: string,
  text: string,
  raw: string,
  before: string | undefined,
  base: Base,
  history: History,
  same: (a: string, b: string) => boolean,
): boolean {
  if (before === undefined) return name !== "Status" && cellText(raw) !== "";
  if (same(text, before) || base.taken(name, text)) return false;
  if (!base.vague) return true;
  return name !== "Status" && history.every((snapshot) => snapshot.cells[name] !== text);
}

/** What is agreed once the person's edits are in: of an old file, only those edits are news. */
function seenCells<Row extends HubRow>(
  { history, rev, layout, input }: RowMerge<Row>,
  base: Base,
  shown: Cells,
  taken: string[],
): Cells {
  const newest = history.at(-1);
  if (newest === undefined || (!input.earlier && isCurrent(history, rev))) return shown;
  const cells: Cells = {};
  const was: Cells = {};
  for (const { column } of layout.columns) {
    const { name } = column;
    const text = shown[name];
    if (text === undefined) continue;
    const ours = lastShown(history, name);
    cells[name] = taken.includes(name) || ours === undefined ? text : (newest.cells[name] ?? ours);
    if (ours !== undefined && cells[name] !== ours) was[name] = ours;
    // A word that is put back is news as well: it must not be taken for an edit again.
    if (name === "Status" && text !== base.cell(name)) cells[name] = text;
  }
  return withWas(cells, was);
}

function isCurrent(history: History, rev: number | undefined): boolean {
  if (rev === undefined) return true;
  const at = history.findLastIndex((snapshot) => snapshot.rev <= rev);
  return at >= 0 && history.slice(at + 1).every((snapshot) => !snapshot.confirmed);
}

interface RowWrite<Row extends HubRow> extends RowMerge<Row> {
  shown: Cells;
  pushes: { name: string; at: number; text: string }[];
  problems: string[];
  note: string;
  noteStatus: string;
}

/** The cells of a row to write, and the snapshot of that. */
function writeRow<Row extends HubRow>(write: RowWrite<Row>): number | undefined {
  const { rules, row, own, history, layout, input, result, edits, shown, pushes, problems, note, noteStatus } = write;
  const newest = history.at(-1);
  const put = (at: number, text: string) => {
    edits.cells.push({ row: row.at, column: at, text: safeCell(text) });
  };
  const cells = { ...shown };
  const was: Cells = {};
  for (const push of pushes) {
    put(push.at, push.text);
    was[push.name] = lastShown(history, push.name) ?? shown[push.name] ?? "";
    cells[push.name] = push.text;
  }
  const marked = newest?.cells[DELETED] ?? newest?.cells[BACK] ?? newest?.cells[COPY];
  const agreed = newest !== undefined && marked === undefined && sameCells(cells, agreedCells(newest.cells));
  const rev = agreed ? newest.rev : input.rev + 1;
  if (!agreed) {
    result.planned.push({
      tab: rules.tab,
      id: own.id,
      rev,
      cells: withWas({ ...cells, ...noteCells(note, noteStatus) }, was),
      confirmed: false,
    });
  }
  for (const { column, at } of layout.columns) {
    if (column.owner !== "hub" || column.name === "Id" || column.name === "Rev") continue;
    const raw = row.raw[at] ?? "";
    if (isFormula(raw)) continue;
    const text = column.name === "Why" ? whyOf(own.cells["Why"] ?? "", note, problems) : (own.cells[column.name] ?? "");
    const clears = own.clears.includes(column.name) || newest?.cells[COPY] !== undefined;
    if (cellText(raw) !== tidyText(text) && (text !== "" || clears)) put(at, text);
  }
  const id = rowKey(rules.tab, own.id);
  const idAt = layout.index.get("Id") ?? 0;
  const revAt = layout.index.get("Rev") ?? 0;
  if ((row.raw[idAt] ?? "").trim() !== id) put(idAt, id);
  if (row.id !== undefined && row.rev !== undefined && row.rev >= rev) return undefined;
  put(revAt, String(rev));
  return rev;
}

function whyOf(hub: string, note: string, problems: string[]): string {
  return shownText([...problems, note, hub].filter((words) => words !== "").join(". "));
}

function titleOf<Row extends HubRow>(rules: TabRules<Row>, own: Row): string {
  return rules.tab === "Projects" ? short(own.cells["Project"] ?? "") : rowKey(rules.tab, own.id);
}

/** A row that is not ours yet: it becomes a project or a task, or is told why it does not. */
function takeRow<Row extends HubRow>(rules: TabRules<Row>, row: SheetRow, layout: Layout, edits: TabEdits): void {
  const read: Cells = {};
  const shown: Cells = {};
  for (const { column, at } of layout.columns) {
    if (column.owner === "hub") continue;
    const cell = readCell(column, row.raw[at] ?? "");
    const empty = column.read("");
    read[column.name] = cell.ok ? cell.text : column.name === "Description" ? cell.text : "";
    shown[column.name] = cell.ok ? cell.text : empty.ok ? empty.text : "";
  }
  const taken = rules.take(row, layout, (column) => read[column] ?? "");
  if (taken === undefined) return;
  if ("why" in taken) {
    const at = layout.index.get("Why") ?? 0;
    const raw = row.raw[at] ?? "";
    if (cellText(raw) !== tidyText(taken.why) && !isFormula(raw))
      edits.cells.push({ row: row.at, column: at, text: safeCell(taken.why) });
    if (row.copyOf !== undefined) {
      // Two rows with one Id would change places when the sheet is sorted.
      for (const name of ["Id", "Rev"])
        edits.cells.push({ row: row.at, column: layout.index.get(name) ?? 0, text: "" });
    }
    return;
  }
  const others = othersOf(row, layout);
  taken.take({
    ...shown,
    ...(others === "" ? {} : { [OTHERS]: others }),
    ...(taken.note === undefined ? {} : noteCells(taken.note.text, taken.note.status)),
    ...(row.copyOf === undefined ? {} : { [COPY]: "yes" }),
  });
}

interface MissingRows<Row extends HubRow> {
  rules: TabRules<Row>;
  present: Set<number>;
  histories: Map<number, History>;
  layout: Layout;
  input: MergeInput;
  result: MergeResult;
  edits: TabEdits;
  highest: number;
  rowCount: number;
}

/** Rows that the sheet does not have: taken out by the person, or not yet put in by us. */
function appendMissing<Row extends HubRow>(missing: MissingRows<Row>): void {
  const { rules, present, histories, input, result, highest } = missing;
  const out: Row[] = [];
  for (const own of rules.hub.values()) {
    if (present.has(own.id)) continue;
    const history = histories.get(own.id);
    const newest = history?.at(-1);
    if (history === undefined || newest === undefined) {
      if (own.shown) appendRow(missing, own, "");
      continue;
    }
    if (newest.cells[DELETED] !== undefined) {
      // Somebody took it up again, or it was claimed before the cancelling arrived.
      if (own.shown) appendRow(missing, own, own.removal === "back" ? cameBack(own) : "");
      continue;
    }
    if (newest.cells[BACK] !== undefined && !newest.confirmed) appendRow(missing, own, newest.cells[NOTE] ?? "");
    // Without any row there is no revision to see how old the file is; then a person is asked.
    else if (isNewborn(history, missing.rowCount === 0 && headerIsOurs(missing) ? Infinity : highest))
      appendRow(missing, own, newest.cells[NOTE_STATUS] === own.cells["Status"] ? (newest.cells[NOTE] ?? "") : "");
    else out.push(own);
  }
  if (out.length === 0) return;
  for (const own of out) result.missing.push(rowKey(rules.tab, own.id));
  const before = out.length + present.size;
  if (out.length * 2 >= before && (out.length > 1 || present.size === 0)) {
    if (input.answer === undefined) {
      result.needsYes.push({ tab: rules.tab, missing: out.length, of: before });
      return;
    }
    if (input.answer === "no") {
      for (const own of out) appendRow(missing, own, "");
      return;
    }
  }
  for (const own of out) takeOut(missing, own);
}

function headerIsOurs<Row extends HubRow>({ layout }: MissingRows<Row>): boolean {
  return !layout.added;
}

function cameBack(own: HubRow): string {
  return `its row was taken out, but ${own.removalWhy}: it came back`;
}

function takeOut<Row extends HubRow>({ rules, histories, input, result }: MissingRows<Row>, own: Row): void {
  if (!input.missingLong(rowKey(rules.tab, own.id))) return;
  const newest = histories.get(own.id)?.at(-1);
  const cells = agreedCells(newest?.cells ?? {});
  const back = own.removal === "back";
  const mark: Cells = back
    ? { ...noteCells(cameBack(own), own.cells["Status"] ?? ""), [BACK]: "yes" }
    : { [DELETED]: "yes" };
  if (own.removal === "end") rules.end(own.id);
  result.changes.agreed.push({
    tab: rules.tab,
    id: own.id,
    rev: input.rev + 1,
    cells: { ...cells, ...mark },
    confirmed: !back,
  });
}

function appendRow<Row extends HubRow>(missing: MissingRows<Row>, own: Row, note: string): void {
  const { rules, histories, layout, input, result, edits } = missing;
  const newest = histories.get(own.id)?.at(-1);
  const cells: Cells = {};
  const row = layout.header.map(() => "");
  for (const { column, at } of layout.columns) {
    const text = own.cells[column.name] ?? "";
    row[at] = safeCell(column.name === "Why" ? whyOf(text, note, []) : text);
    if (column.owner !== "hub") cells[column.name] = text;
  }
  const marked = newest?.cells[DELETED] ?? newest?.cells[BACK];
  const agreed = newest !== undefined && marked === undefined && sameCells(cells, agreedCells(newest.cells));
  const rev = agreed ? newest.rev : input.rev + 1;
  if (!agreed) {
    const kept = noteCells(note, own.cells["Status"] ?? "");
    result.planned.push({ tab: rules.tab, id: own.id, rev, cells: { ...cells, ...kept }, confirmed: false });
  }
  row[layout.index.get("Id") ?? 0] = rowKey(rules.tab, own.id);
  row[layout.index.get("Rev") ?? 0] = String(rev);
  edits.append.push(row);
}

/**
 * A file tells its age by its highest revision. When only few rows carry the new one, taking
 * just those out would make the file look old and bring them back; so others, spread over the
 * tab, carry it too.
 */
function stampOthers(
  rows: SheetRow[],
  known: Map<SheetRow, number>,
  written: Map<SheetRow, number>,
  edits: TabEdits,
  layout: Layout,
  highest: number,
  planned: AgreedRow[],
): void {
  const revAt = layout.index.get("Rev") ?? 0;
  const appended = edits.append.map((row) => Number(row[revAt]));
  const rev = Math.max(0, ...written.values(), ...appended);
  if (rev <= highest) return;
  const pending = new Set(planned.filter(({ tab }) => tab === edits.tab).map(({ id }) => id));
  const others = rows.filter((row) => {
    const id = known.get(row);
    return id !== undefined && !written.has(row) && !pending.has(id);
  });
  const step = Math.max(1, others.length / STAMPED_ROWS);
  for (let at = 0; at < others.length; at += step) {
    const row = others[Math.floor(at)];
    if (row !== undefined) edits.cells.push({ row: row.at, column: revAt, text: String(rev) });
  }
}
