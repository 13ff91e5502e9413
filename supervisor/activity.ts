import { SECOND } from "../hub/base/clock.ts";
import type { Session } from "../hub/base/session.ts";
import type { RunObservation } from "./machines/machine.ts";

/** Output is noted as a sign of life in the store no more often than this. */
const NOTE_EVERY_MS = 30 * SECOND;

interface Watch {
  taskId: number | null;
  workingSince: number;
  aliveAt: number;
  idleSince: number;
  lastSeenAt: number;
  outputBytes: number;
  /** Output has come that the store was not told of yet. */
  unnoted: boolean;
  /** The next change of `lastSeenAt` is our own note, and no new sign of life. */
  justNoted: boolean;
  notedAt: number;
}

/** For how long a session has worked, been silent and been without a task, in milliseconds. */
export interface Spans {
  workedMs: number;
  silentMs: number;
  idleMs: number;
}

/**
 * Measures sessions with a clock that never jumps. It lives in memory only: after a restart
 * everything is counted from the start again, so that a restart ends nobody's work.
 */
export interface Activity {
  /** Takes in what is known now. `grew` says that output since the last note should be noted as life. */
  look(session: Session, working: boolean, run: RunObservation): Spans & { grew: boolean };
  /** Forgets all sessions but these. */
  keep(sessionIds: ReadonlySet<string>): void;
}

/** `monotonic` gives milliseconds that never go back. */
export function createActivity(monotonic: () => number): Activity {
  const watches = new Map<string, Watch>();

  function watchOf(session: Session, bytes: number, now: number): Watch {
    const known = watches.get(session.id);
    if (known !== undefined) return known;
    const watch: Watch = {
      taskId: session.taskId,
      workingSince: now,
      aliveAt: now,
      idleSince: now,
      lastSeenAt: session.lastSeenAt,
      outputBytes: bytes,
      unnoted: false,
      justNoted: false,
      notedAt: now,
    };
    watches.set(session.id, watch);
    return watch;
  }

  return {
    look(session, working, run) {
      const now = monotonic();
      const bytes = run.state === "missing" ? 0 : run.outputBytes;
      const watch = watchOf(session, bytes, now);
      if (!working || watch.taskId !== session.taskId) watch.workingSince = now;
      if (session.taskId !== null) watch.idleSince = now;
      // A session that waits for its check is silent because it was told to stop there.
      const waits = session.taskId !== null && !working;
      const called = session.lastSeenAt !== watch.lastSeenAt && !watch.justNoted;
      if (waits || called || bytes > watch.outputBytes) watch.aliveAt = now;
      watch.unnoted ||= bytes > watch.outputBytes;
      const grew = watch.unnoted && now - watch.notedAt >= NOTE_EVERY_MS;
      if (grew) [watch.unnoted, watch.notedAt] = [false, now];
      watch.justNoted = grew;
      watch.outputBytes = bytes;
      watch.taskId = session.taskId;
      watch.lastSeenAt = session.lastSeenAt;
      return {
        workedMs: working ? now - watch.workingSince : 0,
        silentMs: now - watch.aliveAt,
        idleMs: session.taskId === null ? now - watch.idleSince : 0,
        grew,
      };
    },
    keep(sessionIds) {
      for (const id of watches.keys()) if (!sessionIds.has(id)) watches.delete(id);
    },
  };
}
