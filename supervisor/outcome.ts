import { DAY, MINUTE, SECOND } from "../hub/base/clock.ts";
import { backoffMs } from "../hub/base/service.ts";
import { SUPERVISOR, type Session } from "../hub/base/session.ts";
import type { Task } from "../hub/base/task.ts";
import type { AgentEvent, AgentOutcome } from "./agents/agent.ts";
import type { Parts } from "./parts.ts";

const CHUNK_BYTES = 256 * 1024;
/** Events that are kept of one session; the first and the last tell how it went. */
const MAX_EVENTS = 20_000;
/** A window's reset is given this long to take effect, and up to as long again so that tasks do not come all at once. */
const AFTER_RESET_MS = MINUTE;
/** Looked at again after this when no reset was reported, or one that cannot be. */
const UNKNOWN_RESET_MS = 15 * MINUTE;
/** No window is longer than a week; a reset beyond it is a wrong one. */
const LONGEST_WINDOW_MS = 8 * DAY;
const BUSY_FIRST_MS = MINUTE;
const NO_HUB_FIRST_MS = 15 * SECOND;
const LONGEST_WAIT_MS = 15 * MINUTE;
const MAX_LINES = 5;

export const ENDED: AgentOutcome = { kind: "ended" };

/** What the session's whole output and its exit code say of its end. */
export async function observedOutcome(parts: Parts, session: Session, code: number | null): Promise<AgentOutcome> {
  const cli = parts.agents.get(parts.config.agents[session.agent]?.cli ?? "");
  const machine = parts.machines.get(session.machine);
  if (cli?.outcome === undefined || machine === undefined) return ENDED;
  const parser = cli.createParser();
  const events: AgentEvent[] = [];
  const keep = (more: AgentEvent[]) => {
    const told = more.filter(({ kind }) => kind !== "text" && kind !== "unknown");
    events.push(...told);
    if (events.length > MAX_EVENTS) events.splice(MAX_EVENTS / 2, events.length - MAX_EVENTS);
  };
  for (let offset = 0; ;) {
    const chunk = await machine.read(session.id, "stdout", offset, CHUNK_BYTES);
    if (chunk.byteLength === 0) break;
    offset += chunk.byteLength;
    keep(parser.push(chunk));
  }
  keep(parser.end?.() ?? []);
  return cli.outcome(events, code);
}

/** What becomes of the task that a session held when it ended: none of these is a failure of the task. */
export interface Settlement {
  /** How the session ended, in one sentence. */
  how: string;
  act(): Promise<void>;
}

/** Undefined when the session ended by itself: then its task and exit code decide. */
export function settlementOf(
  parts: Parts,
  session: Session,
  task: Task,
  outcome: AgentOutcome,
): Settlement | undefined {
  return outcome.kind === "ended" ? undefined : settled(parts, session, task, outcome);
}

function settled(
  parts: Parts,
  session: Session,
  task: Task,
  outcome: Exclude<AgentOutcome, { kind: "ended" }>,
): Settlement {
  const { agent } = session;
  const { kind } = outcome;
  if (kind === "limit") return untilReset(parts, task, outcome);
  if (kind === "busy")
    return later(parts, task, "backoff", `${agent} cannot reach its model: ${outcome.why}`, BUSY_FIRST_MS);
  if (kind === "no_hub") return later(parts, task, "machine", `waits for machine: ${outcome.why}`, NO_HUB_FIRST_MS);
  return asking(
    parts,
    session,
    task,
    kind === "person" ? needsPerson(agent, outcome) : denialWords(agent, outcome.lines),
  );
}

/** The words of a task's Why while its agent waits for a person, by which it is known again; see `waitingForPerson`. */
function needsPerson(agent: string, { why, act }: { why: string; act: string }): string {
  return `${agent} cannot work: ${oneLine(why)}. ${act}. Then set its Status to Queued; until then nothing is started with ${agent}.`;
}

/** Whether the task is blocked because its agent can do nothing at all until a person has acted. */
export function waitsForPerson(task: Pick<Task, "state" | "agent" | "why">): boolean {
  return task.state === "blocked" && task.agent !== null && task.why.startsWith(`asks: ${task.agent} cannot work: `);
}

function denialWords(agent: string, lines: string[]): string {
  const shown = lines.slice(0, MAX_LINES);
  const list = shown.map((line) => `- ${JSON.stringify(line)}`).join("\n");
  const more = lines.length > shown.length ? `\nand ${lines.length - shown.length} more.` : "";
  return (
    `${agent} ended without completing the task, after it was not permitted to do something: ${oneLine(shown[0] ?? "")}\n` +
    `To allow it, put these lines under agents.${agent}.allow in config.yaml, start the hub again, and set its Status to Queued:\n${list}${more}`
  );
}

function asking({ store, clock }: Parts, session: Session, task: Task, text: string): Settlement {
  const how = text.split("\n")[0]?.slice(0, 300) ?? "";
  const by = { ...SUPERVISOR, sessionId: session.id };
  const options = ["Try again", "Cancel it"];
  return { how, act: async () => void (await store.block(by, task.id, task.fence, { text, options }, clock.now())) };
}

function untilReset(
  { store, clock }: Parts,
  task: Task,
  { window, resetsAt }: Extract<AgentOutcome, { kind: "limit" }>,
): Settlement {
  const now = clock.now();
  const known = resetsAt !== null && resetsAt > now - MINUTE && resetsAt < now + LONGEST_WINDOW_MS;
  const spreadMs = ((task.id * 7) % 60) * SECOND;
  const until = known ? Math.max(now, resetsAt) + AFTER_RESET_MS + spreadMs : now + UNKNOWN_RESET_MS;
  const source = known ? "as the client reported it" : "no usable reset time was reported: it is tried again";
  const how = `its ${windowWord(window)} is used up`;
  const why = `waits for the ${windowWord(window)} to renew (${source})`;
  return { how, act: async () => void (await store.wait(task.id, { reason: "window", until, why }, now)) };
}

function windowWord(window: string): string {
  if (window === "five_hour") return "five-hour window";
  return window.startsWith("seven_day") ? "weekly window" : "usage window";
}

/** A wait that grows with every time in a row. */
function later(
  { store, clock }: Parts,
  task: Task,
  reason: "backoff" | "machine",
  why: string,
  firstMs: number,
): Settlement {
  return {
    how: oneLine(why),
    async act() {
      const times = await waitsInARow({ store }, task.id, reason);
      const until = clock.now() + backoffMs(times + 1, firstMs, LONGEST_WAIT_MS);
      await store.wait(task.id, { reason, until, why: oneLine(why) }, clock.now());
    },
  };
}

/** How often the task has waited for this since somebody got on with it. */
async function waitsInARow({ store }: Pick<Parts, "store">, taskId: number, reason: string): Promise<number> {
  let waits = 0;
  for (const { kind, data } of await store.recentEvents({ taskId, limit: 60 })) {
    if (kind === "task_waiting" && data["reason"] === reason) waits += 1;
    else if (kind === "task_progress" || kind === "task_completed" || kind === "task_reopened") break;
  }
  return waits;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim().slice(0, 300);
}
