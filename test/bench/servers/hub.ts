import { createTokens } from "../../../hub/access/tokens.ts";
import { systemClock } from "../../../hub/base/clock.ts";
import { newSessionId } from "../../../hub/base/ids.ts";
import { silentLog } from "../../../hub/base/log.ts";
import { SUPERVISOR } from "../../../hub/base/session.ts";
import { createHttp } from "../../../hub/http.ts";
import { createMcp } from "../../../hub/mcp.ts";
import { createLeases } from "../../../hub/queue/leases.ts";
import { createCheckpoints } from "../../../hub/stores/checkpoints.ts";
import { openSqliteStore } from "../../../hub/stores/sqlite.ts";
import { AGENT } from "../lib/fixture.ts";
import { answering, options } from "./answering.ts";

/**
 * The hub's web side over a database on disk, with what runs beside it. The supervisor's part is
 * played by a few lines: a claimed task has its workspace at once, a completed one is finished.
 */
const { database } = options();
const clock = systemClock;
const log = silentLog;
const store = openSqliteStore({ path: database });
const tokens = createTokens(store, clock);
const leases = createLeases(store, clock, log);
const noStop = { set: async () => undefined, release: async () => false, read: () => undefined };
const mcp = createMcp({ store, clock, log, leases, version: "0.0.0", stop: noStop });
// What is measured is the cost of calls, not the limit on them.
const unlimited = { burst: 1e9, perSecond: 1e9 };
const http = createHttp({ mcp, tokens, clock, log, rate: unlimited });
const services = [leases, createCheckpoints(store, database, clock, log)];

store.onEvents((events) => {
  for (const { kind, taskId } of events)
    if (taskId !== null && (kind === "task_claimed" || kind === "task_completed")) void play(kind, taskId);
});

async function play(kind: "task_claimed" | "task_completed", taskId: number): Promise<void> {
  const task = await store.task(taskId);
  if (task === undefined) return;
  if (kind === "task_claimed") {
    const workspace = { path: `/w/T${taskId}`, base: "b".repeat(40) };
    await store.recordWorkspace(taskId, task.fence, workspace, clock.now());
  } else {
    const result = { integratedCommit: "c".repeat(40), checked: "passed" as const, review: null };
    await store.finish(taskId, task.fence, result, clock.now());
  }
}

/** Sessions of ours, each with its token: of the projects from `project` on, or of all. */
async function addSessions(count: number, project: number | null): Promise<string[]> {
  const made: string[] = [];
  for (let at = 0; at < count; at += 1) {
    const id = newSessionId();
    const projectId = project === null ? null : project + at;
    await store.openSession({ id, agent: AGENT, projectId, kind: "supervised", machine: "native" }, clock.now());
    const bound = projectId === null ? {} : { projectId };
    const { token } = await tokens.issue(SUPERVISOR, {
      role: "agent",
      sessionId: id,
      label: id,
      ttlMs: null,
      ...bound,
    });
    made.push(token);
  }
  return made;
}

/** Tokens of people's own sessions, which are attached at their first claim. */
async function addPeople(count: number): Promise<string[]> {
  const made: string[] = [];
  for (let at = 0; at < count; at += 1)
    made.push((await tokens.issue(SUPERVISOR, { role: "human", label: `person ${at}`, ttlMs: null })).token);
  return made;
}

const port = http.listen(0).then(({ port }) => {
  for (const service of services) void service.run();
  return port;
});
answering(port, async (question) => {
  if (question.is === "sessions") return addSessions(question["count"] as number, question["project"] as number | null);
  if (question.is === "people") return addPeople(question["count"] as number);
  throw new Error(`what is ${question.is}?`);
});
