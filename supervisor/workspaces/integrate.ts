import { posix } from "node:path";
import { ProviderError } from "../../hub/base/errors.ts";
import { taskBranch } from "../../hub/base/ids.ts";
import { CONTINUATION_FILE } from "./clone.ts";
import { gitInside } from "./inside.ts";
import type { Mirror } from "./mirror.ts";
import { branchRef, commitName, INTEGRATION, INTEGRATION_BRANCH, integratedRef } from "./mirror.ts";
import { showIntegration, syncWorkspace } from "./sync.ts";
import type { Place } from "./workspaces.ts";

const MAX_COMMITS = 200;

/** See `Workspaces.bringUpToDate`. */
export async function bringUpToDate(
  place: Place,
  mirror: Mirror,
  path: string,
  task: number,
  head: string,
): Promise<{ head: string } | { conflicts: string[] }> {
  const integration = await integrationOf(mirror);
  if (await mirror.isAncestor(head, integration)) return { head };
  const merged = await mergedHead(mirror, task, head, integration);
  if ("conflicts" in merged) {
    await showIntegration(place, mirror, path, task);
    return merged;
  }
  const args = [`--git-dir=${path}/.git`, "rev-parse", "-q", "--verify", "HEAD^{commit}"];
  const at = (await gitInside(place, args, { codes: [0, 1, 128] })).stdout.trim();
  if (at !== merged.head) await syncWorkspace(place, mirror, path, task, head, merged.head);
  return merged;
}

async function mergedHead(
  mirror: Mirror,
  task: number,
  head: string,
  integration: string,
): Promise<{ head: string } | { conflicts: string[] }> {
  if (await mirror.isAncestor(integration, head)) return { head };
  // A run that was cut off may have made the merge already.
  const branch = await mirror.commit(branchRef(task));
  const parents = branch && (await mirror.git(["log", "-1", "--format=%P", branch])).stdout.trim();
  if (branch !== undefined && parents === `${head} ${integration}`) return { head: branch };
  const related = (await mirror.mergeBase(head, integration)) !== undefined;
  if (!related) return { conflicts: [`(${taskBranch(task)} has no history in common with ${INTEGRATION_BRANCH})`] };
  const merge = await mirror.merge(head, integration, `Merge ${INTEGRATION_BRANCH} into ${taskBranch(task)}`);
  if ("conflicts" in merge) return merge;
  await mirror.move([{ ref: branchRef(task), to: merge.commit }]);
  return { head: merge.commit };
}

/** See `Workspaces.integrate`. */
export async function integrate(mirror: Mirror, task: number, head: string): Promise<{ commit: string } | "moved"> {
  const commit = commitName(head);
  const integration = await integrationOf(mirror);
  if (await mirror.isAncestor(commit, integration)) return { commit };
  if (!(await mirror.isAncestor(integration, commit))) return "moved";
  const moved = await mirror.move([
    { ref: INTEGRATION, to: commit, from: integration },
    { ref: integratedRef(task), to: commit },
  ]);
  return moved ? { commit } : "moved";
}

async function integrationOf(mirror: Mirror): Promise<string> {
  const commit = await mirror.commit(INTEGRATION);
  if (commit !== undefined) return commit;
  throw new ProviderError("The project's repository was not fetched yet: it is tried again shortly.");
}

export interface Changes {
  commits: { hash: string; subject: string }[];
  files: { path: string; added: number; removed: number }[];
}

/** See `Workspaces.changes`: at most 200 commits, newest first; binary files count no lines. */
export async function changesBetween(mirror: Mirror, base: string, head: string): Promise<Changes> {
  const range = [`^${commitName(base)}`, commitName(head)];
  const log = await mirror.git(["log", "-z", "--format=%H %s", `--max-count=${MAX_COMMITS}`, ...range, "--"]);
  const commits = list(log.stdout).map((line) => ({
    hash: line.slice(0, line.indexOf(" ")),
    subject: line.slice(line.indexOf(" ") + 1),
  }));
  const options = ["--no-ext-diff", "--no-textconv", "--no-renames", "--numstat", "-z"];
  const diff = await mirror.git(["diff", ...options, base, head, "--"], { timeoutMs: 300_000 });
  const files = list(diff.stdout).map((line) => {
    const [added = "0", removed = "0", ...path] = line.split("\t");
    return { path: path.join("\t"), added: Number(added) || 0, removed: Number(removed) || 0 };
  });
  const kept = (await mirror.hasEntry(base, CONTINUATION_FILE))
    ? files
    : files.filter((file) => file.path !== CONTINUATION_FILE);
  return { commits, files: kept };
}

function list(text: string): string[] {
  return text.split("\0").filter((line) => line !== "");
}

/** See `Workspaces.hasFile`: regular files only, no links, no folders. */
export async function hasFileAt(mirror: Mirror, commit: string, path: string): Promise<boolean> {
  if (path === "" || path.includes("\0") || posix.isAbsolute(path)) return false;
  const plain = posix.normalize(path);
  if (plain === "." || plain === ".." || plain.startsWith("../") || plain.endsWith("/")) return false;
  const { stdout } = await mirror.git(["ls-tree", "-z", "--full-tree", commitName(commit), "--", plain]);
  return /^100\d{3} blob /.test(stdout);
}
