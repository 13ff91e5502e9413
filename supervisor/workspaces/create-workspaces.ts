import { join } from "node:path";
import type { Clock } from "../../hub/base/clock.ts";
import { systemClock } from "../../hub/base/clock.ts";
import { UserInputError } from "../../hub/base/errors.ts";
import type { Home } from "../../hub/base/home.ts";
import { SLUG_PATTERN, taskName } from "../../hub/base/ids.ts";
import type { Project } from "../../hub/base/project.ts";
import type { Task } from "../../hub/base/task.ts";
import { openWorkspace } from "./clone.ts";
import { collectWorkspace } from "./collect.ts";
import type { Git } from "./git.ts";
import { createGit } from "./git.ts";
import { inside } from "./inside.ts";
import { bringUpToDate, changesBetween, hasFileAt, integrate } from "./integrate.ts";
import type { Mirror } from "./mirror.ts";
import { mirrorAt, syncRef } from "./mirror.ts";
import { refreshMirror } from "./refresh.ts";
import type { Identity } from "./source.ts";
import { verifyWorkspace } from "./verify.ts";
import type { Place, Workspaces } from "./workspaces.ts";

export interface WorkspacesOptions {
  git?: Git;
  clock?: Clock;
  /** Where projects without a repository get one; `projects/` in the home by default. */
  projectsFolder?: string;
  /** Who our commits are by. */
  identity?: Identity;
  /** A lock file of git's that is older than this was left by a process that is gone. */
  staleLockMs?: number;
}

const OURS: Identity = { name: "CTO Sidekick", email: "cto@localhost" };

/** The workspaces of one hub: mirrors under its home, clones on whatever machine a step names. */
export function createWorkspaces(home: Home, options: WorkspacesOptions = {}): Workspaces {
  const { git = createGit(), clock = systemClock, identity = OURS, staleLockMs = 10_000 } = options;
  const projectsFolder = options.projectsFolder ?? home.projects;
  const inTurn = createTurns();

  const mirrorOf = (project: Project): Mirror => {
    if (!SLUG_PATTERN.test(project.slug))
      throw new UserInputError("A project's slug has lower-case letters, digits and dashes.");
    return mirrorAt(join(home.mirrors, `${project.slug}.git`), { git, clock, identity, staleLockMs });
  };
  const pathOf = (place: Place, project: Project, task: Task) =>
    place.machine.workspacePath(place.name, project.slug, taskName(task.id));
  const turnOf = (project: Project, task: Task) => `${project.slug}/${task.id}`;

  return {
    refresh: (project) =>
      inTurn(project.slug, () => refreshMirror(mirrorOf(project), project, { git, projectsFolder, identity })),

    open: (place, project, task, continuation) =>
      inTurn(turnOf(project, task), () =>
        openWorkspace(place, mirrorOf(project), pathOf(place, project, task), task.id, continuation, identity),
      ),

    collect: (place, project, task) =>
      inTurn(turnOf(project, task), () =>
        collectWorkspace(place, mirrorOf(project), pathOf(place, project, task), task, identity),
      ),

    bringUpToDate: (place, project, task, head) =>
      inTurn(turnOf(project, task), () =>
        bringUpToDate(place, mirrorOf(project), pathOf(place, project, task), task.id, head),
      ),

    verify: (place, project, task, commit) =>
      verifyWorkspace(place, mirrorOf(project), pathOf(place, project, task), task.id, commit),

    integrate: (project, task, head) => integrate(mirrorOf(project), task.id, head),
    changes: (project, base, head) => changesBetween(mirrorOf(project), base, head),
    hasFile: (project, commit, path) => hasFileAt(mirrorOf(project), commit, path),

    discard: (place, project, task) =>
      inTurn(turnOf(project, task), async () => {
        await removeWorkspace(place, pathOf(place, project, task));
        await mirrorOf(project).move([{ ref: syncRef(task.id), to: undefined }]);
      }),
  };
}

async function removeWorkspace(place: Place, path: string): Promise<void> {
  const at = path.lastIndexOf("/");
  const [folder, name] = [path.slice(0, at), path.slice(at + 1)];
  const all = ["-maxdepth", "1", "(", "-name", name, "-o", "-name", `${name}.*`, ")", "-exec"];
  await inside(place, ["mkdir", "-p", "--", folder]);
  // Module caches write-protect their folders, which keeps even their owner from removing them.
  await inside(place, ["find", folder, ...all, "chmod", "-R", "u+rwX", "--", "{}", "+"], { codes: [0, 1] });
  await inside(place, ["find", folder, ...all, "rm", "-rf", "--", "{}", "+"]);
}

/** Runs what has the same key one after the other. */
function createTurns(): <T>(key: string, run: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>();
  return (key, run) => {
    const turn = (last.get(key) ?? Promise.resolve()).then(run, run);
    last.set(key, turn);
    const forget = () => {
      if (last.get(key) === turn) last.delete(key);
    };
    turn.then(forget, forget);
    return turn;
  };
}
