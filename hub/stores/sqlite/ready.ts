import { UserInputError } from "../../base/errors.ts";
import { ESTIMATED_HOURS, isOpen, TASK_STATES, type Complexity, type TaskState } from "../../base/task.ts";
import { deadlineBoost, rank } from "../../queue/ranking.ts";
import { allowedAgents, type Agent } from "../../routing/allowed-agents.ts";
import * as schema from "../schema.ts";
import type { Core } from "./core.ts";
import type { ProjectRow, Rows, TaskRow } from "./rows.ts";

/** Whoever was not started by us may have any task: its ready rows stand under this name. */
export const ANY_AGENT = "*";

/**
 * The ready rows: which tasks could be claimed now, by whom, in which order, so that a claim
 * reads one row whatever the queue holds.
 *
 * Kept in step by whoever changes a task or a project: `refreshTask` after a task changed,
 * `refreshProject` after its project did.
 */
export interface Ready {
  /** The agents that ready rows are made for; false when they are the same as before. */
  setAgents(agents: Agent[]): boolean;
  /** Ranks the task and makes its ready rows anew, or removes them when it cannot be claimed. */
  refreshTask(taskId: number, now: number): void;
  /** The same for all open tasks of a project, and its gate and deadline. */
  refreshProject(projectId: number, now: number): void;
  /** Recomputes a project's boost after its open work changed; touches tasks only when the boost did. */
  workChanged(projectId: number, now: number): void;
  laneId(lane: string): number;
  holder(laneId: number): string | null;
  /** The session that writes in a lane now; null frees it. */
  hold(laneId: number, sessionId: string | null): void;
  remove(taskId: number): void;
  counts(projectId: number): Map<TaskState, number>;
}

export function createReady(core: Core, rows: Rows): Ready {
  const { db } = core;
  const sql = {
    laneByName: db.prepare("SELECT id FROM lanes WHERE lane = ?").pluck(),
    addLane: db.prepare("INSERT INTO lanes (lane) VALUES (?)"),
    holder: db.prepare("SELECT holder FROM lanes WHERE id = ?").pluck(),
    hold: db.prepare("UPDATE lanes SET holder = ?, served = max(served, ?) WHERE id = ?"),
    holdHeads: db.prepare("UPDATE lane_heads SET busy = ?, served = max(served, ?) WHERE lane_id = ?"),
    addReady: db.prepare(
      "INSERT OR REPLACE INTO ready (agent, lane_id, band, place, task_id, project_id) VALUES (?, ?, ?, ?, ?, ?)",
    ),
    removeReady: db.prepare("DELETE FROM ready WHERE task_id = ? RETURNING agent, lane_id AS laneId"),
    first: db
      .prepare("SELECT band FROM ready WHERE agent = ? AND lane_id = ? ORDER BY band, place, task_id LIMIT 1")
      .pluck(),
    setHead: db.prepare(
      "INSERT INTO lane_heads (agent, lane_id, busy, band, served) SELECT ?, id, holder IS NOT NULL, ?, served FROM lanes WHERE id = ? " +
        "ON CONFLICT DO UPDATE SET band = excluded.band, busy = excluded.busy, served = excluded.served",
    ),
    dropHead: db.prepare("DELETE FROM lane_heads WHERE agent = ? AND lane_id = ?"),
    openTasks: db
      .prepare("SELECT id FROM tasks WHERE project_id = ? AND state IN ('queued', 'waiting', 'blocked')")
      .pluck(),
    dependents: db.prepare("SELECT project_id FROM project_dependencies WHERE on_project_id = ?").pluck(),
    dependsOn: db.prepare("SELECT on_project_id FROM project_dependencies WHERE project_id = ?").pluck(),
    counts: db.prepare("SELECT state, complexity, n FROM task_counts WHERE project_id = ? AND n > 0"),
    agents: db.prepare("SELECT name, model FROM agents ORDER BY name"),
    clearAgents: db.prepare("DELETE FROM agents"),
    addAgent: db.prepare("INSERT INTO agents (name, model) VALUES (?, ?)"),
  };
  let agents = sql.agents.all() as Agent[];
  let served = db.prepare("SELECT coalesce(max(served), 0) FROM lanes").pluck().get() as number;

  function laneId(lane: string): number {
    const known = sql.laneByName.get(lane) as number | undefined;
    return known ?? Number(sql.addLane.run(lane).lastInsertRowid);
  }

  function refreshHead(agent: string, lane: number): void {
    const band = sql.first.get(agent, lane) as number | undefined;
    if (band === undefined) sql.dropHead.run(agent, lane);
    else sql.setHead.run(agent, band, lane);
  }

  function remove(taskId: number): void {
    for (const row of sql.removeReady.all(taskId) as { agent: string; laneId: number }[])
      refreshHead(row.agent, row.laneId);
  }

  function rankOf(task: TaskRow, project: ProjectRow, now: number) {
    return rank(
      task.priority ?? project.priority,
      { bands: project.boost, why: project.boostWhy },
      task.createdAt,
      now,
    );
  }

  function refreshTask(taskId: number, now: number): void {
    const task = rows.needTask(taskId);
    const project = rows.needProject(task.projectId);
    const place = rankOf(task, project, now);
    const open = task.state === "queued" || task.state === "waiting" || task.state === "blocked";
    const dueAt = open ? place.dueAt : null;
    if (open && (place.band !== task.band || place.why !== task.bandWhy || dueAt !== task.rankDueAt)) {
      core.update(schema.tasks, taskId, { band: place.band, bandWhy: place.why, rankDueAt: dueAt });
    } else if (!open && task.rankDueAt !== null) core.update(schema.tasks, taskId, { rankDueAt: null });
    remove(taskId);
    if (task.state !== "queued" || task.reservedFor !== null || !project.openGate) return;
    addReady(task, project, place.band);
  }

  function addReady(task: TaskRow, project: ProjectRow, band: number): void {
    const lane = laneId(project.lane);
    const allowed = allowedAgents(agents, task.wantedAgent, project.model);
    for (const agent of [ANY_AGENT, ...allowed.map(({ name }) => name)]) {
      sql.addReady.run(agent, lane, band, task.front ? 0 : 1, task.id, project.id);
      refreshHead(agent, lane);
    }
  }

  function counts(projectId: number): Map<TaskState, number> {
    const result = new Map<TaskState, number>();
    for (const row of sql.counts.all(projectId) as { state: TaskState; n: number }[]) {
      result.set(row.state, (result.get(row.state) ?? 0) + row.n);
    }
    return result;
  }

  function openHours(projectId: number): number {
    let hours = 0;
    for (const row of sql.counts.all(projectId) as { state: TaskState; complexity: Complexity; n: number }[]) {
      if (isOpen(row.state)) hours += row.n * ESTIMATED_HOURS[row.complexity];
    }
    return hours;
  }

  /** A project that others depend on is met when it has nothing open and something finished. */
  function projectMet(projectId: number): boolean {
    const n = counts(projectId);
    const finished = (n.get("done") ?? 0) + (n.get("landed") ?? 0);
    return finished > 0 && TASK_STATES.every((state) => !isOpen(state) || (n.get(state) ?? 0) === 0);
  }

  function gateOf(project: ProjectRow): boolean {
    if (project.hold !== null || project.blockedWhy !== null) return false;
    return (sql.dependsOn.all(project.id) as number[]).every(projectMet);
  }

  function setBoost(project: ProjectRow, now: number): boolean {
    const boost = deadlineBoost(project.deadline, openHours(project.id), now);
    if (boost.bands === project.boost && boost.dueAt === project.boostDueAt) return false;
    core.update(schema.projects, project.id, { boost: boost.bands, boostWhy: boost.why, boostDueAt: boost.dueAt });
    return boost.bands !== project.boost;
  }

  function refreshProject(projectId: number, now: number): void {
    const project = rows.needProject(projectId);
    // Lanes get their ids in the order of the projects: the last tie between equal lanes.
    laneId(project.lane);
    setBoost(project, now);
    const gate = gateOf(project);
    if (gate !== project.openGate) core.update(schema.projects, projectId, { openGate: gate });
    for (const id of sql.openTasks.all(projectId) as number[]) refreshTask(id, now);
  }

  function workChanged(projectId: number, now: number): void {
    const project = rows.needProject(projectId);
    if (project.deadline !== null && setBoost(project, now)) {
      for (const id of sql.openTasks.all(projectId) as number[]) refreshTask(id, now);
    }
    for (const dependent of sql.dependents.all(projectId) as number[]) {
      const row = rows.needProject(dependent);
      if (gateOf(row) !== row.openGate) refreshProject(dependent, now);
    }
  }

  return {
    setAgents(next) {
      if (next.some(({ name }) => name === ANY_AGENT))
        throw new UserInputError(`An agent cannot be named "${ANY_AGENT}".`);
      const known = (list: Agent[]) => JSON.stringify(list.map(({ name, model }) => `${name} ${model}`).toSorted());
      const same = known(next) === known(agents);
      agents = next;
      if (same) return false;
      sql.clearAgents.run();
      for (const agent of next) sql.addAgent.run(agent.name, agent.model);
      return true;
    },
    refreshTask,
    refreshProject,
    workChanged,
    laneId,
    holder: (id) => (sql.holder.get(id) as string | null | undefined) ?? null,
    hold(id, sessionId) {
      // A count, not a time: lanes take turns in the order in which they were served.
      if (sessionId !== null) served += 1;
      const at = sessionId === null ? 0 : served;
      sql.hold.run(sessionId, at, id);
      sql.holdHeads.run(sessionId === null ? 0 : 1, at, id);
    },
    remove,
    counts,
  };
}
