import { UserInputError } from "../../base/errors.ts";
import { SUPERVISOR, type Principal, type Role, type Session } from "../../base/session.ts";
import * as schema from "../schema.ts";
import type { TokenGrant } from "../store.ts";
import type { Core } from "./core.ts";
import type { Rows, SessionRow } from "./rows.ts";

/** Sessions and tokens, inside a transaction. */
export interface Sessions {
  issue(by: Principal, hash: string, grant: TokenGrant, now: number): number;
  principalOf(hash: string, now: number): Principal | undefined;
  revoke(by: Principal, id: number, now: number): void;
  open(session: Pick<Session, "id" | "agent" | "projectId" | "kind" | "machine">, now: number): SessionRow;
  runs(id: string, handle: string, now: number): void;
  seen(id: string, now: number): void;
  end(id: string, end: { outcome: string; exitCode: number | null }, now: number): boolean;
  live(): SessionRow[];
  recent(limit: number): SessionRow[];
}

export function createSessions(core: Core, rows: Rows): Sessions {
  const { db } = core;
  const sql = {
    // A session of ours is ended by what is observed and by monotonic limits, and takes its tokens
    // with it. Wall time must not: a clock that jumps would cut a living session off.
    token: db.prepare(
      "SELECT t.id, t.role, t.session_id AS sessionId, t.project_id AS projectId, s.state FROM tokens t LEFT JOIN sessions s ON s.id = t.session_id " +
        "WHERE t.hash = ? AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > ? OR (s.kind = 'supervised' AND s.state <> 'ended'))",
    ),
    revoke: db.prepare("UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"),
    revokeSession: db.prepare("UPDATE tokens SET revoked_at = ? WHERE session_id = ? AND revoked_at IS NULL"),
    runs: db.prepare(
      "UPDATE sessions SET state = 'running', handle = ?, last_seen_at = ? WHERE id = ? AND state <> 'ended'",
    ),
    seen: db.prepare("UPDATE sessions SET last_seen_at = max(last_seen_at, ?) WHERE id = ? AND state <> 'ended'"),
    end: db.prepare(
      "UPDATE sessions SET state = 'ended', outcome = ?, exit_code = ?, ended_at = ? WHERE id = ? AND state <> 'ended'",
    ),
    live: db.prepare("SELECT id FROM sessions WHERE state <> 'ended' ORDER BY started_at").pluck(),
    recent: db.prepare("SELECT id FROM sessions ORDER BY started_at DESC LIMIT ?").pluck(),
  };
  const byIds = (ids: string[]) => ids.flatMap((id) => rows.session(id) ?? []);

  return {
    issue(by, hash, grant, now) {
      const id = core.insert(schema.tokens, { hash, ...grant, createdAt: now });
      core.append(
        by,
        "token_issued",
        { projectId: grant.projectId, sessionId: grant.sessionId },
        { token: id, role: grant.role, label: grant.label },
        now,
      );
      return id;
    },
    principalOf(hash, now) {
      const token = sql.token.get(hash, now) as
        | { id: number; role: Role; sessionId: string | null; projectId: number | null; state: Session["state"] | null }
        | undefined;
      if (token === undefined || token.state === "ended") return undefined;
      const name = token.sessionId === null ? `token:${token.id}` : `session:${token.sessionId}`;
      return { role: token.role, name, sessionId: token.sessionId, projectId: token.projectId };
    },
    revoke(by, id, now) {
      if (sql.revoke.run(now, id).changes > 0) core.append(by, "token_revoked", {}, { token: id }, now);
    },
    open(session, now) {
      const known = rows.session(session.id);
      if (known !== undefined) {
        if (known.state === "ended")
          throw new UserInputError(`Session ${session.id} has ended; open one with a new id.`);
        return known;
      }
      core.insert(schema.sessions, {
        ...session,
        state: session.kind === "attached" ? "running" : "preparing",
        startedAt: now,
        lastSeenAt: now,
      });
      core.append(
        SUPERVISOR,
        "session_started",
        { projectId: session.projectId, sessionId: session.id },
        { agent: session.agent, kind: session.kind, machine: session.machine },
        now,
      );
      return rows.needSession(session.id);
    },
    runs(id, handle, now) {
      sql.runs.run(handle, now, id);
    },
    seen(id, now) {
      sql.seen.run(now, id);
    },
    end(id, { outcome, exitCode }, now) {
      const ended = sql.end.run(outcome, exitCode, now, id).changes > 0;
      if (!ended) return false;
      sql.revokeSession.run(now, id);
      const session = rows.needSession(id);
      core.append(
        SUPERVISOR,
        "session_ended",
        { projectId: session.projectId, taskId: session.taskId, sessionId: id },
        { outcome, exitCode, tasksDone: session.tasksDone },
        now,
      );
      return true;
    },
    live: () => byIds(sql.live.all() as string[]),
    recent: (limit) => byIds(sql.recent.all(limit) as string[]),
  };
}
