import { StaleHolderError } from "../../base/errors.ts";
import { SUPERVISOR } from "../../base/session.ts";
import { isHeld } from "../../base/task.ts";
import * as schema from "../schema.ts";
import type { ClaimResult, ReadyHead } from "../store.ts";
import type { Core } from "./core.ts";
import { toProject } from "./projects.ts";
import { ANY_AGENT, type Ready } from "./ready.ts";
import { toTask, type Rows, type SessionRow, type TaskRow } from "./rows.ts";
import { about } from "./tasks.ts";

/** Reserving and claiming, inside a transaction. Its cost does not grow with the queue. */
export interface Claims {
  heads(agents: string[], limit: number): ReadyHead[];
  reserve(taskId: number, session: { id: string; agent: string }, now: number): boolean;
  unreserve(sessionId: string, why: string, now: number): void;
  claim(sessionId: string, now: number): ClaimResult | undefined;
}

export function createClaims(core: Core, rows: Rows, ready: Ready): Claims {
  const { db } = core;
  const sql = {
    heads: db.prepare(
      "SELECT h.agent, h.lane_id AS laneId, l.lane, h.band, h.served FROM lane_heads h JOIN lanes l ON l.id = h.lane_id " +
        "WHERE h.agent = ? AND h.busy = 0 ORDER BY h.band, h.served, h.lane_id LIMIT ?",
    ),
    firstOfLane: db.prepare(
      "SELECT task_id AS taskId, project_id AS projectId FROM ready WHERE agent = ? AND lane_id = ? ORDER BY band, place, task_id LIMIT 1",
    ),
    firstOfProject: db.prepare(
      "SELECT task_id AS taskId, lane_id AS laneId FROM ready WHERE agent = ? AND project_id = ? ORDER BY band, place, task_id LIMIT 1",
    ),
    freeLane: db
      .prepare(
        "SELECT lane_id AS laneId FROM lane_heads WHERE agent = ? AND busy = 0 ORDER BY band, served, lane_id LIMIT 1",
      )
      .pluck(),
    reserved: db.prepare("SELECT id FROM tasks WHERE reserved_for = ?").pluck(),
    take: db.prepare(
      "UPDATE tasks SET state = 'running', fence = fence + 1, session_id = ?, reserved_for = NULL, workspace = NULL, agent = ?, why = '', " +
        "wait_reason = NULL, wait_until = NULL, front = 0, rank_due_at = NULL, started_at = coalesce(started_at, ?), updated_at = ? " +
        "WHERE id = ? AND state = 'queued'",
    ),
    sessionTakes: db.prepare("UPDATE sessions SET task_id = ?, last_seen_at = max(last_seen_at, ?) WHERE id = ?"),
    projectAgent: db.prepare("UPDATE projects SET agent = ?, last_update_at = ? WHERE id = ?"),
  };

  function claim(sessionId: string, now: number): ClaimResult | undefined {
    const session = rows.needSession(sessionId);
    if (session.state === "ended")
      throw new StaleHolderError(`Session ${sessionId} has ended. Stop working now; nothing more is taken from it.`);
    const held = session.taskId === null ? undefined : rows.task(session.taskId);
    if (held !== undefined && isHeld(held.state) && held.sessionId === sessionId) return answer(held, false);
    const reserved = sql.reserved.get(sessionId) as number | undefined;
    const taskId = reserved ?? pick(session);
    return taskId === undefined ? undefined : answer(take(rows.needTask(taskId), session, now), true);
  }

  /** The first ready task that the session may have; lanes that another session writes in are passed over. */
  function pick(session: SessionRow): number | undefined {
    const agent = session.kind === "attached" ? ANY_AGENT : session.agent;
    if (session.projectId !== null) {
      const first = sql.firstOfProject.get(agent, session.projectId) as { taskId: number; laneId: number } | undefined;
      if (first === undefined) return undefined;
      const holder = ready.holder(first.laneId);
      return holder === null || holder === session.id ? first.taskId : undefined;
    }
    const lane = sql.freeLane.get(agent) as number | undefined;
    if (lane === undefined) return undefined;
    return (sql.firstOfLane.get(agent, lane) as { taskId: number } | undefined)?.taskId;
  }

  function take(task: TaskRow, session: SessionRow, now: number): TaskRow {
    const project = rows.needProject(task.projectId);
    sql.take.run(session.id, session.agent, now, now, task.id);
    ready.remove(task.id);
    ready.hold(ready.laneId(project.lane), session.id);
    sql.sessionTakes.run(task.id, now, session.id);
    sql.projectAgent.run(session.agent, now, project.id);
    core.append(
      session.kind === "attached" ? { ...SUPERVISOR, name: `session:${session.id}` } : SUPERVISOR,
      "task_claimed",
      { ...about(task), sessionId: session.id },
      { fence: task.fence + 1, agent: session.agent },
      now,
    );
    return rows.needTask(task.id);
  }

  function answer(task: TaskRow, fresh: boolean): ClaimResult {
    return { task: toTask(task), project: toProject(rows.needProject(task.projectId)), fresh };
  }

  return {
    heads(agents, limit) {
      return agents.flatMap((agent) =>
        (
          sql.heads.all(agent, limit) as { agent: string; laneId: number; lane: string; band: number; served: number }[]
        ).flatMap(({ laneId, ...head }) => {
          const first = sql.firstOfLane.get(agent, laneId) as { taskId: number; projectId: number } | undefined;
          return first === undefined ? [] : [{ ...head, ...first }];
        }),
      );
    },
    reserve(taskId, session, now) {
      const task = rows.task(taskId);
      if (task === undefined || task.state !== "queued") return false;
      if (task.reservedFor === session.id) return true;
      if (task.reservedFor !== null) return false;
      const lane = ready.laneId(rows.needProject(task.projectId).lane);
      const holder = ready.holder(lane);
      if (holder !== null && holder !== session.id) return false;
      core.update(schema.tasks, taskId, {
        reservedFor: session.id,
        why: `preparing a machine for ${session.agent}`,
        updatedAt: now,
      });
      ready.remove(taskId);
      ready.hold(lane, session.id);
      core.append(
        SUPERVISOR,
        "task_reserved",
        { ...about(task), sessionId: session.id },
        { agent: session.agent },
        now,
      );
      return true;
    },
    unreserve(sessionId, why, now) {
      for (const id of sql.reserved.all(sessionId) as number[]) {
        const task = rows.needTask(id);
        core.update(schema.tasks, id, { reservedFor: null, why, updatedAt: now });
        const lane = ready.laneId(rows.needProject(task.projectId).lane);
        if (ready.holder(lane) === sessionId) ready.hold(lane, null);
        ready.refreshTask(id, now);
        core.append(SUPERVISOR, "task_requeued", { ...about(task), sessionId }, { why }, now);
      }
    },
    claim,
  };
}
