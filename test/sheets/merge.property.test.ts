import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Clock } from "../../hub/base/clock.ts";
import { silentLog } from "../../hub/base/log.ts";
import { SHEET, SUPERVISOR } from "../../hub/base/session.ts";
import { sha256 } from "../../hub/base/ids.ts";
import type { Sheet, SheetReading, TabContent, TabEdits, TabName } from "../../hub/sheets/sheet.ts";
import { createSheetSync, type SheetSync } from "../../hub/sheets/sync.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";
import type { Store } from "../../hub/stores/store.ts";

const RUNS = Number(process.env["CTO_MERGE_RUNS"] ?? 1000);

/** Columns that a person types into; `Notes` is a column that the hub does not know. */
const TYPED = ["Description", "Priority", "Depends On"] as const;
type Typed = (typeof TYPED)[number];

interface MemoryFile {
  content: TabContent;
  /** What was typed since the hub wrote the file this comes from: cell → value, by the row's own mark in Notes. */
  typed: Map<string, string>;
  removed: Set<string>;
}

const copyOf = (file: MemoryFile): MemoryFile => ({
  content: { header: [...file.content.header], rows: file.content.rows.map((row) => [...row]) },
  typed: new Map(file.typed),
  removed: new Set(file.removed),
});

/**
 * Task Queue in memory, with editors that open it, change their copy, and save the whole of it,
 * however old it is. The oracle is by marks: each row carries its own in Notes, each typed text
 * is typed once.
 */
class Model {
  file: MemoryFile = {
    content: { header: ["Project", "Description", "Priority", "Depends On", "Notes", "Status"], rows: [] },
    typed: new Map(),
    removed: new Set(),
  };
  editors: MemoryFile[] = [];
  /** What each cell must hold in the end. */
  wanted = new Map<string, string>();
  consumed = new Set<string>();
  removedRows = new Set<string>();
  marks: string[] = [];
  failWrites = false;
  /** Something was read that could not be answered by a write yet. */
  unwritten = false;
  lastSaver: number | undefined;
  next = 0;
  now = 1_000;

  readonly clock: Clock = {
    now: () => Date.UTC(2026, 0, 1) + this.now,
    monotonic: () => (this.now += 1),
    sleep: () => Promise.resolve(),
  };
  readonly store: Store = openSqliteStore({ path: ":memory:" });
  sync: SheetSync = this.newSync();

  newSync(): SheetSync {
    return createSheetSync({
      sheet: this.sheet(),
      store: this.store,
      clock: this.clock,
      log: silentLog,
      zone: "UTC",
      intervalMs: 1,
      missingMs: 0,
      onStop: () => undefined,
      stopped: () => undefined,
    });
  }

  sheet(): Sheet {
    const version = () => sha256(JSON.stringify(this.file.content));
    return {
      read: async (): Promise<SheetReading> => {
        this.consume();
        this.unwritten ||= this.failWrites;
        const { content } = copyOf(this.file);
        return { version: version(), tabs: { "Task Queue": content }, held: [], waiting: [], notes: [], earlier: [] };
      },
      write: async (expected, edits) => {
        if (expected !== version()) return { outcome: "changed", tabs: [], why: "" };
        if (this.failWrites) return { outcome: "held", tabs: [], why: "held" };
        for (const each of edits) this.patch(each);
        this.unwritten = false;
        return { outcome: "written", tabs: edits.map(({ tab }): TabName => tab), why: "" };
      },
      watch: () => () => undefined,
      settle: async () => undefined,
    };
  }

  patch(edits: TabEdits): void {
    if (edits.tab !== "Task Queue") return;
    const { content } = this.file;
    if (edits.header !== undefined) content.header = [...edits.header];
    for (const { row, column, text } of edits.cells) {
      const cells = content.rows[row];
      assert.ok(cells, "a cell of a row that is there");
      while (cells.length <= column) cells.push("");
      cells[column] = text;
    }
    content.rows.push(...edits.append.map((row) => [...row]));
  }

  /** The hub has seen the file: what was typed into it counts from now on. */
  consume(): void {
    for (const [cell, value] of this.file.typed) {
      if (this.consumed.has(`${cell}=${value}`)) continue;
      this.consumed.add(`${cell}=${value}`);
      this.wanted.set(cell, value);
    }
    for (const mark of this.file.removed) this.removedRows.add(mark);
  }

  at(file: MemoryFile, column: string): number {
    return file.content.header.indexOf(column);
  }

  mark(file: MemoryFile, row: string[]): string {
    return row[this.at(file, "Notes")] ?? "";
  }

  type(file: MemoryFile, row: string[], column: Typed): void {
    const mark = this.mark(file, row);
    if (mark === "") return;
    this.next++;
    const value = { Description: `Do ${this.next}`, Priority: String((this.next % 99) + 1), "Depends On": "" }[column];
    if (column === "Depends On") return;
    row[this.at(file, column)] = value;
    file.typed.set(`${mark} ${column}`, value);
  }

  addRow(file: MemoryFile): void {
    const mark = `m${this.marks.length}`;
    this.marks.push(mark);
    const row = file.content.header.map(() => "");
    row[this.at(file, "Project")] = "Ant";
    row[this.at(file, "Notes")] = mark;
    file.content.rows.push(row);
    this.type(file, row, "Description");
  }

  /** Puts the file back under the model's laws after `editor` saves. */
  save(editor: MemoryFile): void {
    this.file = copyOf(editor);
  }
}

type Step = { kind: string; editor: number; row: number; column: number };

const STEPS = [
  "open",
  "type",
  "type",
  "type",
  "add",
  "sort",
  "save",
  "save",
  "save",
  "sync",
  "sync",
  "sync",
  "hub edit",
  "hub edit",
  "hub add",
  "progress",
  "remove",
  "blank",
  "column",
  "crash",
  "hold",
] as const;

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...STEPS),
  editor: fc.nat(1),
  row: fc.nat(4),
  column: fc.nat(1),
});

async function play(model: Model, { kind, editor: number, row: place, column }: Step): Promise<void> {
  const editor = (model.editors[number] ??= copyOf(model.file));
  const row = editor.content.rows[place % Math.max(1, editor.content.rows.length)];
  switch (kind) {
    case "open":
      model.editors[number] = copyOf(model.file);
      return;
    case "type":
      if (row !== undefined) model.type(editor, row, TYPED[column] ?? "Description");
      return;
    case "add":
      model.addRow(editor);
      return;
    case "sort":
      editor.content.rows.sort((a, b) => (a.join() < b.join() ? -1 : 1));
      if (column === 1) editor.content.rows.reverse();
      return;
    case "save":
      // While writing waits, it waits for the one editor that has the file locked.
      if (model.unwritten && model.lastSaver !== undefined && model.lastSaver !== number) return;
      model.lastSaver = number;
      model.save(editor);
      return;
    case "sync":
      await model.sync.syncNow();
      return;
    case "hub edit": {
      const task = (await model.store.tasks())[place];
      const mark = task === undefined ? undefined : markOf(model, task.id);
      if (task === undefined || mark === undefined) return;
      // A person's edit elsewhere: it counts until the sheet brings a newer one.
      const cell = `${mark} Description`;
      const value = `Elsewhere ${++model.next}`;
      await model.store.changeTask(SHEET, task.id, { description: value }, model.clock.now());
      model.wanted.set(cell, value);
      return;
    }
    case "hub add":
      await model.store.addTask(
        SUPERVISOR,
        { projectId: 1, description: `Tool ${++model.next}`, origin: "tool" },
        model.clock.now(),
      );
      return;
    case "progress": {
      const task = (await model.store.tasks({ states: ["queued"] }))[0];
      if (task === undefined) return;
      const wait = { reason: "machine" as const, until: null, why: `waits ${++model.next}` };
      await model.store.wait(task.id, wait, model.clock.now());
      return;
    }
    case "remove": {
      const mark = row === undefined ? "" : model.mark(editor, row);
      if (row === undefined || mark === "" || editor.content.rows.length < 3) return;
      editor.content.rows.splice(editor.content.rows.indexOf(row), 1);
      editor.removed.add(mark);
      for (const cell of editor.typed.keys()) if (cell.startsWith(`${mark} `)) editor.typed.delete(cell);
      return;
    }
    case "blank":
      editor.content.rows.splice(place % (editor.content.rows.length + 1), 0, ["", "", ""]);
      return;
    case "column":
      moveColumns(editor.content);
      return;
    case "crash":
      model.sync = model.newSync();
      return;
    default:
      model.failWrites = !model.failWrites;
  }
}

/** The person moves the first column to the end. */
function moveColumns(content: TabContent): void {
  const width = content.header.length;
  for (const row of [content.header, ...content.rows]) {
    if (row.every((cell) => cell === "")) continue;
    while (row.length < width) row.push("");
    row.push(row.shift() ?? "");
  }
}

function markOf(model: Model, id: number): string | undefined {
  const idAt = model.at(model.file, "Id");
  const row = model.file.content.rows.find((each) => each[idAt] === `T${id}`);
  const mark = row === undefined ? "" : model.mark(model.file, row);
  return mark === "" ? undefined : mark;
}

/** Some rows that both sides know, open in two editors. */
async function begin(model: Model): Promise<void> {
  for (let n = 0; n < 3; n++) model.addRow(model.file);
  await model.sync.syncNow();
  await model.sync.syncNow();
  model.editors = [copyOf(model.file), copyOf(model.file)];
}

async function settle(model: Model): Promise<void> {
  model.failWrites = false;
  for (let n = 0; n < 6; n++) {
    await model.sync.syncNow();
    // A tab that lost most of its rows asks; here the person did not mean it.
    if (!model.sync.state().ok) model.sync.confirmRemoval("no");
  }
  assert.ok(model.sync.state().ok, model.sync.state().words);
}

async function check(model: Model): Promise<void> {
  const file = model.file;
  const tasks = new Map((await model.store.tasks()).map((task) => [task.id, task]));
  const byMark = new Map<string, string[][]>();
  const ids = new Set<string>();
  for (const row of file.content.rows) {
    if (row.every((cell) => cell === "")) continue;
    const id = row[model.at(file, "Id")] ?? "";
    assert.ok(!ids.has(id), `${id} stands in two rows`);
    ids.add(id);
    const mark = model.mark(file, row);
    if (mark !== "") byMark.set(mark, [...(byMark.get(mark) ?? []), row]);
  }
  for (const [mark, rows] of byMark) {
    assert.equal(rows.length, 1, `${mark} stands in ${rows.length} rows`);
    const row = rows[0] ?? [];
    const task = tasks.get(Number((row[model.at(file, "Id")] ?? "").slice(1)));
    assert.ok(task, `${mark} is no task`);
    for (const column of ["Description", "Priority"] as const) {
      const wanted = model.wanted.get(`${mark} ${column}`);
      if (wanted === undefined) continue;
      const hub: string = column === "Description" ? task.description : String(task.priority);
      assert.equal(row[model.at(file, column)], wanted, `${mark} ${column} in the sheet`);
      assert.equal(hub, wanted, `${mark} ${column} in the hub`);
    }
  }
  // What was read of a row that nobody took out is still there, also when an old file without it was saved since.
  const descriptions = new Set([...tasks.values()].map((task) => task.description));
  for (const [cell, wanted] of model.wanted) {
    const [mark = "", column] = cell.split(" ");
    if (column === "Description" && !model.removedRows.has(mark))
      assert.ok(descriptions.has(wanted), `${mark}: "${wanted}" is lost`);
  }
  // Every task that is not over has its row, and none was made twice of the same typed row.
  for (const task of tasks.values())
    if (task.state !== "cancelled") assert.ok(ids.has(`T${task.id}`), `T${task.id} has no row`);
  const typed = [...tasks.values()].filter((task) => task.origin === "sheet");
  assert.ok(typed.length <= model.marks.length, `${typed.length} tasks of ${model.marks.length} typed rows`);
}

test("law 8: the person's cells are the person's: no edit lost, no task doubled, nothing typed written over, whatever the order", async (t) => {
  const seed = Number(process.env["CTO_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`seed ${seed}, ${RUNS} runs`);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 40, size: "max" }), async (steps) => {
      const model = new Model();
      try {
        await model.store.addProject(SHEET, { name: "Ant" }, model.clock.now());
        await begin(model);
        for (const each of steps) await play(model, each);
        await settle(model);
        await check(model);
      } finally {
        model.store.close();
      }
    }),
    { numRuns: RUNS, seed, endOnFailure: false },
  );
});
