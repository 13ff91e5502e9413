import { taskName } from "../../base/ids.ts";
import { SHEET } from "../../base/session.ts";
import { nextState } from "../../base/task.ts";
import { dependencyNames } from "../../queue/dependencies.ts";
import * as schema from "../schema.ts";
import type { AgreedRow, Cells, SheetChanges } from "../store.ts";
import type { Core } from "./core.ts";
import type { Projects } from "./projects.ts";
import type { Rows } from "./rows.ts";
import { about, type Tasks } from "./tasks.ts";

/** Revisions of a row that are kept for stale whole-file saves. */
const KEPT_REVISIONS = 20;

/** What the sheet and the hub agreed on, and one sync's changes in one transaction. */
export interface SheetRecords {
  agreedRows(): AgreedRow[];
  rev(): number;
  apply(changes: SheetChanges, now: number): Map<string, number>;
}

export function createSheetRecords(core: Core, rows: Rows, projects: Projects, tasks: Tasks): SheetRecords {
  const { db, orm } = core;
  const all = orm
    .select()
    .from(schema.sheetRows)
    .orderBy(schema.sheetRows.tab, schema.sheetRows.id, schema.sheetRows.rev)
    .prepare();
  const sql = {
    rev: db.prepare("SELECT rev FROM sheet_revision").pluck(),
    setRev: db.prepare(
      "INSERT INTO sheet_revision VALUES (1, ?) ON CONFLICT DO UPDATE SET rev = max(rev, excluded.rev)",
    ),
    keep: db.prepare("INSERT OR REPLACE INTO sheet_rows (tab, row_id, rev, cells, confirmed) VALUES (?, ?, ?, ?, ?)"),
    forget: db.prepare("DELETE FROM sheet_rows WHERE tab = ? AND row_id = ?"),
    prune: db.prepare(
      "DELETE FROM sheet_rows WHERE tab = ? AND row_id = ? AND rev NOT IN (SELECT rev FROM sheet_rows WHERE tab = ? AND row_id = ? ORDER BY rev DESC LIMIT ?)",
    ),
  };

  function keep(row: AgreedRow): void {
    sql.keep.run(row.tab, row.id, row.rev, JSON.stringify(row.cells), row.confirmed ? 1 : 0);
    sql.prune.run(row.tab, row.id, row.tab, row.id, KEPT_REVISIONS);
  }

  function keepNew(tab: AgreedRow["tab"], id: number, cells: Cells, rev: number): void {
    keep({ tab, id, rev, cells, confirmed: false });
  }

  function addTask(entry: SheetChanges["addTasks"][number], ids: Map<string, number>, now: number): number {
    const projectId = typeof entry.project === "number" ? entry.project : ids.get(entry.project);
    if (projectId === undefined) throw new Error(`no project for row ${entry.key}`);
    const later = entry.refers === undefined ? {} : { dependsOn: "" };
    const task = tasks.add(SHEET, { ...entry.input, ...later, projectId }, now);
    if (entry.state === "cancelled") tasks.cancel(SHEET, task.id, "imported as cancelled", now);
    if (entry.state === "done") importDone(task.id, now);
    return task.id;
  }

  /** Depends On with the hub's own names for the tasks that `refers` says are meant. */
  function referred(text = "", refers: Record<string, number | string>, ids: Map<string, number>): string {
    const names = dependencyNames(text).map((name) => {
      const ref = refers[name.toUpperCase()];
      const id = typeof ref === "string" ? ids.get(ref) : ref;
      return id === undefined ? name : taskName(id);
    });
    return names.join(", ");
  }

  /** A row that was finished before we knew it: its history is the person's, nothing ran here. */
  function importDone(id: number, now: number): void {
    for (const [event, changes] of [
      ["wake", { waitReason: null, waitUntil: null }],
      ["claim", { fence: 1 }],
      ["complete", {}],
      ["finish", { completedAt: now, checked: "unchecked", why: "was finished when it was imported" }],
    ] as const) {
      const task = rows.needTask(id);
      if (event === "wake" && task.state === "queued") continue;
      tasks.move(task, event, changes, now);
    }
    core.append(SHEET, "task_done", about(rows.needTask(id)), { imported: true }, now);
  }

  function apply(changes: SheetChanges, now: number): Map<string, number> {
    const ids = new Map<string, number>();
    for (const { key, input, agreed } of changes.addProjects) {
      const id = projects.add(SHEET, input, now).id;
      ids.set(key, id);
      keepNew("Projects", id, agreed, changes.rev);
    }
    for (const { id, changes: fields } of changes.changeProjects) projects.change(SHEET, id, fields, now);
    for (const entry of changes.addTasks) {
      const id = addTask(entry, ids, now);
      ids.set(entry.key, id);
      keepNew("Task Queue", id, entry.agreed, changes.rev);
    }
    for (const { key, input, refers } of changes.addTasks) {
      if (refers !== undefined)
        tasks.change(SHEET, ids.get(key) ?? 0, { dependsOn: referred(input.dependsOn, refers, ids) }, now);
    }
    for (const { id, changes: fields } of changes.changeTasks) tasks.change(SHEET, id, fields, now);
    for (const id of changes.archiveProjects) projects.change(SHEET, id, { hold: "archived" }, now);
    // Between the sync's read and now a task may have moved on: what is not possible any more is
    // left out, and the row says why at the next look. The rest of the sheet must not wait for it.
    for (const id of changes.cancelTasks) {
      if (nextState(rows.needTask(id).state, "cancel") !== undefined)
        tasks.cancel(SHEET, id, "removed from the sheet", now);
    }
    for (const id of changes.reopenTasks) {
      const { state } = rows.needTask(id);
      if (nextState(state, "wake") !== undefined || nextState(state, "reopen") !== undefined)
        tasks.reopen(SHEET, id, "set to Queued in the sheet", now);
    }
    for (const row of changes.agreed) keep(row);
    for (const { tab, id } of changes.forget) sql.forget.run(tab, id);
    sql.setRev.run(changes.rev);
    return ids;
  }

  return {
    agreedRows: () => all.all(),
    rev: () => (sql.rev.get() as number | undefined) ?? 0,
    apply,
  };
}
