import { ProviderError, UserInputError } from "../../hub/base/errors.ts";
import type { Project } from "../../hub/base/project.ts";
import type { Git } from "./git.ts";
import { GitError, withoutCredentials } from "./git.ts";
import type { Mirror } from "./mirror.ts";
import { DEFAULT, ensureMirror, INTEGRATION, INTEGRATION_BRANCH, noCommit, TAKEN_IN } from "./mirror.ts";
import type { Identity } from "./source.ts";
import { asAuthor, ensureOwnRepository, exists, originOf, parseRepo } from "./source.ts";

const FETCH_TIMEOUT_MS = 10 * 60_000;
const PROBE_TIMEOUT_MS = 60_000;

export const FETCH_OPTIONS = [
  "fetch",
  "-q",
  "--no-tags",
  "--no-recurse-submodules",
  "--no-auto-maintenance",
  "--no-write-fetch-head",
];

export type Refreshed = { ok: true; note?: string } | { ok: false; why: string };

interface Parts {
  git: Git;
  projectsFolder: string;
  identity: Identity;
}

/** What a repository has to offer: its default branch, or nothing yet. */
type Offer = { from: string; ref: string; commit: string; name: string } | { empty: true };

/**
 * Brings the mirror and the integration branch up to the default branch of the project's
 * repository, which is only read. See `Workspaces.refresh`.
 */
export async function refreshMirror(mirror: Mirror, project: Project, parts: Parts): Promise<Refreshed> {
  const known = (await exists(mirror.path)) ? await mirror.commit(INTEGRATION) : undefined;
  let offer: Offer;
  try {
    offer = await lookAt(project, parts);
    await fetchDefault(mirror, offer, parts);
  } catch (error) {
    const why = wordsOf(error);
    if (why === undefined) throw error;
    if (known === undefined) return { ok: false, why };
    return { ok: true, note: `Going on with what was fetched before: ${why}` };
  }
  const refreshed = "empty" in offer ? await startEmpty(mirror, parts) : await takeIn(mirror, offer.commit, offer.name);
  await mirror.git(["gc", "--auto", "-q"], { timeoutMs: FETCH_TIMEOUT_MS });
  return refreshed;
}

function wordsOf(error: unknown): string | undefined {
  if (error instanceof UserInputError || error instanceof ProviderError) return withoutCredentials(error.message);
  return undefined;
}

async function lookAt(project: Project, parts: Parts): Promise<Offer> {
  if (project.repo.trim() === "") {
    const own = await ensureOwnRepository(parts.git, parts.projectsFolder, project, parts.identity);
    return offerOf(parts.git, own, "HEAD");
  }
  const repo = parseRepo(project.repo);
  if ("url" in repo) return offerOf(parts.git, repo.url, "HEAD");
  if (!(await exists(repo.path))) {
    throw new UserInputError(`${repo.path} is not there: correct Repo, or leave it empty for a new repository.`);
  }
  const origin = await originOf(parts.git, repo.path);
  if (origin === undefined) return offerOf(parts.git, repo.path, "HEAD");
  try {
    return await offerOf(parts.git, origin.url, "HEAD");
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    // The person's clone knows what its remote had; nearer to it than a branch under work.
    return offerOf(parts.git, repo.path, "refs/remotes/origin/HEAD");
  }
}

async function offerOf(git: Git, from: string, wanted: string): Promise<Offer> {
  const asked = await git(["ls-remote", "--symref", "--", from, "HEAD"], {
    asPerson: true,
    timeoutMs: PROBE_TIMEOUT_MS,
  }).catch((error: unknown) => {
    throw unreachable(from, error);
  });
  const lines = asked.stdout.split("\n").map((line) => line.split("\t"));
  const commitOf = (ref: string) => lines.find(([what = "", name]) => name === ref && !what.startsWith("ref:"))?.[0];
  const ref = commitOf(wanted) === undefined ? "HEAD" : wanted;
  const commit = commitOf(ref);
  const target = lines.find(([what = "", name]) => name === ref && what.startsWith("ref:"))?.[0];
  const name = target?.replace(/^ref: refs\/(?:heads|remotes\/origin)\//, "") ?? "the default branch";
  if (commit !== undefined) return { from, ref, commit, name };
  const heads = await git(["ls-remote", "--heads", "--", from], { asPerson: true, timeoutMs: PROBE_TIMEOUT_MS });
  if (heads.stdout === "") return { empty: true };
  throw new UserInputError(
    `The default branch of ${withoutCredentials(from)} is not there any more: choose another one where it is hosted ` +
      `(in a bare repository: git symbolic-ref HEAD refs/heads/<branch>).`,
  );
}

function unreachable(from: string, error: unknown): unknown {
  if (!(error instanceof GitError)) return error;
  const what = `${withoutCredentials(from)} cannot be read (${error.message.replace(/^git ls-remote: /, "")})`;
  return new GitError(`${what}. Check the address and that git can log in without asking.`, error.code, error.stderr);
}

async function fetchDefault(mirror: Mirror, offer: Offer, parts: Parts): Promise<void> {
  await ensureMirror(mirror, parts.git, "empty" in offer ? undefined : offer.commit);
  if ("empty" in offer || (await mirror.commit(DEFAULT)) === offer.commit) return;
  const options = { asPerson: true, timeoutMs: FETCH_TIMEOUT_MS };
  try {
    await mirror.git([...FETCH_OPTIONS, "--", offer.from, `+${offer.ref}:${DEFAULT}`], options);
  } catch (error) {
    // The fetch of a hub that was killed may have ended only now, and been first.
    if ((await mirror.commit(DEFAULT)) !== offer.commit) throw error;
  }
}

/** A repository without a commit gets one of ours, on the integration branch only. */
async function startEmpty(mirror: Mirror, parts: Parts): Promise<Refreshed> {
  if ((await mirror.commit(INTEGRATION)) !== undefined) return { ok: true };
  const tree = (await mirror.git(["mktree"])).stdout.trim();
  const made = await mirror.git(["commit-tree", tree, "-m", "Start from an empty repository"], {
    env: asAuthor(parts.identity),
  });
  const commit = made.stdout.trim();
  await mirror.move([{ ref: INTEGRATION, to: commit, from: noCommit(commit) }]);
  return { ok: true };
}

/** Takes the default branch into the integration branch. The order makes every step safe to run again. */
async function takeIn(mirror: Mirror, offered: string, name: string): Promise<Refreshed> {
  // The branch may have moved between the look and the fetch.
  const main = (await mirror.commit(DEFAULT)) ?? offered;
  const integration = await mirror.commit(INTEGRATION);
  const takenIn = await mirror.commit(TAKEN_IN);
  if (integration === undefined) return moveTo(mirror, main, noCommit(main), main);
  if (await mirror.isAncestor(main, integration)) return moveTo(mirror, integration, integration, main);
  // Nothing of ours is on it: it follows, also when the default branch was rewritten.
  if (integration === takenIn || (await mirror.isAncestor(integration, main)))
    return moveTo(mirror, main, integration, main);
  const rewritten = takenIn !== undefined && !(await mirror.isAncestor(takenIn, main));
  const unrelated = (await mirror.mergeBase(integration, main)) === undefined;
  if (unrelated && !(await startedEmpty(mirror, integration))) return foreign(name);
  const merged = await mirror.merge(integration, main, `Merge ${name} into ${INTEGRATION_BRANCH}`, { unrelated });
  if ("conflicts" in merged) return { ok: true, note: conflictWords(name, merged.conflicts) };
  const moved = await moveTo(mirror, merged.commit, integration, main);
  if (!rewritten) return moved;
  return {
    ok: true,
    note: `${name} was rewritten; ${INTEGRATION_BRANCH} still holds the commits that were dropped from it.`,
  };
}

async function moveTo(mirror: Mirror, to: string, from: string, main: string): Promise<Refreshed> {
  // Lost to a task that was integrated at the same moment: the next refresh takes it in.
  await mirror.move([
    { ref: INTEGRATION, to, from },
    { ref: TAKEN_IN, to: main },
  ]);
  return { ok: true };
}

async function startedEmpty(mirror: Mirror, integration: string): Promise<boolean> {
  const roots = (await mirror.git(["rev-list", "--max-parents=0", integration])).stdout.trim().split("\n");
  const [root = ""] = roots;
  return roots.length === 1 && (await mirror.git(["ls-tree", "--full-tree", root])).stdout === "";
}

function foreign(name: string): Refreshed {
  return {
    ok: false,
    why:
      `${name} has no history in common with the work done so far (was the repository replaced?): ` +
      "put the old Repo back, or add the new one as a project of its own.",
  };
}

function conflictWords(name: string, conflicts: string[]): string {
  const files = conflicts.slice(0, 5).join(", ") + (conflicts.length > 5 ? ` and ${conflicts.length - 5} more` : "");
  return `${name} has moved on and conflicts with finished work in ${files}: merge or discard that work first.`;
}
