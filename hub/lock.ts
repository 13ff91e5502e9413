import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import { ConfigurationError } from "./base/errors.ts";

/**
 * Keeps a second hub away from the same home. The lock is SQLite's own file lock, which the
 * kernel takes back when the process ends, however it ends: nothing stale can be left.
 * Throws `ConfigurationError` when another hub holds it. Answers how to give it up.
 */
export function lockHome(lockFile: string): () => void {
  mkdirSync(dirname(lockFile), { recursive: true, mode: 0o700 });
  const db = new Database(lockFile, { timeout: 0 });
  try {
    db.pragma("locking_mode = EXCLUSIVE");
    db.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    throw new ConfigurationError(
      `Another hub is running on ${dirname(dirname(lockFile))}. Use that one ("cto status" shows it), or set CTO_HOME to another folder.`,
      { cause: error },
    );
  }
  return () => void db.close();
}
