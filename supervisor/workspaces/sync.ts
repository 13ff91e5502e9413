import { ProviderError } from "../../hub/base/errors.ts";
import { taskBranch } from "../../hub/base/ids.ts";
import type { SideRepository } from "./inside.ts";
import { fetchInto, gitInside, inside, withSideRepository } from "./inside.ts";
import type { Mirror } from "./mirror.ts";
import { branchRef, INTEGRATION, syncRef } from "./mirror.ts";
import type { Place } from "./workspaces.ts";

/**
 * Brings a workspace from `from`, which its files are exactly, to `to`, which the mirror has
 * on the task's branch. A write of many files can be cut off in the middle, and half of it
 * must not pass for the agent's work: the mirror notes it before the first file is touched,
 * and `finishSync` completes it.
 */
export async function syncWorkspace(
  place: Place,
  mirror: Mirror,
  path: string,
  task: number,
  from: string,
  to: string,
): Promise<void> {
  await withSideRepository(place, path, to, async (side) => {
    await fetchTask(place, mirror, side, task);
    await side.git(["read-tree", from]);
    await side.git(["update-index", "-q", "--refresh"], { codes: [0, 1] });
    const changed = await side.git(["diff-files", "--quiet", "--ignore-submodules=dirty"], { codes: [0, 1] });
    if (changed.code === 1) {
      throw new ProviderError("Files of the workspace changed after they were collected: they are collected again.");
    }
    await mirror.move([{ ref: syncRef(task), to }]);
    await write(place, side, path, task, to);
  });
  await mirror.move([{ ref: syncRef(task), to: undefined }]);
}

/** Completes a sync that was cut off; nothing when there is none. */
export async function finishSync(place: Place, mirror: Mirror, path: string, task: number): Promise<void> {
  const to = await mirror.commit(syncRef(task));
  if (to === undefined) return;
  await withSideRepository(place, path, to, async (side) => {
    const refs = { [syncRef(task)]: syncRef(task) };
    await fetchInto(place, mirror, refs, (args) => side.git(args), side.path);
    await write(place, side, path, task, to);
  });
  await mirror.move([{ ref: syncRef(task), to: undefined }]);
}

async function fetchTask(place: Place, mirror: Mirror, side: SideRepository, task: number): Promise<void> {
  const refs = { [branchRef(task)]: branchRef(task), [INTEGRATION]: INTEGRATION };
  await fetchInto(place, mirror, refs, (args) => side.git(args), side.path);
}

async function write(place: Place, side: SideRepository, path: string, task: number, to: string): Promise<void> {
  await side.git(["read-tree", "--reset", "-u", to]);
  await pointAgentAt(place, side, path, task, to);
}

/**
 * Makes the agent's own repository stand on `commit`, with nothing changed. It is the
 * agent's to break: where it cannot be moved (a branch in the way, a lock), the agent sees
 * an older state, and what we collect stays right all the same.
 */
export async function pointAgentAt(
  place: Place,
  side: SideRepository,
  path: string,
  task: number,
  commit: string,
): Promise<void> {
  const agent = (args: string[]) => gitInside(place, [`--git-dir=${path}/.git`, ...args], { codes: [0, 1, 128] });
  await agent(["merge", "--quit"]);
  const moved = await agent(["update-ref", "--no-deref", `refs/heads/${taskBranch(task)}`, commit]);
  if (moved.code === 0) await agent(["symbolic-ref", "HEAD", `refs/heads/${taskBranch(task)}`]);
  else await agent(["update-ref", "--no-deref", "HEAD", commit]);
  await side.git(["read-tree", commit]);
  await side.git(["update-index", "-q", "--refresh"], { codes: [0, 1] });
  await inside(place, ["mv", "-f", "--", `${side.path}/index`, `${path}/.git/index`], { codes: [0, 1] });
}

/** Lets the agent see the integration branch, so that it can mend a conflict with it. */
export async function showIntegration(place: Place, mirror: Mirror, path: string, task: number): Promise<void> {
  const commit = await mirror.commit(INTEGRATION);
  if (commit === undefined) return;
  await withSideRepository(place, path, commit, (side) => fetchTask(place, mirror, side, task));
  await gitInside(place, [`--git-dir=${path}/.git`, "update-ref", "--no-deref", INTEGRATION, commit], {
    codes: [0, 1, 128],
  });
}
