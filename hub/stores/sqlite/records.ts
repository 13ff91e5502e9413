import type { Continuation, StoredContinuation } from "../../base/continuation.ts";
import type { HubEvent } from "../../base/event.ts";
import type { Principal } from "../../base/session.ts";
import { and, asc, desc, eq, gt, lt, sql } from "../drizzle.ts";
import * as schema from "../schema.ts";
import type { Artefact, CheckRecord } from "../store.ts";
import type { Core } from "./core.ts";

/** Continuations, artefacts and the event log, inside a transaction where they write. */
export interface Records {
  writeContinuation(
    by: Principal,
    input: {
      projectId: number;
      taskId: number | null;
      author: "agent" | "hub";
      agent: string;
      continuation: Continuation;
    },
    now: number,
  ): StoredContinuation;
  latestContinuation(projectId: number): StoredContinuation | undefined;
  artefacts(taskId: number): Artefact[];
  checks(taskId: number): CheckRecord[];
  eventsAfter(seq: number, limit: number): HubEvent[];
  recentEvents(filter: { projectId?: number; taskId?: number; limit: number; beforeSeq?: number }): HubEvent[];
  lastSeq(): number;
}

export function createRecords(core: Core): Records {
  const { db, orm } = core;
  const { continuations, artefacts, checks, events } = schema;
  const place = sql.placeholder;
  const statements = {
    latest: orm
      .select()
      .from(continuations)
      .where(eq(continuations.projectId, place("projectId")))
      .orderBy(desc(continuations.version))
      .limit(1)
      .prepare(),
    artefacts: orm
      .select()
      .from(artefacts)
      .where(eq(artefacts.taskId, place("taskId")))
      .orderBy(asc(artefacts.id))
      .prepare(),
    checks: orm
      .select()
      .from(checks)
      .where(eq(checks.taskId, place("taskId")))
      .orderBy(asc(checks.at))
      .prepare(),
    after: orm
      .select()
      .from(events)
      .where(gt(events.seq, place("seq")))
      .orderBy(asc(events.seq))
      .limit(place("limit"))
      .prepare(),
    recent: orm
      .select()
      .from(events)
      .where(lt(events.seq, place("before")))
      .orderBy(desc(events.seq))
      .limit(place("limit"))
      .prepare(),
    ofProject: orm
      .select()
      .from(events)
      .where(and(eq(events.projectId, place("id")), lt(events.seq, place("before"))))
      .orderBy(desc(events.seq))
      .limit(place("limit"))
      .prepare(),
    ofTask: orm
      .select()
      .from(events)
      .where(and(eq(events.taskId, place("id")), lt(events.seq, place("before"))))
      .orderBy(desc(events.seq))
      .limit(place("limit"))
      .prepare(),
    lastSeq: db.prepare("SELECT coalesce(max(seq), 0) FROM events").pluck(),
  };

  function latestContinuation(projectId: number): StoredContinuation | undefined {
    const row = statements.latest.get({ projectId });
    if (row === undefined) return undefined;
    const { body, ...rest } = row;
    return { ...(JSON.parse(body) as Continuation), ...rest };
  }

  return {
    latestContinuation,
    writeContinuation(by, input, now) {
      const before = latestContinuation(input.projectId);
      const body = JSON.stringify(input.continuation);
      // The same hand-over written twice (a repeated call) is one version.
      if (
        before !== undefined &&
        before.taskId === input.taskId &&
        before.author === input.author &&
        sameBody(before, input.continuation)
      )
        return before;
      const { projectId, taskId, author, agent } = input;
      const version = (before?.version ?? 0) + 1;
      core.insert(continuations, { projectId, taskId, version, author, agent, body, at: now });
      core.append(by, "continuation_written", { projectId, taskId }, { version, author }, now);
      const written = latestContinuation(projectId);
      if (written === undefined) throw new Error("a continuation vanished in its own transaction");
      return written;
    },
    artefacts: (taskId) => statements.artefacts.all({ taskId }),
    checks: (taskId) => statements.checks.all({ taskId }),
    eventsAfter: (seq, limit) => statements.after.all({ seq, limit }),
    recentEvents({ projectId, taskId, limit, beforeSeq }) {
      const before = beforeSeq ?? Number.MAX_SAFE_INTEGER;
      if (taskId !== undefined) return statements.ofTask.all({ id: taskId, before, limit });
      if (projectId !== undefined) return statements.ofProject.all({ id: projectId, before, limit });
      return statements.recent.all({ before, limit });
    },
    lastSeq: () => statements.lastSeq.get() as number,
  };
}

function sameBody(stored: StoredContinuation, continuation: Continuation): boolean {
  const { currentTask, progress, context, keyDecisions, blockers, nextAction, references } = stored;
  const body = { currentTask, progress, context, keyDecisions, blockers, nextAction, references };
  const given = continuation;
  return Object.entries(body).every(
    ([key, value]) => JSON.stringify(value) === JSON.stringify(given[key as keyof Continuation]),
  );
}
