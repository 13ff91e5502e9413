import { SECOND } from "../hub/base/clock.ts";
import type { Session } from "../hub/base/session.ts";
import type { RunObservation } from "./machines/machine.ts";

/** Output is noted as a sign of life in the store no more often than this. */
const NOTE_EVERY_MS = 30 * SECOND;

/** What a session is at: its task, the wait for its task's check, or nothing. */
export type Phase = "working" | "checking" | "idle";

interface Watch {
  taskId: number | null;
  phase: Phase;
  phaseSince: number;
  aliveAt: number;
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
  look(session: Session, phase: Phase, run: RunObservation): Spans & { grew: boolean };
  /** Forgets all sessions but these. */
  keep(sessionIds: ReadonlySet<string>): void;
}

/** `monotonic` gives milliseconds that never go back. */
export function createActivity(monotonic: () => number): Activity {
  const watches = new Map<string, Watch>();

  function watchOf(session: Session, phase: Phase, bytes: number, now: number): Watch {
    const known = watches.get(session.id);
    if (known !== undefined) return known;
    const watch: Watch = {
      taskId: session.taskId,
      phase,
      phaseSince: now,
      aliveAt: now,
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
    look(session, phase, run) {
      const now = monotonic();
      const bytes = run.state === "missing" ? 0 : run.outputBytes;
      const watch = watchOf(session, phase, bytes, now);
      if (watch.phase !== phase || watch.taskId !== session.taskId) watch.phaseSince = now;
      const called = session.lastSeenAt !== watch.lastSeenAt && !watch.justNoted;
      // A session that waits for its check is silent because it was told to stop there.
      if (phase === "checking" || called || bytes > watch.outputBytes) watch.aliveAt = now;
      watch.unnoted ||= bytes > watch.outputBytes;
      const grew = watch.unnoted && now - watch.notedAt >= NOTE_EVERY_MS;
      if (grew) [watch.unnoted, watch.notedAt] = [false, now];
      watch.justNoted = grew;
      [watch.outputBytes, watch.phase] = [bytes, phase];
      [watch.taskId, watch.lastSeenAt] = [session.taskId, session.lastSeenAt];
      const lasted = now - watch.phaseSince;
      return {
        workedMs: phase === "working" ? lasted : 0,
        silentMs: now - watch.aliveAt,
        idleMs: phase === "idle" ? lasted : 0,
        grew,
      };
    },
    keep(sessionIds) {
      for (const id of watches.keys()) if (!sessionIds.has(id)) watches.delete(id);
    },
  };
}
