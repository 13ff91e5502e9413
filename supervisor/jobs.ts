import { messageOf } from "../hub/base/errors.ts";
import type { Log } from "../hub/base/log.ts";
import { Halted } from "./parts.ts";

/** Work in the background, at most one piece for each key, so that one slow project never holds up the others. */
export interface Jobs {
  has(key: string): boolean;
  /** Starts `work` unless there is work under `key` already. What it throws is logged. */
  start(key: string, work: () => Promise<void>): void;
  /** Resolves when all that runs now has ended, after `ms` milliseconds at the latest; false when some has not. */
  settled(ms: number): Promise<boolean>;
  readonly size: number;
}

/** `ended` is called after each piece of work. */
export function createJobs(log: Log, ended: () => void): Jobs {
  const running = new Map<string, Promise<void>>();

  async function run(key: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Halted)) log.error({ job: key, error: messageOf(error) }, "this will be tried again");
    } finally {
      running.delete(key);
      ended();
    }
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
