import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { stringify } from "csv-stringify/sync";
import { systemClock, type Clock } from "../../hub/base/clock.ts";
import { silentLog } from "../../hub/base/log.ts";
import type { Stop } from "../../hub/base/stop-file.ts";
import { createCsvSheet, createSheetFolder, type CsvSheetOptions, type SheetRows } from "../../hub/sheets/csv.ts";
import type { Sheet, TabName } from "../../hub/sheets/sheet.ts";
import { createSheetSync, type SheetSync, type SheetSyncOptions, type SyncedStore } from "../../hub/sheets/sync.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";
import type { Store } from "../../hub/stores/store.ts";

/** A sheet in a temporary folder with a real store, synced by hand. */
export interface World {
  folder: string;
  store: Store;
  sheet: Sheet;
  sync: SheetSync;
  stops: string[];
  stop: { now: Stop | undefined };
  path(tab: TabName): string;
  text(tab: TabName): string;
  /** The rows of a tab as objects by header. */
  rows(tab: TabName): Record<string, string>[];
  save(tab: TabName, text: string): void;
  /** Writes header and rows as a person's editor would: the whole file. */
  saveRows(tab: TabName, rows: Record<string, string>[], header?: string[]): void;
  /** Changes cells of the row whose `column` is `value`, in the file as it is now. */
  edit(tab: TabName, match: Record<string, string>, cells: Record<string, string>): void;
  /** A new hub on the same database and sheet, as after kill -9. */
  restart(options?: Partial<SheetSyncOptions>): void;
}

export interface WorldOptions {
  rows?: SheetRows;
  csv?: CsvSheetOptions;
  sync?: Partial<SheetSyncOptions>;
  clock?: Clock;
  /** Leave the folder empty. */
  bare?: boolean;
  wrapStore?: (store: Store) => SyncedStore;
}

export async function withWorld(options: WorldOptions, use: (world: World) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "cto-sheet-"));
  const home = mkdtempSync(join(tmpdir(), "cto-sheet-db-"));
  const store = openSqliteStore({ path: join(home, "cto.db") });
  try {
    if (options.bare !== true) createSheetFolder(folder, options.rows);
    await use(worldIn(folder, store, options));
  } finally {
    store.close();
    rmSync(folder, { recursive: true, force: true });
    rmSync(home, { recursive: true, force: true });
  }
}

function worldIn(folder: string, store: Store, options: WorldOptions): World {
  const clock = options.clock ?? systemClock;
  const stops: string[] = [];
  const stop: World["stop"] = { now: undefined };
  const csv = { quietMs: 0, partMs: 0, emptyMs: 0, clock, ...options.csv };
  const path = (tab: TabName) => join(folder, `${tab}.csv`);
  const make = (sheet: Sheet, extra: Partial<SheetSyncOptions> = {}) =>
    createSheetSync({
      sheet,
      store: options.wrapStore?.(store) ?? store,
      clock,
      log: silentLog,
      zone: "UTC",
      intervalMs: 50,
      missingMs: 0,
      onStop(by, why) {
        stops.push(`${by}: ${why}`);
        stop.now = { at: new Date(clock.now()).toISOString(), by, why };
      },
      stopped: () => stop.now,
      agents: () => [{ name: "claude", type: "Sonnet 4", enabled: true }],
      ...options.sync,
      ...extra,
    });
  const sheet = createCsvSheet(folder, csv);
  const world: World = {
    folder,
    store,
    sheet,
    sync: make(sheet),
    stops,
    stop,
    path,
    text: (tab) => readFileSync(path(tab), "utf8"),
    rows: (tab) => parse(readFileSync(path(tab)), { columns: true, relax_column_count: true, bom: true }),
    save: (tab, text) => writeFileSync(path(tab), text),
    saveRows(tab, rows, header) {
      const columns = header ?? headerOf(readFileSync(path(tab), "utf8"));
      world.save(tab, stringify(rows, { header: true, columns }));
    },
    edit(tab, match, cells) {
      const rows = world.rows(tab);
      const row = rows.find((each) => Object.entries(match).every(([column, value]) => each[column] === value));
      if (row === undefined) throw new Error(`no row ${JSON.stringify(match)} in ${JSON.stringify(rows)}`);
      world.saveRows(tab, rows.with(rows.indexOf(row), { ...row, ...cells }));
    },
    restart(extra) {
      world.sheet = createCsvSheet(folder, csv);
      world.sync = make(world.sheet, extra);
    },
  };
  return world;
}

function headerOf(text: string): string[] {
  return parse(text, { to: 1, bom: true })[0] ?? [];
}

/** The brief's own sample, as a person would have it as CSV. */
export const BRIEF_PROJECTS = `Project,Priority,Status,Agent,Last Update,Next Action,Deadline,GPU?,Model,Credits Used
Antenna ML Pipeline,1,In Progress,Claude (VM1),2025-12-31 14:30,Implement batch processing,2026-01-15,Yes,Sonnet 4,450
APRS Audio Tools,2,Waiting,-,2025-12-30 18:00,Create CLI wrapper,2026-01-10,No,Qwen,0
eButterfly Export,3,Blocked,-,2025-12-29,Waiting for API access,2026-02-01,No,-,0
Pipecat Voice,4,Planning,Gemini,2025-12-31 10:00,Research frameworks,2026-01-20,Yes,Gemini 2.0,25
`;
export const BRIEF_TASKS = `Task ID,Project,Description,Type,Assigned To,Status,Started,Completed,Output
T001,Antenna,Refactor image preprocessing,Implementation,Qwen (VM3),Running,2025-12-31 12:00,-,-
T002,APRS,Create decoder tests,Testing,Claude (VM2),Queued,-,-,-
T003,Pipecat,Evaluate VAD options,Research,Gemini API,Complete,2025-12-30,2025-12-31,docs/pipecat/vad-analysis.md
`;
