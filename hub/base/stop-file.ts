import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { messageOf } from "./errors.ts";

/**
 * STOP is a file, so that it works when the hub is dead and holds across a reboot. While it
 * exists nothing is started. Only a release removes it.
 */
export interface Stop {
  at: string;
  by: string;
  why: string;
}

/** Writes the STOP file, on disk before it returns. A stop that is set already keeps its words. */
export function setStop(stopFile: string, stop: Stop): void {
  let fd: number;
  try {
    fd = openSync(stopFile, "wx", 0o600);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return;
    throw error;
  }
  try {
    writeSync(fd, JSON.stringify(stop) + "\n");
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * The stop that is set, or undefined. A file that cannot be read or understood still stops:
 * an empty file made with `touch` counts.
 */
export function readStop(stopFile: string): Stop | undefined {
  let text: string;
  try {
    text = readFileSync(stopFile, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    return { at: "", by: "unknown", why: `the STOP file cannot be read: ${messageOf(error)}` };
  }
  try {
    const value = JSON.parse(text) as Partial<Record<keyof Stop, unknown>>;
    const word = (field: unknown, otherwise: string) => (typeof field === "string" ? field : otherwise);
    return { at: word(value.at, ""), by: word(value.by, "unknown"), why: word(value.why, "") };
  } catch {
    return { at: "", by: "unknown", why: text.trim().slice(0, 200) };
  }
}

/** Removes the STOP file; false when there was none. */
export function releaseStop(stopFile: string): boolean {
  const was = readStop(stopFile) !== undefined;
  rmSync(stopFile, { force: true });
  return was;
}
