import { z } from "zod";
import { SECOND } from "../hub/base/clock.ts";
import type { ToolContext } from "./tool.ts";

/** No call waits longer: clients give up on a request after a minute. */
export const MAX_WAIT_S = 45;

/** The `wait_s` argument. */
export const waitSeconds = z
  .int()
  .min(0)
  .max(MAX_WAIT_S)
  .default(0)
  .describe("Seconds to wait for an answer before returning without one (0-45)");

/**
 * Tries `attempt` until it answers something, at each change in the hub, for `seconds` at most.
 * Undefined when there was nothing in all that time, or when the caller has gone.
 *
 * `lookEveryMs` looks again without a change too, for what is not announced.
 */
export async function waitFor<Answer>(
  ctx: ToolContext,
  seconds: number,
  attempt: () => Promise<Answer | undefined>,
  lookEveryMs = Infinity,
): Promise<Answer | undefined> {
  if (seconds === 0) return attempt();
  const until = ctx.clock.monotonic() + seconds * SECOND;
  for (;;) {
    const left = until - ctx.clock.monotonic();
    if (left <= 0 || ctx.signal.aborted) return attempt();
    // Listening starts before looking: a change in between would be missed otherwise.
    const listening = new AbortController();
    const change = ctx.waitForChange(Math.min(left, lookEveryMs), AbortSignal.any([ctx.signal, listening.signal]));
    try {
      const answer = await attempt();
      if (answer !== undefined) return answer;
      await change;
    } finally {
      listening.abort();
    }
  }
}
