import { SECOND, type Clock } from "../hub/base/clock.ts";
import { messageOf } from "../hub/base/errors.ts";
import type { Log } from "../hub/base/log.ts";
import { backoffMs } from "../hub/base/service.ts";
import { Halted } from "./parts.ts";

/** Work in the background, at most one piece for each key, so that one slow project never holds up the others. */
export interface Jobs {
  has(key: string): boolean;
  /**
   * Starts `work` unless there is work under `key` already. What it throws is logged, and the
   * key stays taken for a while, longer with each failure in a row.
   */
  start(key: string, work: () => Promise<void>): void;
  /** Resolves when all that runs now has ended, after `ms` milliseconds at the latest; false when some has not. */
  settled(ms: number): Promise<boolean>;
  readonly size: number;
}

const FIRST_PAUSE_MS = SECOND;
const LONGEST_PAUSE_MS = 30 * SECOND;

/** `ended` is called after each piece of work. Pauses after failures end when `signal` aborts. */
export function createJobs(log: Log, clock: Clock, signal: AbortSignal, ended: () => void): Jobs {
  const running = new Map<string, Promise<void>>();
  const failures = new Map<string, number>();

  async function run(key: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      failures.delete(key);
    } catch (error) {
      if (!(error instanceof Halted)) await pause(key, error);
    } finally {
      running.delete(key);
      ended();
    }
  }

  async function pause(key: string, error: unknown): Promise<void> {
    const n = (failures.get(key) ?? 0) + 1;
    failures.set(key, n);
    log.error({ job: key, tries: n, error: messageOf(error) }, "this will be tried again");
    await clock.sleep(backoffMs(n, FIRST_PAUSE_MS, LONGEST_PAUSE_MS), signal);
  }

  return {
    has: (key) => running.has(key),
    start(key, work) {
      if (running.has(key)) return;
      // Entered before it runs: work that ends without waiting must not be entered after its end.
      const begun = Promise.resolve().then(() => run(key, work));
      running.set(key, begun);
    },
    async settled(ms) {
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, ms);
      await Promise.race([Promise.all(running.values()), late.promise]);
      clearTimeout(timer);
      return running.size === 0;
    },
    get size() {
      return running.size;
    },
  };
}
