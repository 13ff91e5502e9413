import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { randomId, sha256, type IdSource } from "../base/ids.ts";

/** What tells a file apart from what it was before, without reading it. */
export function signatureOf(path: string): string {
  const stat = lstatSync(path, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? MISSING : `${stat.ino}/${stat.size}/${stat.mtimeNs}/${stat.ctimeNs}`;
}

/** The signature of a file that is not there. */
export const MISSING = "missing";

/** The file that takes another's place for a moment, and the one that is about to. */
const REPLACEMENT = /^\.(.+)\.([0-9a-f]{16}|none)-[\w-]+\.(old|new)$/;

/**
 * What a file in the folder is, by its name: an aside or a next one, of which file, and with what
 * the SHA-256 of the replaced content begins.
 */
export function replacementOf(name: string): { kind: "old" | "new"; of: string; expected: string } | undefined {
  const [, of, expected, kind] = REPLACEMENT.exec(name) ?? [];
  return of === undefined || expected === undefined
    ? undefined
    : { kind: kind === "old" ? "old" : "new", of, expected };
}

export type Replaced =
  /**
   * `aside` still has the old content's inode: an editor that has it open may yet write to it.
   * `ours` is false when somebody changed the new file at once.
   */
  | { outcome: "written"; aside: string | undefined; ours: boolean }
  /** Somebody saved meanwhile; nothing of that was touched. */
  | { outcome: "changed" };

export interface ReplaceOptions {
  id?: IdSource;
  /** The next file's path is in it as long as the replacing goes on. */
  inFlight?: Set<string>;
  /** Called between the steps; tests stop here. */
  step?: (name: "temporary" | "aside" | "linked") => void;
}

/**
 * Puts `content` in the place of the file whose content has the SHA-256 `expected` (undefined
 * for a file that is not there), never in the place of anything else.
 *
 * An editor may save at any moment, by renaming a new file over ours or by writing into it, so
 * the old file is moved aside, looked at, and the new one is linked in, which fails if somebody
 * put a file there first. A crash between the steps leaves the old content under a name that
 * the next reading finds.
 */
export async function replaceFile(
  path: string,
  expected: string | undefined,
  content: Buffer,
  { id = randomId, step = () => undefined, inFlight = new Set() }: ReplaceOptions = {},
): Promise<Replaced> {
  // The name says what was replaced, so that a restart can tell whether anything was typed into it since.
  const suffix = `${expected?.slice(0, 16) ?? "none"}-${id(6).replace(/[^\w-]/g, "")}`;
  const next = join(dirname(path), `.${basename(path)}.${suffix}.new`);
  const aside = join(dirname(path), `.${basename(path)}.${suffix}.old`);
  const old = lstatSync(path, { throwIfNoEntry: false });
  inFlight.add(next);
  try {
    await writeDurably(next, content);
    if (old !== undefined) chmodSync(next, old.mode & 0o777);
    step("temporary");
    if (hashOf(path) !== expected) return { outcome: "changed" };
    if (expected !== undefined) {
      renameSync(path, aside);
      step("aside");
      if (hashOf(aside) !== expected) {
        putBack(aside, path);
        return { outcome: "changed" };
      }
    }
    const written = lstatSync(next, { bigint: true });
    if (!linkNew(next, path)) {
      // The aside was read before; who saved meanwhile had it too, or writes to it: it is watched on.
      return { outcome: "changed" };
    }
    step("linked");
    syncFolder(dirname(path));
    const now = lstatSync(path, { throwIfNoEntry: false, bigint: true });
    const ours =
      now !== undefined && now.ino === written.ino && now.size === written.size && now.mtimeNs === written.mtimeNs;
    return { outcome: "written", aside: expected === undefined ? undefined : aside, ours };
  } finally {
    rmSync(next, { force: true });
    inFlight.delete(next);
  }
}

async function writeDurably(path: string, content: Buffer): Promise<void> {
  const file = await open(path, "wx", 0o644);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The SHA-256 of a file; undefined when it is not there. */
export function hashOf(path: string): string | undefined {
  try {
    return sha256(readFileSync(path));
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Gives `aside` its name back, unless there is a newer file: then it stays aside and is read from there. */
export function putBack(aside: string, path: string): boolean {
  if (!linkNew(aside, path)) return false;
  rmSync(aside, { force: true });
  return true;
}

/** False when there is a file at `path` already. */
function linkNew(from: string, path: string): boolean {
  try {
    linkSync(from, path);
    return true;
  } catch (error) {
    if (isCode(error, "EEXIST")) return false;
    if (!isCode(error, "EPERM") && !isCode(error, "ENOTSUP") && !isCode(error, "ENOSYS")) throw error;
  }
  // A file system without hard links: still never over a file that is there.
  try {
    copyFileSync(from, path, constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    if (isCode(error, "EEXIST")) return false;
    throw error;
  }
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
