import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { homeAt } from "../../hub/base/home.ts";
import type { Home } from "../../hub/base/home.ts";
import type { Project } from "../../hub/base/project.ts";
import type { Task } from "../../hub/base/task.ts";
import type { Machine } from "../../supervisor/machines/machine.ts";
import { createNativeMachine } from "../../supervisor/machines/native.ts";
import { createWorkspaces } from "../../supervisor/workspaces/create-workspaces.ts";
import type { WorkspacesOptions } from "../../supervisor/workspaces/create-workspaces.ts";
import type { Place, Workspaces } from "../../supervisor/workspaces/workspaces.ts";

const run = promisify(execFile);

/** What the person's own git runs with in these tests. */
export const PERSON = {
  PATH: process.env["PATH"] ?? "",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "Ada",
  GIT_AUTHOR_EMAIL: "ada@example.org",
  GIT_COMMITTER_NAME: "Ada",
  GIT_COMMITTER_EMAIL: "ada@example.org",
};

export interface World {
  root: string;
  home: Home;
  machine: Machine;
  place: Place;
  workspaces: Workspaces;
  /** git as a person or an agent would run it, in `folder`. */
  git(folder: string, ...args: string[]): Promise<string>;
  write(path: string, text: string): Promise<void>;
  /** A repository of the person's with one commit: a.txt holding "a". */
  repository(name?: string): Promise<string>;
  mirror(project: Project): string;
}

export interface WorldOptions extends WorkspacesOptions {
  machine?: (home: Home) => Machine;
}

/** A home, a native machine and workspaces in a temporary folder that is removed afterwards. */
export async function withWorld(use: (world: World) => Promise<void>, options: WorldOptions = {}): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "cto-workspaces-"));
  try {
    const home = homeAt(join(root, "home"));
    await mkdir(home.root);
    const machine = options.machine?.(home) ?? createNativeMachine(home);
    const place = { machine, name: await machine.ensure("app") };
    const git = async (folder: string, ...args: string[]) =>
      (await run("git", ["-C", folder, ...args], { env: PERSON, maxBuffer: 1e8 })).stdout.trim();
    const write = async (path: string, text: string) => {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    };
    const repository = async (name = "app") => {
      const folder = join(root, name);
      await mkdir(folder, { recursive: true });
      await git(folder, "init", "-q", "-b", "main");
      await write(join(folder, "a.txt"), "a\n");
      await git(folder, "add", ".");
      await git(folder, "commit", "-q", "-m", "First");
      return folder;
    };
    const mirror = (project: Project) => join(home.mirrors, `${project.slug}.git`);
    const workspaces = createWorkspaces(home, { staleLockMs: 200, ...options });
    await use({ root, home, machine, place, workspaces, git, write, repository, mirror });
  } finally {
    await run("chmod", ["-R", "u+rwX", root]);
    await rm(root, { recursive: true, force: true });
  }
}

export function projectOf(repo: string, changes: Partial<Project> = {}): Project {
  return {
    id: 1,
    slug: "app",
    name: "App",
    priority: 1,
    hold: null,
    blockedWhy: null,
    deadline: null,
    deadlineText: "",
    gpu: false,
    model: "",
    repo,
    path: "",
    setup: "",
    check: "",
    dependsOn: "",
    budget: "",
    autonomy: "ask",
    machine: "native",
    review: "none",
    nextAction: "",
    consumedAction: "",
    progress: "",
    agent: "",
    lastUpdateAt: null,
    lane: "repo:app",
    createdAt: 0,
    updatedAt: 0,
    ...changes,
  };
}

export function taskOf(id: number, description = "Do the work"): Task {
  return {
    id,
    projectId: 1,
    alias: null,
    description,
    type: "implementation",
    complexity: "medium",
    priority: null,
    wantedAgent: null,
    state: "running",
    waitReason: null,
    waitUntil: null,
    why: "",
    band: 1,
    bandWhy: "",
    front: false,
    rankDueAt: null,
    fence: 1,
    sessionId: "s-1",
    reservedFor: null,
    agent: "claude",
    failures: 0,
    rounds: 0,
    findings: null,
    progress: "",
    summary: null,
    statedNext: null,
    output: null,
    workspace: null,
    baseCommit: null,
    headCommit: null,
    integratedCommit: null,
    checked: null,
    review: null,
    openDependencies: 0,
    dependsOn: "",
    origin: "sheet",
    createdAt: 0,
    updatedAt: 0,
    startedAt: 0,
    completedAt: null,
  };
}

/** The steps after a task is complete; answers the head that was integrated. */
export async function finishTask(world: World, project: Project, task: Task): Promise<{ base: string; head: string }> {
  const { workspaces, place } = world;
  for (;;) {
    const { base, head } = await workspaces.collect(place, project, task);
    const updated = await workspaces.bringUpToDate(place, project, task, head);
    if ("conflicts" in updated) throw new Error(`conflicts: ${updated.conflicts.join(", ")}`);
    const different = await workspaces.verify(place, project, task, updated.head);
    if (different.length > 0) throw new Error(`not what is committed: ${different.join(", ")}`);
    if ((await workspaces.integrate(project, task, updated.head)) !== "moved") return { base, head: updated.head };
  }
}

/** Every file below a folder with its mode, time of change and content: what "untouched" is measured by. */
export async function fingerprint(folder: string): Promise<string> {
  const hash = createHash("sha256");
  for (const name of (await readdir(folder, { recursive: true })).toSorted()) {
    const path = join(folder, name);
    const info = await lstat(path);
    hash.update(`${name} ${info.mode} ${info.mtimeMs} ${info.size} ${info.ino}\n`);
    if (info.isSymbolicLink()) hash.update(await readlink(path));
    else if (info.isFile()) hash.update(await readFile(path));
  }
  return hash.digest("hex");
}
