import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import { access, mkdir, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ConfigurationError, messageOf, ProviderError, UserInputError } from "../../hub/base/errors.ts";
import type { Home } from "../../hub/base/home.ts";
import { parseTaskName, SLUG_PATTERN } from "../../hub/base/ids.ts";
import { readStop } from "../../hub/base/stop-file.ts";
import { probeIsolation } from "./isolation.ts";
import type { Isolation } from "./isolation.ts";
import type { ExecOptions, ExecResult, Machine, RunObservation, RunSpec } from "./machine.ts";
import { refuseSkippedPrompts } from "./permission-prompts.ts";
import { endTree, isAlive, treeFigures } from "./processes.ts";
import type { ProcessTree } from "./processes.ts";
import { runCommand } from "./run-command.ts";
import {
  createRunFolder,
  isRunId,
  isStopped,
  isSwept,
  listRunIds,
  markStopped,
  markSwept,
  outputBytes,
  readBytes,
  readExit,
  readProcess,
  readRun,
  runFolder,
  startedAt,
  writeAtomically,
} from "./run-folder.ts";

export interface NativeOptions {
  /** What runs a program in a PID namespace of its own; by default probed once, when first needed. */
  isolation?: () => Promise<Isolation>;
  /** What a program is given where its own environment does not say: PATH, HOME and LANG. */
  baseEnvironment?: Record<string, string>;
}

const NAME = "native";
const WRAPPER = fileURLToPath(new URL("wrapper.sh", import.meta.url));
const SHELL = "/bin/sh";
const CLAIM_MS = 10_000;
const LEFTOVER_GRACE_MS = 500;
const EXEC_MAX_BYTES = 1024 * 1024;
const COMMAND_GRACE_MS = 1_000;
/** What a shell can hand on: other names would be lost on the way. */
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * The host itself as a machine, for projects whose person said that they are trusted. It is no
 * isolation and never stands in for one: another machine's name is refused. A run has ended only
 * when nothing of it is left; `kill` finds its processes wherever they moved to.
 */
export function createNativeMachine(home: Home, options: NativeOptions = {}): Machine {
  const base = options.baseEnvironment ?? hostEnvironment();
  let probed: Promise<Isolation> | undefined;
  const isolation = () => (probed ??= (options.isolation ?? probeIsolation)());

  return {
    kind: NAME,

    async health() {
      try {
        await access("/proc/self/stat");
        await mkdir(home.runs, { recursive: true, mode: 0o700 });
        await Promise.all((await listRunIds(home)).map((id) => readRun(runFolder(home, id))));
        return { ok: true };
      } catch (error) {
        if (error instanceof ConfigurationError) return { ok: false, why: error.message };
        return {
          ok: false,
          why: `Native sessions need Linux with /proc and a writable ${home.runs}: ${messageOf(error)}`,
        };
      }
    },

    async ensure() {
      return NAME;
    },

    workspacePath(name, projectSlug, taskName) {
      requireNative(name);
      if (!SLUG_PATTERN.test(projectSlug) || parseTaskName(taskName) === undefined) {
        throw new UserInputError("A workspace is named by a project's slug and a task's name such as T12.");
      }
      return join(home.workspaces, projectSlug, taskName);
    },

    repositoryUrl(name, path) {
      requireNative(name);
      return requireAbsolute(path);
    },

    async put(name, path, data, mode) {
      requireNative(name);
      await writeAtomically(requireAbsolute(path), data, mode);
    },

    async start(name, spec) {
      requireNative(name);
      await requireStartable(spec);
      const folder = runFolder(home, spec.id);
      await createRunFolder(folder, NAME, spec);
      if ((await readProcess(folder)) !== undefined) return;
      const prefix = (await isolation()) ?? [];
      refuseWhenStopped(home);
      await launch(home, folder, prefix, { ...spec, env: { ...base, ...spec.env, CTO_SESSION_ID: spec.id } });
    },

    observe: (id) => observe(home, id),

    async read(id, stream, offset, max) {
      return isRunId(id) ? readBytes(join(runFolder(home, id), stream), offset, max) : new Uint8Array();
    },

    async exec(name, argv, options) {
      requireNative(name);
      return exec(home, (await isolation()) ?? [], base, argv, options);
    },

    async kill(id, graceMs) {
      await endTree(await treeOf(home, id), graceMs);
    },

    async list() {
      const ids = await listRunIds(home);
      // A folder that cannot be understood is listed all the same: whoever looks at it is told why.
      const records = await Promise.all(ids.map((id) => readRun(runFolder(home, id)).catch(() => undefined)));
      return ids.filter((_, index) => (records[index]?.machine ?? NAME) === NAME);
    },

    async figures(id) {
      const figures = treeFigures(await treeOf(home, id));
      return figures.processes > 0 ? figures : undefined;
    },

    async remove(id) {
      const { state } = await observe(home, id);
      if (state === "running") throw new UserInputError(`Run ${id} has not ended: kill it before it is removed.`);
      if (isRunId(id)) await rm(runFolder(home, id), { recursive: true, force: true });
    },
  };
}

/**
 * Ends every run that the home's run folders name and every command that runs for this home,
 * whether the hub lives or not. Resolves when nothing is left. Set STOP first: a start that is
 * under way then either is found here or sees the stop.
 */
export async function endAllRuns(home: Home, graceMs = 2_000): Promise<{ runs: string[] }> {
  const ids = await listRunIds(home);
  const trees = await Promise.all(ids.map((id) => treeOf(home, id)));
  const living = ids.filter((_, index) => trees[index]?.roots.some((root) => isAlive(root)));
  await Promise.all(living.map((id) => markStopped(runFolder(home, id))));
  const roots = trees.flatMap((tree) => tree.roots);
  const markers = new Set([homeMarker(home), ...trees.flatMap((tree) => [...tree.markers])]);
  await endTree({ roots, markers }, graceMs);
  return { runs: living };
}

/**
 * Ends commands (checks, setup, git) that an earlier hub of this home left running when it was
 * killed; sessions stay, they are adopted. Call it once the hub holds its home, before it runs any.
 */
export async function endLeftCommands(home: Home): Promise<void> {
  await endTree({ roots: [], markers: new Set([homeMarker(home)]) }, COMMAND_GRACE_MS);
}

async function observe(home: Home, id: string): Promise<RunObservation> {
  if (!isRunId(id)) return { state: "missing" };
  const folder = runFolder(home, id);
  const run = await readRun(folder);
  const identity = run && (await readProcess(folder));
  if (identity === undefined) return { state: "missing" };
  if (isAlive(identity)) {
    return { state: "running", startedAt: await startedAt(folder), outputBytes: await outputBytes(folder) };
  }
  if (!(await isSwept(folder))) {
    await endTree(await treeOf(home, id), LEFTOVER_GRACE_MS);
    await markSwept(folder);
  }
  const code = await readExit(folder);
  return {
    state: "exited",
    code,
    outputBytes: await outputBytes(folder),
    ...((await isStopped(folder)) && { stopped: true }),
  };
}

async function treeOf(home: Home, id: string): Promise<ProcessTree> {
  if (!isRunId(id)) return { roots: [], markers: new Set() };
  const identity = await readProcess(runFolder(home, id));
  return { roots: identity ? [identity] : [], markers: new Set([`CTO_SESSION_ID=${id}`]) };
}

/** Starts the wrapper and waits until it has taken the run, or has found it taken. */
async function launch(home: Home, folder: string, prefix: readonly string[], spec: RunSpec): Promise<void> {
  const program = [...prefix, SHELL, WRAPPER, "run", folder, String(spec.maxLogBytes), ...spec.argv];
  // The wrapper's own complaints go where the program's do; it outlives us, so no pipe of ours.
  const stderr = openSync(join(folder, "stderr"), "a", 0o600);
  let child;
  try {
    child = spawn(SHELL, [WRAPPER, "claim", folder, home.stopFile, ...program], {
      cwd: spec.cwd,
      env: spec.env,
      detached: true,
      stdio: ["ignore", stderr, stderr, "pipe"],
    });
  } finally {
    closeSync(stderr);
  }
  child.unref();
  const claim = child.stdio[3];
  const decided = new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    claim?.once("close", () => resolve());
    const timer = setTimeout(() => reject(new Error("no answer")), CLAIM_MS);
    claim?.once("close", () => clearTimeout(timer));
  });
  claim?.on("data", () => undefined);
  claim?.on("error", () => undefined);
  try {
    await decided;
  } catch (error) {
    throw new ProviderError(`Run ${spec.id} could not be started: ${messageOf(error)}`, { cause: error });
  }
  if ((await readProcess(folder)) !== undefined) return;
  refuseWhenStopped(home);
  throw new ProviderError(`Run ${spec.id} could not be started: see ${join(folder, "stderr")}.`);
}

async function exec(
  home: Home,
  prefix: readonly string[],
  base: Record<string, string>,
  argv: readonly string[],
  options: ExecOptions,
): Promise<ExecResult> {
  requireArguments(argv);
  requireEnvironment(options.env ?? {});
  await requireFolder(options.cwd);
  const id = randomBytes(8).toString("hex");
  const isolated = prefix.length > 0;
  return runCommand({
    argv: isolated ? [...prefix, SHELL, WRAPPER, "command", ...argv] : argv,
    cwd: options.cwd,
    env: { ...base, ...options.env, CTO_COMMAND_ID: id, CTO_COMMAND_HOME: home.root },
    marker: `CTO_COMMAND_ID=${id}`,
    timeoutMs: options.timeoutMs,
    maxBytes: options.maxBytes ?? EXEC_MAX_BYTES,
    signal: options.signal,
    isolated,
  });
}

/** Carried by all that `exec` runs for a home, so that `cto stop` finds it when the hub is dead. */
function homeMarker(home: Home): string {
  return `CTO_COMMAND_HOME=${home.root}`;
}

/** The three of the hub's own variables that programs cannot do without; no other is handed on. */
function hostEnvironment(): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin",
    HOME: process.env["HOME"] ?? homedir(),
    LANG: process.env["LANG"] ?? "C.UTF-8",
  };
}

function requireNative(name: string): void {
  if (name !== NAME)
    throw new ConfigurationError(`"${name}" is not the native machine; nothing runs on the host in its place.`);
}

async function requireStartable(spec: RunSpec): Promise<void> {
  refuseSkippedPrompts(spec.argv);
  requireArguments(spec.argv);
  requireEnvironment(spec.env);
  if (!Number.isSafeInteger(spec.maxLogBytes) || spec.maxLogBytes < 0) {
    throw new UserInputError("maxLogBytes is a whole number of bytes.");
  }
  await requireFolder(spec.cwd);
}

function requireArguments(argv: readonly string[]): void {
  if (argv.length === 0 || argv[0] === "" || argv.some((argument) => argument.includes("\0"))) {
    throw new UserInputError("A program and its arguments are texts without NUL, the program first.");
  }
}

function requireEnvironment(env: Record<string, string>): void {
  const wrong = Object.entries(env).find(([name, value]) => !VARIABLE_NAME.test(name) || value.includes("\0"));
  if (wrong)
    throw new UserInputError(
      `The environment variable ${JSON.stringify(wrong[0])} has a name or value that cannot be handed on.`,
    );
}

function requireAbsolute(path: string): string {
  if (!isAbsolute(path) || path.includes("\0")) throw new UserInputError("A path on a machine is absolute.");
  return path;
}

async function requireFolder(path: string): Promise<void> {
  const found = await stat(requireAbsolute(path)).catch(() => undefined);
  if (!found?.isDirectory()) throw new UserInputError(`${path} is not a folder on this machine.`);
}

function refuseWhenStopped(home: Home): void {
  const stop = readStop(home.stopFile);
  if (stop) throw new ProviderError(`STOP is set by ${stop.by}: nothing is started until \`cto release\`.`);
}
