import type { ReadyHead } from "../hub/stores/store.ts";
import { HOUR, MINUTE } from "../hub/base/clock.ts";
import { taskName } from "../hub/base/ids.ts";
import type { Project } from "../hub/base/project.ts";

/**
 * Everything that the plan is made from. Durations come from a clock that never jumps, so
 * that a changed wall clock neither ends a session nor keeps one for ever.
 */
export interface Known {
  stop: { by: string; why: string } | undefined;
  limits: Limits;
  /** The agents that can be started, in the order in which they are preferred. */
  agents: KnownAgent[];
  /** The configured agents that cannot be started, and why. */
  off?: { name: string; model: string; why: string }[];
  /** What each kind of machine said of itself. A kind that is missing here does not exist. */
  machines: Map<string, { ok: true } | { ok: false; why: string }>;
  /** Sessions that have not ended, attached ones too. */
  sessions: KnownSession[];
  /** The first ready task of each free lane, for each agent that may have it. */
  heads: ReadyHead[];
  projects: Map<number, Pick<Project, "name" | "machine" | "hold">>;
}

export interface Limits {
  /** Sessions of ours at once. */
  sessions: number;
  taskMs: number;
  silenceMs: number;
  /** How long a session may go on without a task. */
  idleMs: number;
}

export interface KnownAgent {
  name: string;
  model?: string;
  maxSessions: number;
  /** Milliseconds for which it is not started, because its last sessions crashed; 0 for none. */
  restMs: number;
  /** Nothing of it can run: its window is used up, or a person must act. `until` is wall time, when it is known. */
  out?: { why: string; until: number | null };
}

export interface KnownSession {
  id: string;
  agent: string;
  kind: "supervised" | "attached";
  taskId: number | null;
  projectId: number | null;
  /** What was observed of its process; `preparing` has none yet and is being launched. */
  run: "preparing" | "running" | "ended";
  /** For how long it has worked on its task; 0 while the task is being checked. */
  workedMs: number;
  /** For how long there was no sign of life; 0 while its task is being checked. */
  silentMs: number;
  /** For how long it has had no task. */
  idleMs: number;
  /** It has done a task and may take its project's next one by itself. */
  goesOn?: boolean;
}

export interface Plan {
  start: { taskId: number; projectId: number; agent: string; machine: string }[];
  end: { sessionId: string; why: string; because: EndCause }[];
  /** Why what could run does not, in words for people; `until` is wall time, when it is known. */
  notYet: { taskId: number; projectId: number; why: string; until?: number }[];
}

/** Only `limit` counts as a failure of the session's task by itself; `exited` depends on how. */
export type EndCause = "exited" | "limit" | "idle" | "stop" | "person";

/**
 * Which sessions should run, which should end, and why the rest does not run. Pure: `now` is
 * wall time and is only used to say when something changes.
 */
export function plan(known: Known, now: number): Plan {
  const end = known.sessions.flatMap((session) => ending(session, known));
  return { end, ...starting(known, now) };
}

/** The kind of machine that a project's Machine cell asks for. An empty cell means `native` while there is no other kind. */
export function machineKind(cell: string): string {
  const kind = cell.trim().toLowerCase();
  return kind === "" || kind === "-" ? "native" : kind;
}

function ending(session: KnownSession, known: Known): Plan["end"] {
  // An attached session is not ours to end: its lease does that.
  if (session.kind === "attached") return [];
  const end = (because: EndCause, why: string) => [{ sessionId: session.id, why, because }];
  if (known.stop !== undefined) return end("stop", stopWords(known.stop));
  if (session.run === "ended") return end("exited", "its process ended");
  const hold = session.projectId === null ? null : (known.projects.get(session.projectId)?.hold ?? null);
  if (hold !== null) return end("person", `the project is ${holdWord(hold)}`);
  if (session.run === "preparing") return [];
  const { limits } = known;
  if (session.taskId === null)
    return session.idleMs > limits.idleMs ? end("idle", `it had no task for ${span(limits.idleMs)}`) : [];
  if (session.workedMs > limits.taskMs)
    return end("limit", `it worked for ${span(limits.taskMs)} without completing the task, which is the limit`);
  if (session.silentMs > limits.silenceMs)
    return end("limit", `there was no sign of life for ${span(limits.silenceMs)}`);
  return [];
}

/** A session that goes on is given this long to claim; what it leaves is started as anything else is. */
const GOES_ON_MS = MINUTE;

function goesOn(session: KnownSession): boolean {
  return session.goesOn === true && session.run === "running" && session.taskId === null && session.idleMs < GOES_ON_MS;
}

/** Of agents that are all out or resting, the one that is out and comes back first. */
function firstBack(agents: KnownAgent[]): { why: string; until: number | null } | undefined {
  const back = agents.flatMap(({ out }) => out ?? []);
  return back.toSorted((a, b) => (a.until ?? Infinity) - (b.until ?? Infinity))[0];
}

/** A ready task with the agents that may have it, best agent first. */
interface Candidate {
  head: ReadyHead;
  agents: string[];
}

function starting(known: Known, now: number): Pick<Plan, "start" | "notYet"> {
  const room = createRoom(known);
  const result: Pick<Plan, "start" | "notYet"> = { start: [], notYet: [] };
  const lanes = new Map<string, number>();
  const nextOf = new Map(known.sessions.filter(goesOn).map((session) => [session.projectId, session]));
  for (const { head, agents } of candidates(known)) {
    const { taskId, projectId } = head;
    const wait = (why: string, until?: number) =>
      result.notYet.push({ taskId, projectId, why, ...(until !== undefined && { until }) });
    if (known.stop !== undefined) {
      wait(stopWords(known.stop));
      continue;
    }
    const machine = machineKind(known.projects.get(projectId)?.machine ?? "");
    const trouble = machineTrouble(known.machines.get(machine), machine);
    const before = lanes.get(head.lane);
    const choice = room.choose(agents);
    const next = nextOf.get(projectId);
    if (trouble !== undefined) wait(trouble);
    else if (before !== undefined)
      wait(`waits for ${taskName(before)}: one session at a time works in this repository`);
    else if (next !== undefined && agents.includes(next.agent))
      wait(`goes to session ${next.id}, which has just finished a task of this project`);
    else if ("agent" in choice) {
      lanes.set(head.lane, taskId);
      room.take(choice.agent);
      result.start.push({ taskId, projectId, agent: choice.agent, machine });
    } else wait(choice.why, choice.until ?? (choice.restMs === undefined ? undefined : now + choice.restMs));
  }
  return result;
}

/** Best band first; inside a band the lane that was served longest ago. */
function candidates(known: Known): Candidate[] {
  const byTask = new Map<number, Candidate>();
  const names = known.agents.map(({ name }) => name);
  for (const head of known.heads) {
    const candidate = byTask.get(head.taskId) ?? { head, agents: [] };
    candidate.agents.push(head.agent);
    byTask.set(head.taskId, candidate);
  }
  const order = (a: Candidate, b: Candidate) =>
    a.head.band - b.head.band || a.head.served - b.head.served || a.head.taskId - b.head.taskId;
  return [...byTask.values()]
    .map(({ head, agents }) => ({ head, agents: names.filter((name) => agents.includes(name)) }))
    .toSorted(order);
}

/** Counts what is still free while tasks are given out. */
function createRoom(known: Known) {
  const ours = known.sessions.filter((session) => session.kind === "supervised" && session.run !== "ended");
  const used = new Map<string, number>();
  for (const { agent } of ours) used.set(agent, (used.get(agent) ?? 0) + 1);
  let free = known.limits.sessions - ours.length;

  function choose(agents: string[]): { agent: string } | { why: string; until?: number; restMs?: number } {
    const able = known.agents.filter(({ name }) => agents.includes(name));
    if (able.length === 0) return { why: "no agent that may have it can be started" };
    const awake = able.filter(({ restMs, out }) => restMs <= 0 && out === undefined);
    if (awake.length === 0) {
      const out = firstBack(able);
      if (out !== undefined) return out.until === null ? { why: out.why } : { why: out.why, until: out.until };
      const first = able.toSorted((a, b) => a.restMs - b.restMs)[0];
      return {
        why: `${namesOf(able)} crashed several times in a row; it is tried again later`,
        restMs: first?.restMs ?? 0,
      };
    }
    if (free <= 0) return { why: "waits for a free session: as many run as may run at once" };
    const choice = awake.find(({ name, maxSessions }) => (used.get(name) ?? 0) < maxSessions);
    return choice === undefined
      ? { why: `waits for ${namesOf(awake)}: all of its sessions are at work` }
      : { agent: choice.name };
  }

  return {
    choose,
    take(agent: string): void {
      free -= 1;
      used.set(agent, (used.get(agent) ?? 0) + 1);
    },
  };
}

function machineTrouble(
  health: { ok: true } | { ok: false; why: string } | undefined,
  kind: string,
): string | undefined {
  if (health === undefined) return `waits for machine: ${kind.slice(0, 40)} is not there yet`;
  return health.ok ? undefined : `waits for machine: ${health.why}`;
}

function stopWords(stop: { by: string; why: string }): string {
  const why = stop.why === "" ? "" : ` (${stop.why.slice(0, 100)})`;
  return `STOP was set by ${stop.by === "" ? "somebody" : stop.by}${why}; nothing starts until it is released`;
}

function holdWord(hold: NonNullable<Project["hold"]>): string {
  return hold === "planning" ? "in planning" : hold;
}

function namesOf(agents: KnownAgent[]): string {
  return agents.map(({ name }) => name).join(" or ");
}

function span(ms: number): string {
  if (ms >= 2 * HOUR) return `${Math.round(ms / HOUR)} hours`;
  const minutes = Math.round(ms / MINUTE);
  return minutes === 1 ? "1 minute" : `${minutes} minutes`;
}
