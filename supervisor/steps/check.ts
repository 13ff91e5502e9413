import { MINUTE, SECOND } from "../../hub/base/clock.ts";
import { taskName } from "../../hub/base/ids.ts";
import type { Task } from "../../hub/base/task.ts";
import type { CheckRecord } from "../../hub/stores/store.ts";
import { keepArtefact } from "../artefacts.ts";
import type { RunObservation } from "../machines/machine.ts";
import { unlessHalted, withMachine } from "../parts.ts";
import { isFolder, projectFolder } from "../prepare.ts";
import { stillOurs, type Findings, type Step } from "./step.ts";

const TAIL_CHARACTERS = 4_000;
const MAX_LOG_BYTES = 16 * 1024 * 1024;
const KILL_GRACE_MS = 2 * SECOND;
const FIRST_LOOK_MS = 50;
const LOOK_EVERY_MS = 500;
const SHOWN_FILES = 20;
/** A check that was cut off without a verdict (the host went down, STOP, no memory) is run this often at most. */
const ATTEMPTS = 5;
/** Codes above it are those of a program that a signal ended. */
const SIGNAL_CODE = 128;

export type Verdict = { checked: "passed" | "unchecked" } | Findings;

/**
 * The run of a check: one for each task, fence and commit, so that a hub which is started
 * again adopts the check that still runs or reads how it ended, and never mistakes the check
 * of another commit for it.
 */
export function checkRunId(task: Pick<Task, "id" | "fence">, commit: string, attempt: number): string {
  return `c-t${task.id}-f${task.fence}-${commit.slice(0, 12)}-${attempt}`;
}

/**
 * Runs the project's check command on exactly `commit`, in the machine where the work was
 * done. Findings when it fails, takes too long, or when the files are not the commit's before
 * or after it. A check that cannot be started is `MachineTrouble`, not a finding.
 */
export async function check(step: Step, commit: string): Promise<Verdict> {
  const { parts, project, task } = step;
  const command = project.check.trim();
  const known = (await parts.store.checks(task.id)).find((one) => one.fence === task.fence && one.commit === commit);
  if (known !== undefined) return verdictOf(known);
  const began = parts.clock.monotonic();
  const partial = command === "" || command === "-" ? unchecked() : await runCheck(step, command, commit);
  const record: CheckRecord = {
    taskId: task.id,
    fence: task.fence,
    commit,
    command,
    ...partial,
    durationMs: Math.round(parts.clock.monotonic() - began),
    at: parts.clock.now(),
  };
  stillOurs(await parts.store.recordCheck(record));
  return verdictOf(record);
}

type Outcome = Pick<CheckRecord, "outcome" | "exitCode" | "tail">;

function unchecked(): Outcome {
  return { outcome: "unchecked", exitCode: null, tail: "The project has no check command." };
}

async function runCheck(step: Step, command: string, commit: string): Promise<Outcome> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const id = checkRunId(step.task, commit, attempt);
    const before = await startOnce(step, command, commit, id);
    if (before !== undefined) return before;
    const { run, late } = await waitForEnd(step, id);
    if (run.state !== "exited") continue;
    if (!late && (run.code ?? SIGNAL_CODE + 1) > SIGNAL_CODE && attempt < ATTEMPTS) continue;
    const tail = await keepOutput(step, id, commit);
    const changed = await step.parts.workspaces.verify(step.place, step.project, step.task, commit);
    if (changed.length > 0) return { outcome: "error", exitCode: run.code, tail: changedDuring(changed) };
    if (late) return { outcome: "timeout", exitCode: null, tail };
    return { outcome: run.code === 0 ? "passed" : "failed", exitCode: run.code, tail };
  }
  return { outcome: "error", exitCode: null, tail: `The check was started ${ATTEMPTS} times and never ran.` };
}

/** Starts the check unless it was started already. Answers an outcome when the files are not the commit's. */
async function startOnce(step: Step, command: string, commit: string, id: string): Promise<Outcome | undefined> {
  const { place, parts, project, task, signal } = step;
  const { machine, name } = place;
  if ((await machine.observe(id)).state !== "missing") return undefined;
  const changed = await parts.workspaces.verify(place, project, task, commit);
  if (changed.length > 0) return { outcome: "error", exitCode: null, tail: changedBefore(changed) };
  unlessHalted(signal);
  const workspace = machine.workspacePath(name, project.slug, taskName(task.id));
  const cwd = projectFolder(workspace, project);
  if (cwd === undefined || !(await isFolder(place, workspace, cwd))) {
    const tail = `The project's folder "${project.path.slice(0, 100)}" is not in the commit: put it back.`;
    return { outcome: "error", exitCode: null, tail };
  }
  // The command's streams are one, so that its output reads in the order in which it came.
  const argv = ["sh", "-c", 'exec sh -c "$1" 2>&1', "check", command];
  await withMachine(() => machine.start(name, { id, argv, cwd, env: {}, maxLogBytes: MAX_LOG_BYTES }));
  return undefined;
}

async function waitForEnd({ place, parts, signal }: Step, id: string): Promise<{ run: RunObservation; late: boolean }> {
  const { clock } = parts;
  const limitMs = parts.config.scheduler.check_time_limit * MINUTE;
  const began = clock.monotonic();
  let look = FIRST_LOOK_MS;
  for (;;) {
    const run = await place.machine.observe(id);
    if (run.state !== "running") return { run, late: false };
    if (clock.monotonic() - began > limitMs) {
      await place.machine.kill(id, KILL_GRACE_MS);
      return { run: await place.machine.observe(id), late: true };
    }
    await clock.sleep(look, signal);
    // It goes on without us: the next hub adopts it, and STOP ends it.
    unlessHalted(signal);
    look = Math.min(LOOK_EVERY_MS, look * 2);
  }
}

/** Keeps the whole output as an artefact and answers its end. */
async function keepOutput({ parts, place, task }: Step, id: string, commit: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let offset = 0;
  for (;;) {
    const chunk = await place.machine.read(id, "stdout", offset, 1024 * 1024);
    if (chunk.byteLength === 0) break;
    chunks.push(chunk);
    offset += chunk.byteLength;
  }
  const output = Buffer.concat(chunks);
  const name = `check-f${task.fence}-${commit.slice(0, 12)}.log`;
  await keepArtefact(parts, { taskId: task.id, sessionId: task.sessionId, kind: "check", name }, output);
  return output
    .subarray(-4 * TAIL_CHARACTERS)
    .toString("utf8")
    .trimEnd()
    .slice(-TAIL_CHARACTERS);
}

function verdictOf(record: CheckRecord): Verdict {
  if (record.outcome === "passed" || record.outcome === "unchecked") return { checked: record.outcome };
  return { source: "check", text: findingWords(record).slice(-TAIL_CHARACTERS - 500) };
}

function findingWords({ outcome, exitCode, tail, commit, command, durationMs }: CheckRecord): string {
  if (outcome === "error") return tail;
  const how =
    outcome === "timeout"
      ? `was ended after ${Math.round(durationMs / MINUTE)} minutes, which is the limit`
      : `failed with exit code ${exitCode ?? "none"}`;
  const output = tail === "" ? "It printed nothing." : `The end of its output:\n${tail}`;
  return `The check command (${command.slice(0, 200)}) ${how} on commit ${commit.slice(0, 12)}. ${output}`;
}

function changedBefore(files: string[]): string {
  return `The workspace was changed after complete_task, so that what would be checked is not what was completed. Stop changing files after that call, and complete the task again. Changed:\n${listed(files)}`;
}

function changedDuring(files: string[]): string {
  return (
    "The workspace changed during the check, so that it is not the commit that was checked. Either somebody went on " +
    "working, or the check leaves files behind that git does not ignore: add those to .gitignore, or have the check " +
    `remove them. Changed:\n${listed(files)}`
  );
}

function listed(files: string[]): string {
  const shown = files.slice(0, SHOWN_FILES).map((file) => `- ${file}`);
  return [...shown, ...(files.length > shown.length ? [`- and ${files.length - shown.length} more`] : [])].join("\n");
}
