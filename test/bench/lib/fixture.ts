import { copyFile, stat } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { DAY } from "../../../hub/base/clock.ts";
import { openSqliteStore } from "../../../hub/stores/sqlite.ts";

export const PROJECTS = 1_000;
/** Projects behind them that have no task. */
export const IDLE_PROJECTS = 1_000;
export const AGENT = "worker";

/** Tasks were added this long ago: none of them rises while a run lasts. */
const AGE_MS = DAY;

/**
 * A database of the real schema with `tasks` queued tasks in `PROJECTS` lanes, in `folder`.
 * Filled in bulk; that its ready rows are those that the store itself makes is checked by
 * `assertReadyRows`. Made once for each size and copied from then on.
 */
export async function fixture(folder: string, tasks: number): Promise<string> {
  const path = join(folder, `queue-${tasks}.db`);
  if (await stat(path).catch(() => undefined)) return path;
  openSqliteStore({ path }).close();
  const db = new Database(path);
  db.pragma("synchronous = OFF");
  db.transaction(() => fill(db, tasks, Date.now() - AGE_MS))();
  db.pragma("wal_checkpoint(TRUNCATE)");
  db.close();
  return path;
}

/** A copy of a fixture that a scenario may write to. */
export async function copyOf(path: string, name: string): Promise<string> {
  const target = path.replace(/\.db$/, `-${name}.db`);
  await copyFile(path, target);
  return target;
}

function fill(db: Database.Database, tasks: number, at: number): void {
  const count = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)";
  db.prepare("INSERT INTO agents (name, model) VALUES (?, '')").run(AGENT);
  db.prepare(
    `${count} INSERT INTO projects (id, slug, name, priority, repo, lane, "check", created_at, updated_at)
     SELECT i, 'project-' || i, 'Project ' || i, 1 + i % 5, '/repositories/' || i, '/repositories/' || i, 'npm test', ?, ? FROM n`,
  ).run(PROJECTS + IDLE_PROJECTS, at, at);
  db.prepare("INSERT INTO lanes (id, lane) SELECT id, lane FROM projects ORDER BY id").run();
  db.prepare(
    `${count} INSERT INTO tasks (id, project_id, description, type, complexity, state, band, rank_due_at, origin, created_at, updated_at)
     SELECT n.i, p.id,
       printf('Task %d: make the import of monthly statements tell which line it could not read, and why. %s', n.i,
         'Add a test for each kind of line; keep the rest of the file as it is; say in the summary what was left out.'),
       CASE n.i % 3 WHEN 0 THEN 'implementation' WHEN 1 THEN 'testing' ELSE 'debugging' END,
       CASE n.i % 4 WHEN 0 THEN 'low' WHEN 1 THEN 'high' ELSE 'medium' END,
       'queued', p.priority, CASE WHEN p.priority > 1 THEN ? END, 'sheet', ?, ?
     FROM n JOIN projects p ON p.id = 1 + (n.i - 1) % ${PROJECTS}`,
  ).run(tasks, at + 7 * DAY, at, at);
  db.prepare(
    `INSERT INTO ready (agent, lane_id, band, place, task_id, project_id)
     SELECT a.name, project_id, band, 1, tasks.id, project_id FROM tasks CROSS JOIN (SELECT '*' AS name UNION ALL SELECT name FROM agents) a`,
  ).run();
  db.prepare(
    "INSERT INTO lane_heads (agent, lane_id, busy, band, served) SELECT agent, lane_id, 0, min(band), 0 FROM ready GROUP BY agent, lane_id",
  ).run();
}

const QUEUE_TABLES = ["ready", "lanes", "lane_heads", "tasks", "projects"];

/** Throws when the store, told to make a fixture's ready rows anew, changes any row of it. */
export async function assertReadyRows(folder: string, tasks: number): Promise<void> {
  const path = await copyOf(await fixture(folder, tasks), "proof");
  const before = rowsOf(path);
  const store = openSqliteStore({ path });
  await store.setAgents([{ name: AGENT, model: "" }], Date.now());
  store.close();
  const after = rowsOf(path);
  for (const table of QUEUE_TABLES)
    if (before.get(table) !== after.get(table)) throw new Error(`the fixture's ${table} are not what the store makes`);
}

function rowsOf(path: string): Map<string, string> {
  const db = new Database(path);
  const rows = QUEUE_TABLES.map((table): [string, string] => [
    table,
    JSON.stringify(db.prepare(`SELECT * FROM ${table} ORDER BY 1, 2`).all()),
  ]);
  db.close();
  return new Map(rows);
}
