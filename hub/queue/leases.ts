import { MINUTE, SECOND, type Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Service } from "../base/service.ts";
import type { Session } from "../base/session.ts";
import type { Store } from "../stores/store.ts";

/** How long an attached session may stay silent before its task is given to another. */
export const LEASE_MS = 30 * MINUTE;
/** Never looks away for longer than this, whatever was computed. */
const MAX_SLEEP_MS = 30 * SECOND;

/** What keeps the tasks of attached sessions: those whose process is not ours to observe. */
export interface Leases extends Service {
  /** A call or hook of the session came in: its lease is at full length again. */
  renew(sessionId: string): void;
  /** Ends the sessions whose lease has run out and gives their tasks back. Answers how many. */
  expire(): Promise<number>;
}

/**
 * Leases of attached sessions. Deadlines are monotonic, live in memory only, and start at full
 * length when a session is first seen, which is also what happens after a restart: wall time is
 * never compared, so that a clock that jumps neither loses nor doubles a task.
 */
export function createLeases(store: Store, clock: Clock, log: Log, leaseMs: number = LEASE_MS): Leases {
  const deadlines = new Map<string, number>();
  const stopped = new AbortController();
  let running = Promise.resolve();

  const renew = (sessionId: string): void => {
    deadlines.set(sessionId, clock.monotonic() + leaseMs);
  };

  async function expire(): Promise<number> {
    const attached = (await store.liveSessions()).filter((session) => session.kind === "attached");
    const live = new Set(attached.map((session) => session.id));
    for (const id of deadlines.keys()) if (!live.has(id)) deadlines.delete(id);
    let ended = 0;
    for (const session of attached) {
      if (!deadlines.has(session.id)) renew(session.id);
      // Read again for each: a call may have renewed it while another was being ended.
      if ((deadlines.get(session.id) ?? Infinity) > clock.monotonic()) continue;
      await end(session);
      ended += 1;
    }
    return ended;
  }

  async function end(session: Session): Promise<void> {
    deadlines.delete(session.id);
    const why = `its session has not called for ${Math.round(leaseMs / MINUTE)} minutes`;
    const task = session.taskId === null ? undefined : await store.task(session.taskId);
    // The task goes first: cut off here, the next look finds the session and ends it. The other
    // way round the task would stay with a session that nobody looks at any more.
    if (task?.sessionId === session.id) await store.giveBack(task.id, task.fence, { why, failure: false }, clock.now());
    // A call that came in meanwhile keeps its session, without the task.
    if (deadlines.has(session.id)) return;
    await store.endSession(session.id, { outcome: "it stopped calling", exitCode: null }, clock.now());
    log.info({ session: session.id, task: task?.id }, "attached session ended: its lease ran out");
  }

  async function loop(): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        await expire();
      } catch (error) {
        log.error({ error: messageOf(error) }, "leases could not be looked at; trying again");
      }
      await clock.sleep(sleepMs(), stopped.signal);
    }
  }

  function sleepMs(): number {
    const first = Math.min(...deadlines.values());
    return Math.max(SECOND, Math.min(MAX_SLEEP_MS, first - clock.monotonic()));
  }

  return {
    id: "leases",
    renew,
    expire,
    run: () => (running = loop()),
    async stop() {
      stopped.abort();
      await running;
    },
  };
}
