import { workerData } from "node:worker_threads";
import Database from "better-sqlite3";

/**
 * One checkpoint, on a thread of its own: it copies pages and waits for the disk, which no
 * tool call should wait for. PASSIVE never blocks the writer.
 */
const db = new Database((workerData as { path: string }).path, { fileMustExist: true, timeout: 1_000 });
try {
  db.pragma("wal_checkpoint(PASSIVE)");
} finally {
  db.close();
}
