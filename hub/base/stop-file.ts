import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { codeOf, messageOf } from "./errors.ts";

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
    mkdirSync(dirname(stopFile), { recursive: true, mode: 0o700 });
    fd = openSync(stopFile, "wx", 0o600);
  } catch (error) {
    if (codeOf(error) === "EEXIST") return;
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
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error))) return undefined;
    return { at: "", by: "unknown", why: `the STOP file cannot be read: ${messageOf(error)}` };
  }
  try {
    const value = JSON.parse(text) as Partial<Record<keyof Stop, unknown>>;
    const word = (field: unknown, otherwise: string) => (typeof field === "string" ? field : otherwise);
    return { at: word(value.at, ""), by: whoIs(word(value.by, "unknown")), why: word(value.why, "") };
  } catch {
    return { at: "", by: "unknown", why: text.trim().slice(0, 200) };
  }
}

/** A token's number says nothing to whoever reads who has set STOP. */
function whoIs(by: string): string {
  return /^token:\d+$/.test(by) ? "an MCP client" : by;
}

/** Removes the STOP file; false when there was none. */
export function releaseStop(stopFile: string): boolean {
  const was = readStop(stopFile) !== undefined;
  rmSync(stopFile, { force: true });
  return was;
}
