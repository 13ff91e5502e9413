import Database from "better-sqlite3";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  rmSync,
} from "node:fs";
import { basename, join } from "node:path";
import { ConfigurationError, messageOf } from "../base/errors.ts";

/** "CTO1": marks our database files, so that no other program's file is taken for one. */
const APPLICATION_ID = 0x43544f31;
const MIGRATIONS = join(import.meta.dirname, "migrations");
/** Older versions can corrupt a write-ahead log that two connections reset at once. */
const OLDEST_SQLITE = "3.51.3";

/** The migrations in their order: number and SQL. */
export function readMigrations(folder = MIGRATIONS): { version: number; name: string; sql: string }[] {
  return readdirSync(folder)
    .filter((name) => /^\d{4}-.*\.sql$/.test(name))
    .toSorted()
    .map((name) => ({ version: Number(name.slice(0, 4)), name, sql: readFileSync(join(folder, name), "utf8") }));
}

export interface OpenOptions {
  /** Where a copy is put before a migration; no copy when not given (a new or in-memory file). */
  backups?: string;
  migrations?: ReturnType<typeof readMigrations>;
  now?: number;
}

/**
 * Opens (or makes) the database file and brings it to the newest schema.
 *
 * A file that is foreign, corrupt, unreadable or of a newer version is refused with a
 * `ConfigurationError` of one line, and is left byte for byte as it was: everything about it
 * is found out through a read-only connection before anything can write.
 */
export function openDatabase(path: string, options: OpenOptions = {}): Database.Database {
  const migrations = options.migrations ?? readMigrations();
  const newest = migrations.at(-1)?.version ?? 0;
  const exists = path !== ":memory:" && existsSync(path);
  const version = exists ? inspect(path, newest) : 0;
  const db = openForWriting(path);
  try {
    // The home is its owner's alone; so is this, should somebody widen the home.
    if (path !== ":memory:") chmodSync(path, 0o600);
    configure(db, path);
    if (version > 0 && version < newest) backUpBefore(db, path, version, options);
    migrate(db, version, migrations);
    return db;
  } catch (error) {
    db.close();
    throw explain(error, path);
  }
}

/** The schema version of an existing file; throws when it is not one that we can open. */
function inspect(path: string, newest: number): number {
  const header = readHeader(path);
  if (header.length === 0) return 0;
  if (header.subarray(0, 16).toString("latin1") !== "SQLite format 3\0") {
    throw new ConfigurationError(
      `${path} is not a database of CTO Sidekick. Move it away, or set CTO_HOME to another folder.`,
    );
  }
  // Where a log lies beside it, the newest header may be in there; else the file's own is it.
  if (!existsSync(`${path}-wal`)) recognize(path, header.readUInt32BE(68), header.readUInt32BE(60), newest);
  return inspectWhole(path, newest);
}

/** Throws unless the file is ours and not newer than we are. Offsets: sqlite.org/fileformat.html, section 1.3. */
function recognize(path: string, applicationId: number, version: number, newest: number): void {
  if (applicationId !== APPLICATION_ID) {
    throw new ConfigurationError(
      `${path} belongs to another program. Move it away, or set CTO_HOME to another folder.`,
    );
  }
  if (version > newest) {
    throw new ConfigurationError(
      `${path} was written by a newer CTO Sidekick (schema ${version}, this one knows ${newest}). Start the newer version, or restore a backup.`,
    );
  }
}

function inspectWhole(path: string, newest: number): number {
  const sidecars = [`${path}-wal`, `${path}-shm`].filter((file) => !existsSync(file));
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { readonly: true, fileMustExist: true });
    const version = Number(db.pragma("user_version", { simple: true }));
    // A first start that was cut off before its one transaction leaves an empty database: begin again.
    if (version === 0 && db.prepare("SELECT count(*) FROM sqlite_master").pluck().get() === 0) return 0;
    recognize(path, Number(db.pragma("application_id", { simple: true })), version, newest);
    if (db.pragma("quick_check(1)", { simple: true }) !== "ok") throw corrupt(path);
    return version;
  } catch (error) {
    throw explain(error, path);
  } finally {
    db?.close();
    // Even a reader makes these two beside a file in WAL mode; what was not there goes again.
    for (const file of sidecars) rmSync(file, { force: true });
  }
}

/** The first 100 bytes of a file: fewer when it is shorter than a database's header. */
function readHeader(path: string): Buffer {
  let fd: number | undefined;
  try {
    fd = openSync(path, "r");
    const buffer = Buffer.alloc(100);
    return buffer.subarray(0, readSync(fd, buffer, 0, 100, 0));
  } catch (error) {
    throw explain(error, path);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function openForWriting(path: string): Database.Database {
  try {
    return new Database(path);
  } catch (error) {
    throw explain(error, path);
  }
}

function configure(db: Database.Database, path: string): void {
  const version = String(db.prepare("SELECT sqlite_version()").pluck().get());
  if (compareVersions(version, OLDEST_SQLITE) < 0) {
    throw new ConfigurationError(
      `SQLite ${version} can damage its log; at least ${OLDEST_SQLITE} is needed. Run "npm ci" again.`,
    );
  }
  // FULL: whoever was told "done" finds it after a power cut too.
  if (path !== ":memory:") db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.pragma("foreign_keys = ON");
  db.pragma("busy_timeout = 5000");
  // Checkpoints run on a thread of their own; on this one they are the slowest answers.
  db.pragma("wal_autocheckpoint = 0");
}

function migrate(db: Database.Database, from: number, migrations: ReturnType<typeof readMigrations>): void {
  for (const { version, sql } of migrations) {
    if (version <= from) continue;
    db.transaction(() => {
      db.exec(sql);
      db.pragma(`user_version = ${version}`);
      db.pragma(`application_id = ${APPLICATION_ID}`);
    }).immediate();
  }
}

function backUpBefore(db: Database.Database, path: string, version: number, options: OpenOptions): void {
  if (options.backups === undefined) return;
  mkdirSync(options.backups, { recursive: true, mode: 0o700 });
  const stamp = new Date(options.now ?? Date.now()).toISOString().replace(/[:.]/g, "-");
  db.prepare("VACUUM INTO ?").run(join(options.backups, `${basename(path, ".db")}-schema${version}-${stamp}.db`));
}

function corrupt(path: string): ConfigurationError {
  return new ConfigurationError(
    `${path} is damaged. It was left as it is: move it away and put the newest file from the backups folder in its place.`,
  );
}

/** SQLite's result codes in words that say what to do. */
export function explain(error: unknown, path: string): unknown {
  if (error instanceof ConfigurationError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB") return corrupt(path);
  if (
    code.startsWith("SQLITE_READONLY") ||
    code === "EROFS" ||
    code === "EACCES" ||
    code === "SQLITE_CANTOPEN" ||
    code === "SQLITE_PERM" ||
    messageOf(error).includes("directory does not exist")
  ) {
    return new ConfigurationError(
      `${path} cannot be written. Make it and its folder writable for this user, or set CTO_HOME to another folder.`,
      { cause: error },
    );
  }
  if (code === "SQLITE_FULL" || code === "ENOSPC") {
    return new ConfigurationError(
      `There is no space left for ${path}. Free some space; nothing that was answered is lost.`,
      { cause: error },
    );
  }
  if (code.startsWith("SQLITE_IOERR"))
    return new ConfigurationError(`The disk failed under ${path}: ${messageOf(error)}. Check the disk.`, {
      cause: error,
    });
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    return new ConfigurationError(`${path} is in use by another program. Close it and start again.`, { cause: error });
  }
  return error;
}

function compareVersions(a: string, b: string): number {
  const [x, y] = [a.split(".").map(Number), b.split(".").map(Number)];
  for (let i = 0; i < 3; i++) if ((x[i] ?? 0) !== (y[i] ?? 0)) return (x[i] ?? 0) - (y[i] ?? 0);
  return 0;
}
