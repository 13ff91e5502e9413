import { execFile } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { systemClock, type Clock } from "../../hub/base/clock.ts";
import { homeAt } from "../../hub/base/home.ts";
import { SHEET } from "../../hub/base/session.ts";
import type { Task } from "../../hub/base/task.ts";
import type { NewProject, Store } from "../../hub/stores/store.ts";
import { endAllRuns } from "../../supervisor/machines/native.ts";
import { startSmallHub, type SmallHub, type SmallHubOptions } from "../helpers/small-hub.ts";
import { until } from "../helpers/until.ts";

const run = promisify(execFile);

/** A check that is red while a file BROKEN is there, and prints so. */
export const CHECK = 'test ! -e BROKEN || { echo "BROKEN is there"; exit 7; }';

export interface World {
  root: string;
  hub: SmallHub;
  store: Store;
  /** A project with a repository of its own, one commit on main. */
  project(name: string, more?: Partial<NewProject>): Promise<number>;
  task(projectId: number, description: string, more?: { output?: string }): Promise<number>;
  /** Waits until the task is in the state, and answers it. */
  reaches(taskId: number, state: Task["state"], ms?: number): Promise<Task>;
  /** Stops the hub cleanly and starts a new one over the same home. */
  restart(options?: SmallHubOptions, meanwhile?: () => Promise<void>): Promise<SmallHub>;
  /** Starts a hub after the last one was stopped. */
  begin(): Promise<void>;
  git(folder: string, ...args: string[]): Promise<string>;
  /** git in a project's mirror. */
  mirror(slug: string, ...args: string[]): Promise<string>;
  kinds(taskId: number): Promise<string[]>;
}

/** A real store, native machine, workspaces, MCP and supervisor over a temporary home; everything is ended afterwards. */
export async function withWorld(options: SmallHubOptions, tell: (world: World) => Promise<void>): Promise<void> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "cto-supervisor-")));
  const home = join(root, "home");
  let hub = await startSmallHub(home, options);
  const git = async (folder: string, ...args: string[]) =>
    (
      await run("git", ["-C", folder, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", ...args])
    ).stdout.trim();
  const world: World = {
    root,
    get hub() {
      return hub;
    },
    get store() {
      return hub.store;
    },
    async project(name, more = {}) {
      const repo = join(root, `repo-${name}`);
      await mkdir(repo);
      await git(repo, "init", "-q", "-b", "main");
      await writeFile(join(repo, "README.md"), `${name}\n`);
      await git(repo, "add", ".");
      await git(repo, "commit", "-q", "-m", "First");
      return (await hub.store.addProject(SHEET, { name, repo, check: CHECK, ...more }, Date.now())).id;
    },
    async task(projectId, description, more = {}) {
      const { id } = await hub.store.addTask(SHEET, { projectId, description, origin: "sheet" }, Date.now());
      if (more.output !== undefined) await hub.store.changeTask(SHEET, id, { output: more.output }, Date.now());
      return id;
    },
    async reaches(taskId, state, ms = 30_000) {
      let last: Task | undefined;
      const found = async () => {
        last = await hub.store.task(taskId);
        return last?.state === state ? last : undefined;
      };
      return until(`T${taskId} is ${state}`, found, ms).catch((error: unknown) => {
        throw new Error(`${String(error)}; it is ${last?.state}: ${last?.why}`, { cause: error });
      });
    },
    async restart(changed = options, meanwhile = async () => undefined) {
      await hub.stop();
      await meanwhile();
      return (hub = await startSmallHub(home, changed));
    },
    async begin() {
      hub = await startSmallHub(home, options);
    },
    git,
    mirror: (slug, ...args) => git(join(home, "mirrors", `${slug}.git`), ...args),
    async kinds(taskId) {
      return (await hub.store.recentEvents({ taskId, limit: 100 })).map(({ kind }) => kind).toReversed();
    },
  };
  try {
    await tell(world);
  } finally {
    await hub.stop();
    await endAllRuns(homeAt(home), 0);
    await rm(root, { recursive: true, force: true });
  }
}

/** The system's clock, moved ahead at will: waits are real, limits and backoffs pass at once. */
export function movableClock(): Clock & { pass(ms: number): void; jump(ms: number): void } {
  let [passed, jumped] = [0, 0];
  return {
    now: () => systemClock.now() + passed + jumped,
    monotonic: () => systemClock.monotonic() + passed,
    sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 1_000), signal),
    pass: (ms) => void (passed += ms),
    jump: (ms) => void (jumped += ms),
  };
}
