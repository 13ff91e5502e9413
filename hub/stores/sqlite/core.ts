import type Database from "better-sqlite3";
import type { EventKind, HubEvent } from "../../base/event.ts";
import { messageOf, ProviderError } from "../../base/errors.ts";
import type { Principal } from "../../base/session.ts";
import { drizzle, getTableColumns } from "../drizzle.ts";

/** What an event is about. */
export interface About {
  projectId?: number | null;
  taskId?: number | null;
  sessionId?: string | null;
}

/**
 * The connection, one write transaction at a time, and the event log.
 * Everything under `stores/sqlite/` is built on it.
 */
export interface Core {
  db: Database.Database;
  orm: ReturnType<typeof drizzle>;
  /**
   * Runs `work` as one immediate transaction; events appended in it reach listeners after the commit.
   * What it wrote is on disk then. With `sync` "later" it outlives this process at once, and a power
   * cut from the next other write on: waiting for the disk is most of what a write costs.
   */
  write<T>(work: () => T, sync?: "now" | "later"): Promise<T>;
  /** Appends an event; only inside `write`. */
  append(by: Principal, kind: EventKind, about: About, data: Record<string, unknown>, now: number): void;
  onEvents(listener: (events: HubEvent[]) => void): () => void;
  /** `UPDATE table SET … WHERE id = ?` with a statement prepared once for each set of columns. */
  update(table: UpdatableTable, id: number | string, changes: Record<string, unknown>): void;
  insert(table: UpdatableTable, row: Record<string, unknown>): number;
}

type UpdatableTable = Parameters<typeof getTableColumns>[0];

export function createCore(db: Database.Database): Core {
  const orm = drizzle(db);
  const listeners = new Set<(events: HubEvent[]) => void>();
  const insertEvent = db.prepare(
    "INSERT INTO events (at, principal, project_id, task_id, session_id, kind, v, data) VALUES (?, ?, ?, ?, ?, ?, 1, ?)",
  );
  const statements = new Map<string, Database.Statement>();
  let pending: HubEvent[] = [];

  const transaction = db.transaction((work: () => unknown) => work());

  let syncing: "now" | "later" | undefined;
  function setSync(sync: "now" | "later"): void {
    if (sync === syncing) return;
    db.pragma(`synchronous = ${sync === "now" ? "FULL" : "NORMAL"}`);
    syncing = sync;
  }

  async function write<T>(work: () => T, sync: "now" | "later" = "now"): Promise<T> {
    pending = [];
    let result: T;
    try {
      setSync(sync);
      result = transaction.immediate(work) as T;
    } catch (error) {
      throw diskWords(error);
    }
    const committed = pending;
    pending = [];
    if (committed.length > 0) for (const listener of listeners) listener(committed);
    return result;
  }

  function append(by: Principal, kind: EventKind, about: About, data: Record<string, unknown>, now: number): void {
    const projectId = about.projectId ?? null;
    const taskId = about.taskId ?? null;
    const sessionId = about.sessionId ?? by.sessionId;
    const { lastInsertRowid } = insertEvent.run(now, by.name, projectId, taskId, sessionId, kind, JSON.stringify(data));
    pending.push({
      seq: Number(lastInsertRowid),
      at: now,
      principal: by.name,
      projectId,
      taskId,
      sessionId,
      kind,
      v: 1,
      data,
    });
  }

  function prepared(sqlText: string): Database.Statement {
    let statement = statements.get(sqlText);
    if (statement === undefined) {
      statement = db.prepare(sqlText);
      statements.set(sqlText, statement);
    }
    return statement;
  }

  function columnsOf(table: UpdatableTable, row: Record<string, unknown>): { names: string[]; values: unknown[] } {
    const columns = getTableColumns(table);
    const names: string[] = [];
    const values: unknown[] = [];
    for (const [key, value] of Object.entries(row)) {
      const column = columns[key];
      if (column === undefined) throw new Error(`no column for ${key}`);
      names.push(`"${column.name}"`);
      values.push(value === null || value === undefined ? null : column.mapToDriverValue(value));
    }
    return { names, values };
  }

  function tableName(table: UpdatableTable): string {
    return (table as unknown as Record<symbol, string>)[Symbol.for("drizzle:Name")] ?? "";
  }

  return {
    db,
    orm,
    write,
    append,
    onEvents(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    update(table, id, changes) {
      const { names, values } = columnsOf(table, changes);
      if (names.length === 0) return;
      prepared(`UPDATE "${tableName(table)}" SET ${names.map((name) => `${name} = ?`).join(", ")} WHERE id = ?`).run(
        ...values,
        id,
      );
    },
    insert(table, row) {
      const { names, values } = columnsOf(table, row);
      const marks = names.map(() => "?").join(", ");
      return Number(
        prepared(`INSERT INTO "${tableName(table)}" (${names.join(", ")}) VALUES (${marks})`).run(...values)
          .lastInsertRowid,
      );
    },
  };
}

/** A full or failing disk is nobody's mistake at the caller: it waits and tries again. */
function diskWords(error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "SQLITE_FULL") {
    return new ProviderError(
      "The hub's disk is full, so nothing was changed. Free some space there; try again in a minute.",
      { cause: error, retryAfterMs: 60_000 },
    );
  }
  if (code.startsWith("SQLITE_IOERR") || code.startsWith("SQLITE_READONLY")) {
    return new ProviderError(
      `The hub's disk cannot be written (${messageOf(error)}), so nothing was changed. Try again in a minute.`,
      { cause: error, retryAfterMs: 60_000 },
    );
  }
  return error;
}
