import { lstatSync, openSync, readSync, closeSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";

/** Which editor has `path` open, by the lock file that it keeps beside it, in words; undefined for none. */
export function editorOf(path: string): string | undefined {
  const folder = dirname(path);
  const name = basename(path);
  if (exists(join(folder, `.~lock.${name}#`))) return `LibreOffice has ${name} open`;
  for (const letter of ["p", "o", "n"]) {
    const swap = join(folder, `.${name}.sw${letter}`);
    if (exists(swap) && !isLeftBehind(swap)) return `vim has ${name} open`;
  }
  if (exists(join(folder, `.#${name}`))) return `Emacs has ${name} open`;
  if (exists(join(folder, `.${name}.kate-swp`))) return `Kate has ${name} open`;
  return undefined;
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Where vim's swap file says which process on which host wrote it. */
const PID_AT = 24;
const HOST_AT = 68;
const HOST_LENGTH = 40;

/** A swap file of a vim that died on this host keeps nobody from writing. */
function isLeftBehind(swap: string): boolean {
  const head = Buffer.alloc(HOST_AT + HOST_LENGTH);
  let fd: number;
  try {
    fd = openSync(swap, "r");
  } catch {
    return false;
  }
  try {
    if (readSync(fd, head, 0, head.length, 0) < head.length || head.toString("latin1", 0, 2) !== "b0") return false;
  } finally {
    closeSync(fd);
  }
  const host = head.toString("latin1", HOST_AT).split("\0")[0] ?? "";
  const pid = head.readUInt32LE(PID_AT);
  return pid > 0 && host === hostname().slice(0, HOST_LENGTH - 1) && !isAlive(pid);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
