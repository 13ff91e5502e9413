import { MINUTE } from "../hub/base/clock.ts";
import { messageOf } from "../hub/base/errors.ts";
import type { Project } from "../hub/base/project.ts";
import type { Session } from "../hub/base/session.ts";
import type { Task } from "../hub/base/task.ts";
import { isStartable, whyNotStartable } from "../hub/config.ts";
import type { Activity, Phase } from "./activity.ts";
import { agentsOut } from "./agents-out.ts";
import type { Crashes } from "./crashes.ts";
import type { RunObservation } from "./machines/machine.ts";
import type { Parts } from "./parts.ts";
import type { Known, KnownSession } from "./plan.ts";

const IDLE_LIMIT_MS = 2 * MINUTE;
/** Queued tasks that are told why they wait; those behind them wait for these. */
const EXPLAINED = 200;
const HEALTH_MS = 3_000;
const HEADS_FOR_EACH_AGENT = 50;

/** One look at the world: what the plan is made from, and what is done besides. */
export interface Observed {
  known: Known;
  sessions: Session[];
  /** Tasks that a session holds. */
  held: Task[];
  queued: Task[];
  projects: Map<number, Project>;
  /** The task that is worked on, or prepared, in a lane. */
  busy: Map<string, number>;
  first: Map<string, number>;
}

export interface Looking {
  stop: Known["stop"];
  activity: Activity;
  crashes: Crashes;
  /** Tasks that a job is at work on: nothing new is begun with them. */
  busyTasks: ReadonlySet<number>;
  /** Whether a session is being launched or ended at this moment. */
  busySessions: (sessionId: string) => boolean;
}

export async function observe(parts: Parts, looking: Looking): Promise<Observed> {
  const { store, config } = parts;
  const agents = startable(parts);
  const [sessions, held, queued, all, heads, machines, out] = await Promise.all([
    store.liveSessions(),
    store.tasks({ states: ["running", "checking", "in_review"] }),
    store.tasks({ states: ["queued"], order: "queue", limit: EXPLAINED }),
    store.projects({ archived: true }),
    store.readyHeads(agents, HEADS_FOR_EACH_AGENT),
    healthOf(parts),
    agentsOut(parts),
  ]);
  const projects = new Map(all.map((project) => [project.id, project]));
  const tasks = new Map(held.map((task) => [task.id, task]));
  const lane = (task: Task) => projects.get(task.projectId)?.lane ?? "";
  const reserved = queued.filter((task) => task.reservedFor !== null);
  const known: Known = {
    stop: looking.stop,
    limits: {
      sessions: config.scheduler.max_concurrent_tasks,
      taskMs: config.scheduler.task_time_limit * MINUTE,
      silenceMs: config.scheduler.silence_limit * MINUTE,
      idleMs: IDLE_LIMIT_MS,
    },
    agents: agents.map((name) => ({
      name,
      model: config.agents[name]?.model ?? "",
      maxSessions: config.agents[name]?.max_sessions ?? 1,
      restMs: looking.crashes.restMs(name),
      ...out(name),
    })),
    off: Object.entries(config.agents)
      .filter(([name]) => !agents.includes(name))
      .map(([name, agent]) => ({ name, model: agent.model, why: whyNotStartable(agent) })),
    machines,
    sessions: await Promise.all(sessions.map((session) => knownSession(parts, looking, session, tasks))),
    heads: heads.filter(({ taskId }) => !looking.busyTasks.has(taskId)),
    projects,
  };
  looking.activity.keep(new Set(sessions.map(({ id }) => id)));
  return {
    known,
    sessions,
    held,
    queued: queued.filter((task) => task.reservedFor === null),
    projects,
    busy: new Map(
      [...reserved, ...held.filter(({ state }) => state !== "in_review")].map((task) => [lane(task), task.id]),
    ),
    first: new Map(heads.map((head) => [head.lane, head.taskId])),
  };
}

function startable({ config, agents }: Parts): string[] {
  return Object.entries(config.agents)
    .filter(([, agent]) => isStartable(agent) && agents.has(agent.cli))
    .map(([name]) => name);
}

async function healthOf({ machines }: Parts): Promise<Known["machines"]> {
  const healths = [...machines].map(async ([kind, machine]) => {
    const late = { ok: false as const, why: `${kind} does not answer` };
    const health = await atMost(machine.health(), HEALTH_MS, late).catch((error: unknown) => ({
      ok: false as const,
      why: messageOf(error),
    }));
    return [kind, health] as const;
  });
  return new Map(await Promise.all(healths));
}

/** What `promise` gives, or `otherwise` after `ms` milliseconds: one machine that hangs holds up nothing else. */
async function atMost<T>(promise: Promise<T>, ms: number, otherwise: T): Promise<T> {
  const late = Promise.withResolvers<T>();
  const timer = setTimeout(() => late.resolve(otherwise), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function knownSession(
  parts: Parts,
  looking: Looking,
  session: Session,
  tasks: Map<number, Task>,
): Promise<KnownSession> {
  const task = session.taskId === null ? undefined : tasks.get(session.taskId);
  const run = await runOf(parts, session);
  const phase = phaseOf(session, task);
  const { grew, ...spans } = looking.activity.look(session, phase, run);
  if (grew) await parts.store.sessionSeen(session.id, parts.clock.now());
  return {
    ...spans,
    id: session.id,
    agent: session.agent,
    kind: session.kind,
    taskId: phase === "idle" ? null : session.taskId,
    projectId: session.projectId,
    goesOn: mayGoOn(parts, session),
    run: looking.busySessions(session.id) ? "preparing" : run.state === "running" ? "running" : "ended",
  };
}

/** A task that was taken back from it, that is over, or that waits for a reviewer, is none: the session may go. */
function phaseOf(session: Session, task: Task | undefined): Phase {
  if (task?.sessionId !== session.id) return "idle";
  return task.state === "running" ? "working" : task.state === "checking" ? "checking" : "idle";
}

function mayGoOn({ agents, config }: Parts, session: Session): boolean {
  const { tasksDone, kind } = session;
  const cli = agents.get(config.agents[session.agent]?.cli ?? "");
  return (
    kind === "supervised" && tasksDone > 0 && tasksDone < config.scheduler.tasks_per_session && cli?.goesOn === true
  );
}

async function runOf({ machines, log }: Parts, session: Session): Promise<RunObservation> {
  const unknown: RunObservation = { state: "running", startedAt: session.startedAt, outputBytes: 0 };
  if (session.kind === "attached") return unknown;
  // Being launched, or left over from a launch: the plan is told which by `busySessions`.
  if (session.state === "preparing") return { state: "missing" };
  try {
    return (await machines.get(session.machine)?.observe(session.id)) ?? unknown;
  } catch (error) {
    // Not being able to look is not having seen an end.
    log.warn({ session: session.id, error: messageOf(error) }, "a session could not be observed");
    return unknown;
  }
}
