import { MINUTE, SECOND } from "../hub/base/clock.ts";
import { backoffMs } from "../hub/base/service.ts";

/** A session that failed sooner than this has crashed. */
const CRASH_MS = 10 * SECOND;
/** Crashes in a row that are put down to the task. From then on it is the agent that rests. */
const TOLERATED = 3;
const LONGEST_REST_MS = 15 * MINUTE;

/**
 * Crash loops of agents: a program that cannot even start would otherwise use up the failures
 * of one task after the other. The failures of a task itself are the store's.
 */
export interface Crashes {
  started(sessionId: string): void;
  /** A session has ended; `failed` when its task counts it as a failure. */
  ended(sessionId: string, agent: string, failed: boolean): void;
  /** Milliseconds for which the agent is not started; 0 for none. */
  restMs(agent: string): number;
}

/** `monotonic` gives milliseconds that never go back. In memory only: a restart tries again at once. */
export function createCrashes(monotonic: () => number): Crashes {
  const started = new Map<string, number>();
  const rows = new Map<string, { n: number; until: number }>();
  return {
    started: (sessionId) => void started.set(sessionId, monotonic()),
    ended(sessionId, agent, failed) {
      const since = started.get(sessionId);
      started.delete(sessionId);
      if (!failed || since === undefined || monotonic() - since >= CRASH_MS) {
        rows.delete(agent);
        return;
      }
      const n = (rows.get(agent)?.n ?? 0) + 1;
      rows.set(agent, { n, until: monotonic() + backoffMs(n - TOLERATED, MINUTE, LONGEST_REST_MS) });
    },
    restMs: (agent) => Math.max(0, (rows.get(agent)?.until ?? 0) - monotonic()),
  };
}
