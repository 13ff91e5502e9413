import Database from "better-sqlite3";

/** The claim as the shortest loop that leaves the same rows behind. */
export interface RawClaim {
  /** Answers the task's id, or undefined when nothing is free. */
  claim(session: string, agent: string, now: number): number | undefined;
  /** Gives all held tasks back: not measured. */
  giveAllBack(): void;
  /** Moves the log into the file: not measured. */
  checkpoint(): void;
  close(): void;
}

/**
 * What `store.claim` is held against: prepared statements on better-sqlite3, without objects,
 * checks or mapping, that write what a claim writes (task, ready rows, heads of the lane, lane,
 * session, project, event) in one transaction under the same settings.
 */
export function openRawClaim(path: string): RawClaim {
  const db = new Database(path);
  db.pragma("synchronous = FULL");
  db.pragma("foreign_keys = ON");
  db.pragma("wal_autocheckpoint = 0");
  const sql = {
    lane: db
      .prepare("SELECT lane_id FROM lane_heads WHERE agent = ? AND busy = 0 ORDER BY band, served, lane_id LIMIT 1")
      .pluck(),
    first: db
      .prepare("SELECT task_id FROM ready WHERE agent = ? AND lane_id = ? ORDER BY band, place, task_id LIMIT 1")
      .pluck(),
    take: db.prepare(
      "UPDATE tasks SET state = 'running', fence = fence + 1, session_id = ?, reserved_for = NULL, agent = ?, why = '', wait_reason = NULL, " +
        "wait_until = NULL, front = 0, rank_due_at = NULL, started_at = coalesce(started_at, ?), updated_at = ? WHERE id = ? RETURNING *",
    ),
    unready: db.prepare("DELETE FROM ready WHERE task_id = ? RETURNING agent").pluck(),
    band: db
      .prepare("SELECT band FROM ready WHERE agent = ? AND lane_id = ? ORDER BY band, place, task_id LIMIT 1")
      .pluck(),
    dropHead: db.prepare("DELETE FROM lane_heads WHERE agent = ? AND lane_id = ?"),
    setHead: db.prepare("UPDATE lane_heads SET band = ?, busy = 1, served = ? WHERE agent = ? AND lane_id = ?"),
    hold: db.prepare("UPDATE lanes SET holder = ?, served = ? WHERE id = ?"),
    session: db.prepare("UPDATE sessions SET task_id = ?, last_seen_at = ? WHERE id = ?"),
    project: db.prepare("UPDATE projects SET agent = ?, last_update_at = ? WHERE id = ? RETURNING *"),
    event: db.prepare(
      "INSERT INTO events (at, principal, project_id, task_id, session_id, kind, v, data) VALUES (?, 'supervisor', ?, ?, ?, 'task_claimed', 1, ?)",
    ),
  };
  let served = db.prepare("SELECT coalesce(max(served), 0) FROM lanes").pluck().get() as number;

  const claim = db.transaction((session: string, agent: string, now: number): number | undefined => {
    const lane = sql.lane.get(agent) as number | undefined;
    if (lane === undefined) return undefined;
    const id = sql.first.get(agent, lane) as number;
    const task = sql.take.get(session, agent, now, now, id) as { project_id: number; fence: number };
    served += 1;
    for (const name of sql.unready.all(id) as string[]) {
      const band = sql.band.get(name, lane) as number | undefined;
      if (band === undefined) sql.dropHead.run(name, lane);
      else sql.setHead.run(band, served, name, lane);
    }
    sql.hold.run(session, served, lane);
    sql.session.run(id, now, session);
    sql.project.get(agent, now, task.project_id);
    sql.event.run(now, task.project_id, id, session, JSON.stringify({ fence: task.fence, agent }));
    return id;
  });

  const giveAllBack = db.transaction(() => {
    db.exec(
      "INSERT INTO ready SELECT a.name, p.id, t.band, 1, t.id, p.id FROM tasks t JOIN projects p ON p.id = t.project_id " +
        "CROSS JOIN (SELECT '*' AS name UNION ALL SELECT name FROM agents) a WHERE t.state = 'running'",
    );
    db.exec("UPDATE tasks SET state = 'queued', session_id = NULL WHERE state = 'running'");
    db.exec("UPDATE sessions SET task_id = NULL WHERE task_id IS NOT NULL");
    db.exec("UPDATE lanes SET holder = NULL WHERE holder IS NOT NULL");
    db.exec(
      "INSERT INTO lane_heads SELECT r.agent, r.lane_id, 0, min(r.band), l.served FROM ready r JOIN lanes l ON l.id = r.lane_id " +
        "GROUP BY r.agent, r.lane_id ON CONFLICT DO UPDATE SET busy = 0, band = excluded.band, served = excluded.served",
    );
  });

  return {
    claim: (session, agent, now) => claim.immediate(session, agent, now),
    giveAllBack: () => giveAllBack.immediate(),
    checkpoint: () => void db.pragma("wal_checkpoint(PASSIVE)"),
    close: () => void db.close(),
  };
}
