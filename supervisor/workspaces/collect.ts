import { ProviderError } from "../../hub/base/errors.ts";
import { taskName } from "../../hub/base/ids.ts";
import type { Task } from "../../hub/base/task.ts";
import { CONTINUATION_FILE, isThere } from "./clone.ts";
import type { SideRepository } from "./inside.ts";
import { fetchInto, gitInside, inside, LONG_MS, withSideRepository } from "./inside.ts";
import type { Mirror } from "./mirror.ts";
import { baseRef, branchRef, commitName, INTEGRATION, integratedRef } from "./mirror.ts";
import { FETCH_OPTIONS } from "./refresh.ts";
import type { Identity } from "./source.ts";
import { asAuthor } from "./source.ts";
import { finishSync, pointAgentAt } from "./sync.ts";
import type { Place } from "./workspaces.ts";

/** See `Workspaces.collect`. */
export async function collectWorkspace(
  place: Place,
  mirror: Mirror,
  path: string,
  task: Task,
  identity: Identity,
): Promise<{ base: string; head: string }> {
  const base = await mirror.commit(baseRef(task.id));
  if (base === undefined) throw new ProviderError(`${taskName(task.id)} has no workspace yet: it is opened first.`);
  const last = (await mirror.commit(branchRef(task.id))) ?? base;
  if (!(await isThere(place, path))) return { base, head: last };
  await repair(place, path, base);
  await finishSync(place, mirror, path, task.id);
  const head = await withSideRepository(place, path, base, async (side) => {
    const parents = await parentsOf(place, mirror, side, path, task.id, base);
    const commit = await commitAll(mirror, side, parents, task, base, identity);
    await side.git(["update-ref", branchRef(task.id), commit]);
    const url = place.machine.repositoryUrl(place.name, side.path);
    const refspec = `+${branchRef(task.id)}:${branchRef(task.id)}`;
    await mirror.git([...FETCH_OPTIONS, "--", url, refspec], { timeoutMs: LONG_MS });
    if (commit !== parents.head) await pointAgentAt(place, side, path, task.id, commit);
    return commit;
  });
  return { base: await ownBase(mirror, task.id, base, head), head };
}

/** An agent that removed or replaced its `.git` folder loses its history, not its files. */
async function repair(place: Place, path: string, like: string): Promise<void> {
  if ((await inside(place, ["test", "-d", `${path}/.git/objects`], { codes: [0, 1] })).code === 0) return;
  await inside(place, ["find", `${path}/.git`, "-maxdepth", "0", "-not", "-type", "d", "-delete"], { codes: [0, 1] });
  const format = like.length === 64 ? ["--object-format=sha256"] : [];
  await gitInside(place, ["init", "-q", "--template=", ...format, "--", path]);
}

interface Parents {
  /** Where the agent's HEAD is; undefined when it is of no use. */
  head: string | undefined;
  /** What our commit stands on, first the line of the task's own work. */
  commits: string[];
}

/**
 * The agent's HEAD, and what it was merging when it stopped. A HEAD that does not come from
 * the task's base (history rewritten or thrown away) is replaced by the last state we know.
 */
async function parentsOf(
  place: Place,
  mirror: Mirror,
  side: SideRepository,
  path: string,
  task: number,
  base: string,
): Promise<Parents> {
  const read = async (name: string) => {
    const args = [`--git-dir=${path}/.git`, "rev-parse", "-q", "--verify", `${name}^{commit}`];
    const { code, stdout } = await gitInside(place, args, { codes: [0, 1, 128] });
    return code === 0 ? commitName(stdout.trim()) : undefined;
  };
  const comesFromBase = async (commit: string) =>
    (await side.git(["merge-base", "--is-ancestor", base, commit], { codes: [0, 1, 128] })).code === 0;
  const head = await read("HEAD");
  if (head !== undefined && (await comesFromBase(head))) {
    const merging = await read("MERGE_HEAD");
    return { head, commits: merging === undefined ? [head] : [head, merging] };
  }
  const known = (await mirror.commit(branchRef(task))) === undefined ? baseRef(task) : branchRef(task);
  await fetchInto(place, mirror, { [known]: known }, (args) => side.git(args), side.path);
  return { head: undefined, commits: [(await mirror.commit(known)) ?? base] };
}

/** Commits the work tree as it is, unless it is what the parent has already. */
async function commitAll(
  mirror: Mirror,
  side: SideRepository,
  parents: Parents,
  task: Task,
  base: string,
  identity: Identity,
): Promise<string> {
  const [parent = base] = parents.commits;
  await side.git(["read-tree", parent]);
  await addAll(side);
  if (!(await mirror.hasEntry(base, CONTINUATION_FILE))) {
    await side.git(["update-index", "--force-remove", "--", CONTINUATION_FILE]);
  }
  const tree = commitName((await side.git(["write-tree"])).stdout.trim());
  const before = (await side.git(["rev-parse", `${parent}^{tree}`])).stdout.trim();
  if (tree === before && parents.commits.length === 1) return parent;
  const known = await sameCommit(mirror, side, task.id, tree, parents);
  if (known !== undefined) return known;
  const from = parents.commits.flatMap((commit) => ["-p", commit]);
  const made = await side.git(["commit-tree", tree, ...from, "-m", commitMessage(task)], { env: asAuthor(identity) });
  return commitName(made.stdout.trim());
}

/** The commit that an earlier run made of the same state, if it was cut off before the agent's HEAD followed. */
async function sameCommit(
  mirror: Mirror,
  side: SideRepository,
  task: number,
  tree: string,
  parents: Parents,
): Promise<string | undefined> {
  const last = await mirror.commit(branchRef(task));
  if (last === undefined) return undefined;
  const { stdout } = await mirror.git(["log", "-1", "--format=%T %P", last]);
  if (stdout.trim() !== [tree, ...parents.commits].join(" ")) return undefined;
  return (await side.git(["cat-file", "-e", last], { codes: [0, 1, 128] })).code === 0 ? last : undefined;
}

/**
 * Adds all files, but for repositories that the agent made or cloned inside: a commit could
 * only name them, not hold them. They stay in the workspace and `verify` tells of them.
 */
async function addAll(side: SideRepository): Promise<void> {
  const others = (await side.git(["ls-files", "-z", "--others", "--exclude-standard"])).stdout.split("\0");
  const nested = others.filter((name) => name.endsWith("/"));
  const except = nested.map((name) => `:(exclude,literal)${name.slice(0, -1)}`);
  await side.git(["add", "-A", "--ignore-errors", ...(nested.length > 0 ? ["--", ".", ...except] : [])], {
    env: { GIT_LITERAL_PATHSPECS: "0" },
    codes: [0, 1],
  });
}

/** `T12: ` and the first line of the description, with nothing invisible in it. */
export function commitMessage(task: Task): string {
  const [first = ""] = task.description.trim().split(/[\r\n\u2028\u2029]/);
  const words = first
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "")
    .replace(/\s+/g, " ")
    .trim();
  return `${taskName(task.id)}: ${Array.from(words).slice(0, 100).join("") || "work on the task"}`;
}

/**
 * What the task's own work is measured from: the newest state of the integration branch that
 * is in it. A merge of others' work, or a branch that only followed theirs, is no work.
 */
async function ownBase(mirror: Mirror, task: number, base: string, head: string): Promise<string> {
  const integration = await mirror.commit(INTEGRATION);
  if (integration === undefined || head === base) return base;
  const newer = (await mirror.isAncestor(head, integration))
    ? await followed(mirror, task, base, head)
    : ((await mirror.mergeBase(integration, head)) ?? base);
  if (newer === base || !(await mirror.isAncestor(base, newer))) return base;
  await mirror.move([{ ref: baseRef(task), to: newer }]);
  return newer;
}

async function followed(mirror: Mirror, task: number, base: string, head: string): Promise<string> {
  const integrated = await mirror.commit(integratedRef(task));
  return integrated !== undefined && (await mirror.isAncestor(head, integrated)) ? base : head;
}
