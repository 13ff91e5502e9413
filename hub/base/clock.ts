/**
 * Time, as everything here is told it.
 *
 * `now` is wall time and may jump; it is what people are shown and what is stored.
 * `monotonic` never jumps and means nothing outside this process; leases and deadlines
 * are measured with it, so that a changed clock neither loses nor doubles a task.
 */
export interface Clock {
  /** Wall time in milliseconds since the epoch, UTC. */
  now(): number;
  /** Milliseconds since an arbitrary start, never going back. */
  monotonic(): number;
  /** Resolves after `ms` milliseconds, at once (without error) when `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", done, { once: true });
    }),
};

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
