import { createHash } from "node:crypto";
import { posix } from "node:path";
import { MINUTE } from "../hub/base/clock.ts";
import { taskName } from "../hub/base/ids.ts";
import type { Project } from "../hub/base/project.ts";
import type { Task } from "../hub/base/task.ts";
import { keepArtefact } from "./artefacts.ts";
import { Halted, placeOf, unlessHalted, withMachine, type Parts } from "./parts.ts";
import type { Place } from "./workspaces/workspaces.ts";

const SETUP_LIMIT_MS = 15 * MINUTE;
const SETUP_MAX_BYTES = 1024 * 1024;
/** Characters of a failed setup's output that the person is shown. */
const SETUP_TAIL = 1_500;

/** A workspace that a session can start in. */
export interface Prepared {
  place: Place;
  /** The project's folder inside its workspace: where the agent and the check run. */
  folder: string;
  base: string;
}

export type Preparation = { ok: true; prepared: Prepared } | { ok: false; block: "project" | "task"; why: string };

/**
 * Everything that must be there before a session works on a task: mirror, machine, clone,
 * continuation, and the project's Setup command run once. Safe to run again. What a person
 * must act on is answered; `MachineTrouble` and `Halted` are thrown.
 */
export async function prepare(parts: Parts, project: Project, task: Task, signal: AbortSignal): Promise<Preparation> {
  const { workspaces, store } = parts;
  const refreshed = await workspaces.refresh(project);
  if (!refreshed.ok) return { ok: false, block: "project", why: refreshed.why };
  if (refreshed.note !== undefined) parts.log.warn({ project: project.id, note: refreshed.note }, "repository");
  unlessHalted(signal);
  const place = await placeOf(parts, project);
  const latest = await store.latestContinuation(project.id);
  const text = latest === undefined ? "" : parts.renderContinuation(project.name, latest);
  const { path, base } = await workspaces.open(place, project, task, text);
  unlessHalted(signal);
  const folder = projectFolder(path, project);
  if (folder === undefined || !(await isFolder(place, path, folder)))
    return {
      ok: false,
      block: "project",
      why: `Path "${project.path.slice(0, 100)}" is no folder of its repository: correct it`,
    };
  const trouble = await runSetup(parts, place, project, task, path, folder, signal);
  if (trouble !== undefined) return { ok: false, block: "task", why: trouble };
  return { ok: true, prepared: { place, folder, base } };
}

/** The folder inside a workspace that the project is; undefined for a path that leaves it. */
export function projectFolder(workspace: string, project: Pick<Project, "path">): string | undefined {
  const inside = project.path.trim();
  if (inside === "" || inside === "-") return workspace;
  const folder = posix.join(workspace, inside);
  const leaves = inside.startsWith("/") || inside.includes("\0") || !`${folder}/`.startsWith(`${workspace}/`);
  return leaves ? undefined : folder.replace(/\/$/, "");
}

/** Whether `folder` is there, inside the machine. */
export async function isFolder({ machine, name }: Place, workspace: string, folder: string): Promise<boolean> {
  if (folder === workspace) return true;
  const result = await withMachine(() =>
    machine.exec(name, ["test", "-d", folder], { cwd: workspace, timeoutMs: MINUTE }),
  );
  return result.code === 0;
}

/**
 * Runs the project's Setup command once in each workspace (again when the command has
 * changed) and notes that inside `.git`, where it is removed together with the workspace.
 * Answers what went wrong, with the end of the output.
 */
async function runSetup(
  parts: Parts,
  { machine, name }: Place,
  project: Project,
  task: Task,
  workspace: string,
  folder: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const setup = project.setup.trim();
  if (setup === "" || setup === "-") return undefined;
  const done = createHash("sha256").update(setup).digest("hex");
  const mark = posix.join(workspace, ".git", "cto-setup");
  const noted = await withMachine(() => machine.exec(name, ["cat", mark], { cwd: workspace, timeoutMs: MINUTE }));
  if (noted.stdout.trim() === done) return undefined;
  unlessHalted(signal);
  const result = await withMachine(() =>
    machine.exec(name, ["sh", "-c", 'exec sh -c "$1" 2>&1', "setup", setup], {
      cwd: folder,
      timeoutMs: SETUP_LIMIT_MS,
      maxBytes: SETUP_MAX_BYTES,
      signal,
    }),
  ).catch((error: unknown) => {
    throw signal.aborted ? new Halted("halted during setup", { cause: error }) : error;
  });
  await keepArtefact(parts, { taskId: task.id, sessionId: null, kind: "log", name: "setup.log" }, result.stdout);
  if (result.code === 0) {
    await withMachine(() => machine.put(name, mark, `${done}\n`, 0o600));
    return undefined;
  }
  const how = result.timedOut ? "took longer than 15 minutes" : `ended with exit code ${result.code ?? "none"}`;
  return `The Setup command of ${project.name} ${how} before ${taskName(task.id)} could start. The end of its output:\n${result.stdout.trimEnd().slice(-SETUP_TAIL)}`;
}
