import { SECOND, type Clock } from "../base/clock.ts";

/** How many messages a token may send: `burst` at once, and `perSecond` on and on. */
export interface Rate {
  burst: number;
  perSecond: number;
}

/** Forgotten are those who have not called for long, once there are more than this. */
const MAX_CALLERS = 10_000;

/**
 * A bucket for each caller. The function takes `count` messages out of the caller's bucket and
 * answers 0, or the seconds to wait when there are not enough; nothing is taken then.
 */
export function createRateLimit({ burst, perSecond }: Rate, clock: Clock): (caller: string, count: number) => number {
  const buckets = new Map<string, { left: number; at: number }>();
  return (caller, count) => {
    const now = clock.monotonic();
    const known = buckets.get(caller) ?? { left: burst, at: now };
    const left = Math.min(burst, known.left + ((now - known.at) / SECOND) * perSecond);
    const enough = count <= left;
    // Set anew, so that the map's order is that of the last call.
    buckets.delete(caller);
    buckets.set(caller, { left: enough ? left - count : left, at: now });
    if (buckets.size > MAX_CALLERS) buckets.delete(buckets.keys().next().value ?? "");
    return enough ? 0 : Math.max(1, Math.ceil((count - left) / perSecond));
  };
}
