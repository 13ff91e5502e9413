import { HOUR, MINUTE, SECOND } from "../hub/base/clock.ts";
import { messageOf } from "../hub/base/errors.ts";
import { join, posix } from "node:path";
import { backoffMs } from "../hub/base/service.ts";
import { SUPERVISOR, type Session } from "../hub/base/session.ts";
import { taskName } from "../hub/base/ids.ts";
import { readStop } from "../hub/base/stop-file.ts";
import type { Task } from "../hub/base/task.ts";
import type { RunObservation } from "./machines/machine.ts";
import type { AgentCommand } from "./agents/agent.ts";
import { Halted, MachineTrouble, unlessHalted, withMachine, type Parts } from "./parts.ts";
import type { EndCause, Plan } from "./plan.ts";
import { prepare, type Prepared } from "./prepare.ts";
import { repositoryWords } from "./repository-words.ts";
import { repositoryBlock } from "./repository-block.ts";
import { handOver } from "./hand-over.ts";
import { ENDED, observedOutcome, settlementOf } from "./outcome.ts";
import { keepTranscript } from "./transcript.ts";

const SESSION_LOG_BYTES = 64 * 1024 * 1024;
const KILL_GRACE_MS = 3 * SECOND;
const MACHINE_RETRY_MS = 30 * SECOND;
const MACHINE_RETRY_CAP_MS = 15 * MINUTE;

type Choice = Plan["start"][number];

/**
 * Opens a session and reserves the task for it. From here on the task is taken, and everybody
 * sees that its machine is being prepared. Undefined when it was taken meanwhile.
 */
export async function openFor(parts: Parts, choice: Choice): Promise<Session | undefined> {
  const { store, clock } = parts;
  const { agent, machine, projectId, taskId } = choice;
  const id = parts.newId();
  // The session first: a reservation for a session that nobody knows could never be found again.
  const session = await store.openSession({ id, agent, projectId, kind: "supervised", machine }, clock.now());
  if (await store.reserve(taskId, { id, agent, machine }, clock.now())) return session;
  await store.endSession(id, { outcome: "its task was taken meanwhile", exitCode: null }, clock.now());
  return undefined;
}

/**
 * Launching is claiming. Prepares the machine, then in this order: token, files, claim,
 * workspace noted, start.
 *
 * The claim comes last before the start, and both come after everything slow, so that a task
 * is `running` without a process only for the milliseconds between them; and it comes before,
 * not after, so that the agent's first call finds the task complete, and that a task which was
 * cancelled meanwhile starts no process. Cut off at any point, the next start of the hub finds
 * the session still `preparing`: without a run its task or reservation is given up without
 * counting as a failure, with a run it is adopted (`recoverSession`). A start that is repeated
 * starts nothing twice, since the run's id is the session's.
 */
export async function launch(
  parts: Parts,
  choice: Choice,
  session: Session,
  signal: AbortSignal,
  tries: number,
): Promise<void> {
  const { store } = parts;
  const [task, project] = [await store.task(choice.taskId), await store.project(choice.projectId)];
  if (task === undefined || project === undefined) return dismiss(parts, session, "its task is gone");
  try {
    const preparation = await prepare(parts, project, task, signal);
    if (preparation.ok) await start(parts, session, task, preparation.prepared, signal);
    else if (preparation.block === "project") {
      await repositoryBlock.set(parts, project.id, preparation.why);
      await dismiss(parts, session, "its repository cannot be used");
    } else await claimAndBlock(parts, session, task, preparation.why);
  } catch (error) {
    await giveUp(parts, session, task, error, tries);
  }
}

async function start(
  parts: Parts,
  session: Session,
  task: Task,
  prepared: Prepared,
  signal: AbortSignal,
): Promise<void> {
  const { store, clock, log } = parts;
  const { place, folder, base } = prepared;
  const { machine, name } = place;
  const command = await commandOf(parts, session, task, prepared);
  for (const file of command.files) await withMachine(() => machine.put(name, file.path, file.data, file.mode));
  unlessHalted(signal);
  if (readStop(parts.home.stopFile) !== undefined) throw new Halted("STOP is set");
  const claimed = await claimFor(parts, session, task);
  if (claimed === undefined) return dismiss(parts, session, "its task was taken back while its machine was prepared");
  await store.recordWorkspace(task.id, claimed.fence, { path: folder, base }, clock.now());
  await withMachine(() =>
    machine.start(name, {
      id: session.id,
      argv: command.argv,
      cwd: folder,
      env: command.env,
      maxLogBytes: SESSION_LOG_BYTES,
    }),
  );
  await store.sessionRuns(session.id, name, clock.now());
  log.info({ session: session.id, task: task.id, agent: session.agent }, "session started");
}

/** Claims the task that was reserved. Where that was taken back, a session may be handed another: that one goes back at once. */
async function claimFor(parts: Parts, session: Session, task: Task): Promise<Task | undefined> {
  const claim = await parts.store.claim(session.id, parts.clock.now());
  if (claim === undefined || claim.task.id === task.id) return claim?.task;
  await giveBack(parts, claim.task, "it was handed to a session that was prepared for another task", false);
  return undefined;
}

async function commandOf(parts: Parts, session: Session, task: Task, prepared: Prepared): Promise<AgentCommand> {
  const { place, folder } = prepared;
  const configured = parts.config.agents[session.agent];
  const cli = configured === undefined ? undefined : parts.agents.get(configured.cli);
  const project = await parts.store.project(task.projectId);
  if (configured === undefined || cli === undefined || project === undefined)
    throw new MachineTrouble(`agent ${session.agent} is not configured any more`);
  const limitMs = parts.config.scheduler.task_time_limit * MINUTE;
  const workspace = place.machine.workspacePath(place.name, project.slug, taskName(task.id));
  return cli.launch({
    sessionId: session.id,
    command: configured.command,
    args: configured.args,
    env: configured.env,
    model: configured.model,
    mcpUrl: parts.mcpUrl(),
    token: await parts.issueSessionToken(session.id, task.projectId, limitMs + HOUR),
    workspace: folder,
    runFolder: join(parts.home.runs, session.id),
    project: {
      check: project.check,
      instructions: await repositoryWords(place, workspace, folder),
      workspaces: posix.dirname(workspace),
    },
    allow: configured.allow,
    ...(parts.hookCommand !== undefined && { hookCommand: parts.hookCommand }),
  });
}

/** Gives a reservation up and ends a session that never ran. */
async function dismiss(parts: Parts, session: Session, why: string): Promise<void> {
  await parts.store.unreserve(session.id, why, parts.clock.now());
  await parts.store.endSession(session.id, { outcome: why, exitCode: null }, parts.clock.now());
}

/** The person must act before the task can start: the session asks, since only a holder can. */
async function claimAndBlock(parts: Parts, session: Session, task: Task, text: string): Promise<void> {
  const claimed = await claimFor(parts, session, task);
  if (claimed !== undefined) await blockTask(parts, claimed, text);
  await dismiss(parts, session, "the project's setup failed");
}

/** Blocks a held task with a question of ours. */
export async function blockTask(parts: Parts, task: Task, text: string): Promise<void> {
  const by = { ...SUPERVISOR, sessionId: task.sessionId };
  const options = ["Try again", "Cancel it"];
  await parts.store.block(by, task.id, task.fence, { text, options }, parts.clock.now());
}

/** A launch that did not come to its end: says what became of the task, and ends the session. */
async function giveUp(parts: Parts, session: Session, task: Task, error: unknown, tries: number): Promise<void> {
  const { store, clock, log, machines } = parts;
  const why = messageOf(error).slice(0, 300);
  // The start may have come as far as a process before it failed.
  await machines.get(session.machine)?.kill(session.id, KILL_GRACE_MS);
  const now = await store.task(task.id);
  const held = now?.sessionId === session.id && now.state === "running" ? now : undefined;
  if (error instanceof Halted) {
    if (held !== undefined) await giveBack(parts, held, "its start was called off", false);
    return dismiss(parts, session, "its start was called off");
  }
  log.warn({ session: session.id, task: task.id, error: why }, "a session could not be started");
  if (error instanceof MachineTrouble) {
    if (held === undefined) await store.unreserve(session.id, why, clock.now());
    const until = clock.now() + backoffMs(tries + 1, MACHINE_RETRY_MS, MACHINE_RETRY_CAP_MS);
    await store.wait(task.id, { reason: "machine", until, why: `waits for machine: ${why}` }, clock.now());
    return dismiss(parts, session, `the machine could not start it: ${why}`);
  }
  const mine = held ?? (await claimFor(parts, session, task));
  if (mine !== undefined) await giveBack(parts, mine, `its workspace could not be prepared: ${why}`, true);
  return dismiss(parts, session, `could not be prepared: ${why}`);
}

/**
 * A session that was being launched when the hub went down. Answers what was done, for the log.
 */
export async function recoverSession(parts: Parts, session: Session): Promise<"adopted" | "given up"> {
  const { store, clock } = parts;
  const machine = parts.machines.get(session.machine);
  const run: RunObservation = (await machine?.observe(session.id)) ?? { state: "missing" };
  const task = await heldTask(parts, session);
  if (run.state !== "missing" && task !== undefined) {
    await store.sessionRuns(session.id, session.machine, clock.now());
    return "adopted";
  }
  const why = "the hub was restarted while its machine was being prepared";
  await machine?.kill(session.id, KILL_GRACE_MS);
  if (task?.state === "running") await giveBack(parts, task, why, false);
  await dismiss(parts, session, why);
  return "given up";
}

export interface SessionEnd {
  because: EndCause;
  why: string;
}

/**
 * Ends a session, or takes note that it has ended: its processes, then the task that it held,
 * then the session itself. The task goes before the session, so that a hub which is killed in
 * between finds the session and comes here again; a task that was given back is not given back
 * twice, since its fence guards it. Answers whether the task counts it as a failure.
 */
export async function conclude(parts: Parts, session: Session, seen: SessionEnd): Promise<{ failed: boolean }> {
  const { store, clock, log, machines } = parts;
  const machine = machines.get(session.machine);
  await machine?.kill(session.id, KILL_GRACE_MS);
  const run: RunObservation = (await machine?.observe(session.id)) ?? { state: "missing" };
  const stopped = seen.because === "exited" && run.state === "exited" && run.stopped === true;
  const end: SessionEnd = stopped ? { because: "stop", why: "STOP ended it" } : seen;
  const code = run.state === "exited" ? run.code : null;
  const task = await heldTask(parts, session);
  const running = task?.state === "running" ? task : undefined;
  // Only what a session did by itself tells of its account and its permissions.
  const outcome = end.because === "exited" ? await observedOutcome(parts, session, code) : ENDED;
  const settled = running === undefined ? undefined : settlementOf(parts, session, running, outcome);
  const how = settled?.how ?? describe(end, code, running !== undefined);
  const failed =
    running !== undefined && settled === undefined && (await isFailure(parts, session, running, end, code));
  if (running !== undefined) {
    await handOver(parts, session, running, how);
    if (settled === undefined) await giveBack(parts, running, how, failed);
    else if ((await heldTask(parts, session))?.fence === running.fence) await settled.act();
  }
  await store.unreserve(session.id, how, clock.now());
  await keepTranscript(parts, session);
  await store.endSession(session.id, { outcome: how, exitCode: code }, clock.now());
  log.info({ session: session.id, task: task?.id, exit: code, failed }, how);
  return { failed };
}

async function heldTask(parts: Parts, session: Session): Promise<Task | undefined> {
  const id = (await parts.store.session(session.id))?.taskId ?? null;
  const task = id === null ? undefined : await parts.store.task(id);
  return task?.sessionId === session.id ? task : undefined;
}

function describe({ because, why }: SessionEnd, code: number | null, held: boolean): string {
  if (because !== "exited") return why;
  if (code === null) return "its process was killed";
  const words = `ended with exit code ${code}`;
  return held ? `${words} without completing the task` : words;
}

/**
 * Whether the task's failures rise. A limit is one, and so is an exit while the task is held,
 * whatever its code: an agent that ends well having completed nothing has failed. What a
 * person or STOP ended has not. An agent that ended after `complete_task` while its check was
 * still running, as agents without hooks do, has not either: its findings go to the next.
 */
async function isFailure(
  parts: Parts,
  session: Session,
  task: Task,
  end: SessionEnd,
  code: number | null,
): Promise<boolean> {
  if (end.because === "limit") return true;
  if (end.because !== "exited") return false;
  if (code !== 0 || task.findings === null) return true;
  const events = await parts.store.recentEvents({ taskId: task.id, limit: 20 });
  const last = events.find(
    ({ kind }) => kind === "task_claimed" || kind === "task_progress" || kind === "task_findings",
  );
  return !(last?.kind === "task_findings" && last.sessionId === session.id);
}

async function giveBack(parts: Parts, task: Task, why: string, failure: boolean): Promise<void> {
  await parts.store.giveBack(task.id, task.fence, { why, failure }, parts.clock.now());
}
