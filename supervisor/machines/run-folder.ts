import { randomBytes } from "node:crypto";
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { ConfigurationError, UserInputError } from "../../hub/base/errors.ts";
import type { Home } from "../../hub/base/home.ts";
import type { RunSpec } from "./machine.ts";
import type { ProcessIdentity } from "./processes.ts";

/**
 * A run's folder: `run.json` (what was asked for, without the environment, which is never
 * written), `process.json` (who runs it), `stdout`, `stderr`, `exit` (its code), `swept` (nothing
 * of it is left). The first two and `exit` are there whole or not at all.
 */
export const RUN_FORMAT = 1;

const ID_PATTERN = /^[a-z0-9][a-z0-9-]{0,62}$/;

const runSchema = z.object({
  version: z.literal(RUN_FORMAT),
  machine: z.string(),
  id: z.string(),
  argv: z.array(z.string()),
  cwd: z.string(),
  maxLogBytes: z.number(),
});
export type RunRecord = z.infer<typeof runSchema>;

const processSchema = z.object({ bootId: z.string(), pid: z.int().positive(), startTime: z.number() });

/** Whether `id` can be a run's: what cannot never reaches a path. */
export function isRunId(id: string): boolean {
  return ID_PATTERN.test(id);
}

/** The folder of run `id`, absolute. Throws `UserInputError` for what cannot be an id. */
export function runFolder(home: Home, id: string): string {
  if (!isRunId(id)) throw new UserInputError("A run's id is made of lower-case letters, digits and dashes.");
  return join(home.runs, id);
}

/** Makes the folder (0700) and notes what was asked for; a run that is noted already keeps its words. */
export async function createRunFolder(folder: string, machine: string, spec: RunSpec): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  if ((await readRun(folder)) !== undefined) return;
  const { id, argv, cwd, maxLogBytes } = spec;
  const record: RunRecord = { version: RUN_FORMAT, machine, id, argv, cwd, maxLogBytes };
  await writeAtomically(join(folder, "run.json"), JSON.stringify(record) + "\n", 0o600);
}

/**
 * What was asked for; undefined when the folder has none. Throws `ConfigurationError` with one
 * line for a folder that a newer version wrote or that cannot be understood, and leaves it as it is.
 */
export async function readRun(folder: string): Promise<RunRecord | undefined> {
  const path = join(folder, "run.json");
  const text = await readText(path);
  if (text === undefined) return undefined;
  const value = parseJson(text);
  const version = z.object({ version: z.number() }).safeParse(value);
  if (version.success && version.data.version > RUN_FORMAT) {
    throw new ConfigurationError(
      `${path} has format ${version.data.version}, this version knows ${RUN_FORMAT}: use the version that wrote it.`,
    );
  }
  const record = runSchema.safeParse(value);
  if (record.success) return record.data;
  throw new ConfigurationError(`${path} cannot be understood: move its folder away.`);
}

/** Who runs it; undefined when no process has ever taken the run. */
export async function readProcess(folder: string): Promise<ProcessIdentity | undefined> {
  const result = processSchema.safeParse(parseJson((await readText(join(folder, "process.json"))) ?? ""));
  return result.success ? result.data : undefined;
}

/** When a process took the run, wall time in ms. */
export async function startedAt(folder: string): Promise<number> {
  return Math.round((await stat(join(folder, "process.json"))).mtimeMs);
}

/** The code that the program left; null when it left none. */
export async function readExit(folder: string): Promise<number | null> {
  const text = (await readText(join(folder, "exit")))?.trim() ?? "";
  return /^\d{1,3}$/.test(text) ? Number(text) : null;
}

/** Notes that nothing of an ended run is left, so that it need not be looked for again. */
export async function markSwept(folder: string): Promise<void> {
  await writeFile(join(folder, "swept"), "");
}

export async function isSwept(folder: string): Promise<boolean> {
  return (await readText(join(folder, "swept"))) !== undefined;
}

/** Notes that STOP ended the run: its end is then nobody's failure. */
export async function markStopped(folder: string): Promise<void> {
  await writeFile(join(folder, "stopped"), "");
}

export async function isStopped(folder: string): Promise<boolean> {
  return (await readText(join(folder, "stopped"))) !== undefined;
}

/** Bytes of output that are there to read, both streams together. */
export async function outputBytes(folder: string): Promise<number> {
  const sizes = await Promise.all(["stdout", "stderr"].map((name) => fileSize(join(folder, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** At most `max` bytes from `offset`; none where there is no such file or it is shorter. */
export async function readBytes(path: string, offset: number, max: number): Promise<Uint8Array> {
  const length = Math.min(max, Math.max(0, (await fileSize(path)) - offset));
  if (length <= 0) return new Uint8Array();
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
    return new Uint8Array(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

/** The ids of all run folders, whoever made them. */
export async function listRunIds(home: Home): Promise<string[]> {
  const entries = await readdir(home.runs, { withFileTypes: true }).catch(ifMissing([]));
  return entries.filter((entry) => entry.isDirectory() && isRunId(entry.name)).map((entry) => entry.name);
}

/** Writes `path` with `mode`, making its folders (0700): a reader sees the old file or the new one, never a part. */
export async function writeAtomically(path: string, data: string | Uint8Array, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const part = `${path}.${randomBytes(6).toString("hex")}.part`;
  try {
    const file = await open(part, "wx", mode);
    try {
      await file.writeFile(data);
      // The mode given to open is cut by the umask.
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

async function readText(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch(ifMissing(undefined));
}

async function fileSize(path: string): Promise<number> {
  return stat(path).then((found) => found.size, ifMissing(0));
}

/** A handler that answers `value` where there is no file, and throws on what else went wrong. */
function ifMissing<T>(value: T): (error: unknown) => T {
  return (error) => {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return value;
    throw error;
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
