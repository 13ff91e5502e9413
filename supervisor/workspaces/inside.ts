import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { randomBytes } from "node:crypto";
import { ProviderError } from "../../hub/base/errors.ts";
import type { ExecResult } from "../machines/machine.ts";
import { SAFE_ENVIRONMENT, SAFE_SETTINGS } from "./git.ts";
import type { Mirror } from "./mirror.ts";
import { FETCH_OPTIONS } from "./refresh.ts";
import type { Place } from "./workspaces.ts";

/** Time for what moves or reads a whole work tree. */
export const LONG_MS = 10 * 60_000;
const LIST_BYTES = 64 * 1024 * 1024;

export interface InsideOptions {
  cwd?: string;
  env?: Record<string, string>;
  codes?: readonly number[];
}

/** Runs a program inside the machine to its end; throws `ProviderError` for an exit code that is no answer. */
export async function inside(place: Place, argv: string[], options: InsideOptions = {}): Promise<ExecResult> {
  const result = await place.machine.exec(place.name, argv, {
    cwd: options.cwd ?? "/",
    env: { ...SAFE_ENVIRONMENT, ...options.env },
    timeoutMs: LONG_MS,
    maxBytes: LIST_BYTES,
  });
  if (result.code !== null && (options.codes ?? [0]).includes(result.code)) return result;
  const how = result.timedOut ? "took too long" : result.stderr.trim().split("\n").slice(-3).join(" ").slice(0, 500);
  const what = argv.find(
    (argument) => !SAFE_SETTINGS.includes(argument) && !argument.startsWith("--git-dir=") && argument !== "git",
  );
  throw new ProviderError(`${argv[0]} ${what ?? ""} in the workspace: ${how || `ended with exit code ${result.code}`}`);
}

/** Runs git inside the machine, with hooks off. */
export function gitInside(place: Place, args: string[], options: InsideOptions = {}): Promise<ExecResult> {
  return inside(place, ["git", ...SAFE_SETTINGS, ...args], options);
}

/**
 * A repository of ours beside the workspace, made for one step and thrown away: it shares
 * the workspace's objects and work tree, but not its configuration, hooks, filters, index,
 * excludes or refs. What an agent wrote into its own `.git` has no say in what we see or
 * commit, and the host fetches from this one, never from the agent's.
 */
export interface SideRepository {
  path: string;
  git(args: string[], options?: InsideOptions): Promise<ExecResult>;
}

export async function withSideRepository<T>(
  place: Place,
  workspace: string,
  like: string,
  use: (side: SideRepository) => Promise<T>,
): Promise<T> {
  const path = temporaryBeside(workspace);
  const objects = join(workspace, ".git", "objects");
  const env = { GIT_DIR: path, GIT_WORK_TREE: workspace, GIT_OBJECT_DIRECTORY: objects };
  try {
    await gitInside(place, ["init", "-q", "--bare", "--template=", ...formatOf(like), "--", path]);
    await place.machine.put(place.name, join(path, "objects", "info", "alternates"), `${objects}\n`, 0o600);
    return await use({
      path,
      git: (args, options) => gitInside(place, args, { cwd: workspace, ...options, env: { ...env, ...options?.env } }),
    });
  } finally {
    await inside(place, ["rm", "-rf", "--", path]);
  }
}

export function formatOf(commit: string): string[] {
  return commit.length === 64 ? ["--object-format=sha256"] : [];
}

/** A name beside a workspace for something that is moved into place or thrown away. */
export function temporaryBeside(workspace: string): string {
  return `${workspace}.tmp-${randomBytes(6).toString("hex")}`;
}

/**
 * Brings refs of the mirror into a repository inside the machine; `refs` maps the mirror's to
 * the repository's. The native machine reads the mirror where it is; any other is handed a
 * bundle, since it sees no folder of the host.
 */
export async function fetchInto(
  place: Place,
  mirror: Mirror,
  refs: Record<string, string>,
  fetch: (args: string[]) => Promise<ExecResult>,
  scratch: string,
): Promise<void> {
  const refspecs = Object.entries(refs).map(([from, to]) => `+${from}:${to}`);
  const options = [...FETCH_OPTIONS, "--update-head-ok", "--"];
  if (place.machine.kind === "native") {
    await fetch([...options, mirror.path, ...refspecs]);
    return;
  }
  const bundle = join(scratch, "cto.bundle");
  const folder = await mkdtemp(join(tmpdir(), "cto-bundle-"));
  try {
    const made = join(folder, "bundle");
    await mirror.git(["bundle", "create", "-q", made, ...Object.keys(refs)], { timeoutMs: LONG_MS });
    await place.machine.put(place.name, bundle, await readFile(made), 0o600);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  await fetch([...options, bundle, ...refspecs]);
  await inside(place, ["rm", "-f", "--", bundle]);
}

/** Removes what steps that were cut off left beside a workspace. */
export async function removeLeftovers(place: Place, workspace: string): Promise<void> {
  const name = workspace.slice(dirname(workspace).length + 1);
  const found = ["-maxdepth", "1", "-name", `${name}.tmp-*`];
  await inside(place, ["find", dirname(workspace), ...found, "-exec", "rm", "-rf", "--", "{}", "+"]);
}
