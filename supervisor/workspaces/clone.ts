import { dirname, join } from "node:path";
import { ProviderError } from "../../hub/base/errors.ts";
import { taskBranch } from "../../hub/base/ids.ts";
import { fetchInto, formatOf, gitInside, inside, removeLeftovers, temporaryBeside } from "./inside.ts";
import type { Mirror } from "./mirror.ts";
import { baseRef, branchRef, INTEGRATION, syncRef } from "./mirror.ts";
import type { Identity } from "./source.ts";
import { finishSync } from "./sync.ts";
import type { Place } from "./workspaces.ts";

export const CONTINUATION_FILE = "CONTINUATION.md";

/** See `Workspaces.open`. */
export async function openWorkspace(
  place: Place,
  mirror: Mirror,
  path: string,
  task: number,
  continuation: string,
  identity: Identity,
): Promise<{ path: string; base: string }> {
  if (await isRepository(place, path)) await takeUp(place, mirror, path, task);
  else await makeClone(place, mirror, path, task, identity);
  const base = (await mirror.commit(baseRef(task))) ?? (await startOf(mirror, task));
  // A file of that name that the project keeps itself is the project's.
  if (!(await mirror.hasEntry(base, CONTINUATION_FILE))) await putContinuation(place, path, continuation);
  return { path, base };
}

/** Whether the workspace holds a repository with a commit. */
export async function isRepository(place: Place, path: string): Promise<boolean> {
  const head = await gitInside(place, [`--git-dir=${path}/.git`, "rev-parse", "-q", "--verify", "HEAD^{commit}"], {
    codes: [0, 1, 128],
  });
  return head.code === 0 && (await isThere(place, `${path}/.git/objects`));
}

export async function isThere(place: Place, path: string): Promise<boolean> {
  return (await inside(place, ["test", "-e", path], { codes: [0, 1] })).code === 0;
}

/** An earlier session's workspace is used as it is, but for the locks that a killed git left. */
async function takeUp(place: Place, mirror: Mirror, path: string, task: number): Promise<void> {
  await removeLeftovers(place, path);
  await inside(place, ["find", `${path}/.git`, "-name", "*.lock", "-type", "f", "-delete"], { codes: [0, 1] });
  await finishSync(place, mirror, path, task);
  if ((await mirror.commit(baseRef(task))) !== undefined) return;
  await mirror.move([{ ref: baseRef(task), to: await startOf(mirror, task) }]);
}

async function startOf(mirror: Mirror, task: number): Promise<string> {
  const start = (await mirror.commit(branchRef(task))) ?? (await mirror.commit(INTEGRATION));
  if (start !== undefined) return start;
  throw new ProviderError("The project's repository was not fetched yet: it is tried again shortly.");
}

async function makeClone(place: Place, mirror: Mirror, path: string, task: number, identity: Identity): Promise<void> {
  const start = await startOf(mirror, task);
  // Commits that were collected before are the task's start; without any it starts afresh from the newest state.
  const collected = (await mirror.commit(branchRef(task))) !== undefined;
  const known = (await mirror.commit(baseRef(task))) !== undefined;
  const moves = [{ ref: syncRef(task), to: undefined }];
  await mirror.move(collected && known ? moves : [...moves, { ref: baseRef(task), to: start }]);

  await inside(place, ["mkdir", "-p", "--", dirname(path)]);
  await removeLeftovers(place, path);
  const fresh = temporaryBeside(path);
  const branch = taskBranch(task);
  await gitInside(place, ["init", "-q", "--template=", `--initial-branch=${branch}`, ...formatOf(start), "--", fresh]);
  const from = collected ? branchRef(task) : baseRef(task);
  const fetch = (args: string[]) => gitInside(place, ["-C", fresh, ...args]);
  await fetchInto(place, mirror, { [from]: branchRef(task), [INTEGRATION]: INTEGRATION }, fetch, join(fresh, ".git"));
  await gitInside(place, ["-C", fresh, "config", "user.name", identity.name]);
  await gitInside(place, ["-C", fresh, "config", "user.email", identity.email]);
  await gitInside(place, ["-C", fresh, "reset", "-q", "--hard", branchRef(task)]);
  await place.machine.put(place.name, `${fresh}/.git/info/exclude`, `/${CONTINUATION_FILE}\n`, 0o600);
  await setAside(place, path);
  await inside(place, ["mv", "--", fresh, path]);
}

/** Files without a usable repository are kept, in case an agent broke it with work inside. */
async function setAside(place: Place, path: string): Promise<void> {
  if (!(await isThere(place, path))) return;
  await inside(place, ["rm", "-rf", "--", `${path}.broken`]);
  await inside(place, ["mv", "--", path, `${path}.broken`]);
}

/** Written beside the workspace and moved in: half a file of ours must never pass for the agent's work. */
async function putContinuation(place: Place, path: string, continuation: string): Promise<void> {
  const fresh = temporaryBeside(path);
  const file = `${path}/${CONTINUATION_FILE}`;
  await place.machine.put(place.name, fresh, continuation, 0o644);
  await inside(place, ["rm", "-rf", "--", file]);
  await inside(place, ["mv", "--", fresh, file]);
}
