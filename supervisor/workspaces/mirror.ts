import { appendFile, mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../hub/base/clock.ts";
import { ProviderError } from "../../hub/base/errors.ts";
import { taskBranch, taskName } from "../../hub/base/ids.ts";
import type { Git, GitOptions, GitResult } from "./git.ts";
import { GitError } from "./git.ts";
import type { Identity } from "./source.ts";
import { asAuthor, exists } from "./source.ts";

export const INTEGRATION_BRANCH = "cto/integration";
export const INTEGRATION = `refs/heads/${INTEGRATION_BRANCH}`;
/** The default branch as it was fetched last. */
export const DEFAULT = "refs/cto/default";
/** The default branch as it was when the integration branch last took it in. */
export const TAKEN_IN = "refs/cto/taken-in";
export const branchRef = (task: number) => `refs/heads/${taskBranch(task)}`;
/** What a task's own work is measured from. */
export const baseRef = (task: number) => `refs/cto/base/${taskName(task)}`;
/** What of a task the integration branch has taken. */
export const integratedRef = (task: number) => `refs/cto/integrated/${taskName(task)}`;
/** The commit that a workspace is being brought to; there only while that is under way. */
export const syncRef = (task: number) => `refs/cto/sync/${taskName(task)}`;

const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const LOCK_TAKEN = /Unable to create '.*\.lock'|\.lock'?: File exists/;
const NOT_AS_EXPECTED = /is at [0-9a-f]+ but expected|reference already exists|unable to resolve reference/;

// Objects that come in are checked; three flaws that old repositories really have are let through.
// Hidden refs cannot be pushed to, whatever the pusher's own configuration says.
const MIRROR_SETTINGS = `[transfer]
	fsckObjects = true
[fetch "fsck"]
	zeroPaddedFilemode = ignore
	missingSpaceBeforeDate = ignore
	badTimezone = ignore
[receive]
	hideRefs = refs
	denyNonFastForwards = true
	denyDeletes = true
[gc]
	autoDetach = false
`;

/** A commit's name, or a `ProviderError`: nothing else ever stands where git would read an option. */
export function commitName(text: string): string {
  if (COMMIT.test(text)) return text;
  throw new ProviderError("That is not the name of a commit.");
}

/** One project's mirror: a bare repository that only the hub's own git writes. */
export interface Mirror {
  readonly path: string;
  git(args: readonly string[], options?: Omit<GitOptions, "repository">): Promise<GitResult>;
  /** The commit that a ref points at; undefined when there is no such ref. */
  commit(ref: string): Promise<string | undefined>;
  isAncestor(older: string, newer: string): Promise<boolean>;
  mergeBase(a: string, b: string): Promise<string | undefined>;
  /** Moves refs together or not at all; false when one was not at its `from` (undefined: anywhere). */
  move(moves: { ref: string; to: string | undefined; from?: string | undefined }[]): Promise<boolean>;
  /** Merges two commits without a work tree. */
  merge(
    into: string,
    from: string,
    message: string,
    options?: { unrelated?: boolean },
  ): Promise<{ commit: string } | { conflicts: string[] }>;
  hasEntry(commit: string, path: string): Promise<boolean>;
}

export interface MirrorParts {
  git: Git;
  clock: Clock;
  identity: Identity;
  /** A lock file of git's that is older than this was left by a process that is gone. */
  staleLockMs: number;
}

/** The mirror at `path`, whether it is there yet or not. */
export function mirrorAt(path: string, parts: MirrorParts): Mirror {
  const git: Mirror["git"] = (args, options) =>
    withoutStaleLocks(path, parts, () => parts.git(args, { ...options, repository: path }));
  const mirror: Mirror = {
    path,
    git,
    async commit(ref) {
      const { code, stdout } = await git(["rev-parse", "-q", "--verify", `${ref}^{commit}`], { codes: [0, 1] });
      return code === 0 ? stdout.trim() : undefined;
    },
    async isAncestor(older, newer) {
      return (await git(["merge-base", "--is-ancestor", older, newer], { codes: [0, 1] })).code === 0;
    },
    async mergeBase(a, b) {
      const { code, stdout } = await git(["merge-base", a, b], { codes: [0, 1] });
      return code === 0 ? stdout.trim() : undefined;
    },
    async move(moves) {
      const lines = moves.map(({ ref, to, from }) =>
        to === undefined ? `delete ${ref}` : update(ref, commitName(to), from),
      );
      try {
        await git(["update-ref", "--stdin"], { input: `start\n${lines.join("\n")}\nprepare\ncommit\n` });
        return true;
      } catch (error) {
        if (error instanceof GitError && NOT_AS_EXPECTED.test(error.stderr)) return false;
        throw error;
      }
    },
    async merge(into, from, message, options = {}) {
      const unrelated = options.unrelated === true ? ["--allow-unrelated-histories"] : [];
      const arguments_ = ["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ...unrelated, into, from];
      const { code, stdout } = await git(arguments_, { codes: [0, 1], timeoutMs: 300_000 });
      const [tree = "", ...names] = stdout.split("\0").filter((name) => name !== "");
      if (code === 1) return { conflicts: [...new Set(names)] };
      const parents = ["-p", into, "-p", from];
      const made = await git(["commit-tree", commitName(tree), ...parents, "-m", message], {
        env: asAuthor(parts.identity),
      });
      return { commit: made.stdout.trim() };
    },
    async hasEntry(commit, path) {
      return (await git(["ls-tree", "-z", "--full-tree", commitName(commit), "--", path])).stdout !== "";
    },
  };
  return mirror;
}

function update(ref: string, to: string, from: string | undefined): string {
  return from === undefined ? `update ${ref} ${to}` : `update ${ref} ${to} ${from}`;
}

/** All zeroes: what `move` takes for "there must be no such ref yet". */
export function noCommit(like: string): string {
  return "0".repeat(like.length);
}

/** Makes the mirror where it is not there yet, whole or not at all. `like` is a commit of the repository it mirrors. */
export async function ensureMirror(mirror: Mirror, git: Git, like: string | undefined): Promise<void> {
  if (await exists(mirror.path)) return;
  const parent = join(mirror.path, "..");
  await mkdir(parent, { recursive: true, mode: 0o700 });
  const fresh = await mkdtemp(`${mirror.path}.new-`);
  try {
    const format = like?.length === 64 ? ["--object-format=sha256"] : [];
    await git([
      "init",
      "-q",
      "--bare",
      "--template=",
      `--initial-branch=${INTEGRATION_BRANCH}`,
      ...format,
      "--",
      fresh,
    ]);
    await appendFile(join(fresh, "config"), MIRROR_SETTINGS);
    await rename(fresh, mirror.path);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/**
 * A process that was killed leaves its lock files. A lock that is held by a living one goes
 * away by itself within moments, so an old one is removed and the command run again.
 */
async function withoutStaleLocks<T>(path: string, parts: MirrorParts, run: () => Promise<T>): Promise<T> {
  const giveUpAt = parts.clock.monotonic() + parts.staleLockMs * 2 + 5_000;
  for (;;) {
    try {
      return await run();
    } catch (error) {
      const locked = error instanceof GitError && LOCK_TAKEN.test(error.stderr);
      if (!locked || parts.clock.monotonic() > giveUpAt) throw error;
      await removeStaleLocks(path, parts);
      await parts.clock.sleep(50);
    }
  }
}

async function removeStaleLocks(path: string, { clock, staleLockMs }: MirrorParts): Promise<void> {
  const top = (await readdir(path)).map((name) => join(path, name));
  const refs = (await readdir(join(path, "refs"), { recursive: true })).map((name) => join(path, "refs", name));
  for (const file of [...top, ...refs].filter((name) => name.endsWith(".lock"))) {
    const age = clock.now() - (await stat(file).catch(() => ({ mtimeMs: Infinity }))).mtimeMs;
    if (age > staleLockMs) await rm(file, { force: true });
  }
}
