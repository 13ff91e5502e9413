import type { Clock } from "../../hub/base/clock.ts";

/** A clock that stands still until a test moves it; wall time and monotonic time move apart on `jump`. */
export interface StillClock extends Clock {
  /** Time passes: both clocks move and sleepers whose time has come wake. */
  pass(ms: number): void;
  /** Somebody sets the wall clock: only `now` moves. */
  jump(ms: number): void;
}

export function createStillClock(start: number = Date.UTC(2026, 10, 22, 12)): StillClock {
  let now = start;
  let monotonic = 1_000;
  const sleepers = new Set<{ at: number; wake: () => void }>();
  return {
    now: () => now,
    monotonic: () => monotonic,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const sleeper = {
          at: monotonic + ms,
          wake: () => {
            sleepers.delete(sleeper);
            signal?.removeEventListener("abort", sleeper.wake);
            resolve();
          },
        };
        sleepers.add(sleeper);
        signal?.addEventListener("abort", sleeper.wake, { once: true });
      }),
    pass(ms) {
      now += ms;
      monotonic += ms;
      for (const sleeper of sleepers) if (sleeper.at <= monotonic) sleeper.wake();
    },
    jump(ms) {
      now += ms;
    },
  };
}
