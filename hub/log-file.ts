import { appendFileSync, mkdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import pino from "pino";
import type { Home } from "./base/home.ts";
import { createLog, type Log } from "./base/log.ts";

/** One older file is kept beside it, so logs take at most twice this. */
const MAX_LOG_BYTES = 10 * 1024 * 1024;

/** Where the hub's own log is. */
export function hubLogFile(home: Home): string {
  return join(home.logs, "hub.log");
}

/**
 * The hub's log: every line from `level` up goes to `logs/hub.log` in the home, those from
 * `shown` up to `stderr` as well. A log that cannot be written never stops the hub.
 */
export function createHubLog(
  home: Home,
  level: string,
  stderr: { write(text: string): unknown },
  shown: string,
  maxBytes = MAX_LOG_BYTES,
): Log {
  const file = hubLogFile(home);
  const streams = pino.multistream([
    { level: level as pino.Level, stream: { write: (line) => appendBounded(file, line, maxBytes) } },
    { level: shown as pino.Level, stream: { write: (line) => void stderr.write(line) } },
  ]);
  return createLog(level, streams);
}

function appendBounded(file: string, line: string, maxBytes: number): void {
  try {
    const size = statSync(file, { throwIfNoEntry: false })?.size;
    if (size === undefined) mkdirSync(join(file, ".."), { recursive: true, mode: 0o700 });
    else if (size + line.length > maxBytes) renameSync(file, `${file}.1`);
    appendFileSync(file, line, { mode: 0o600 });
  } catch {
    // A full disk is told by what fails because of it.
  }
}
