/** Sends at fixed times, whatever the answers do: a slow answer does not slow the next question. */
export interface OpenLoop {
  senders: number;
  perSecond: number;
  ms: number;
  /** One call of one sender; throws when it failed. */
  call(sender: number): Promise<void>;
}

/**
 * Answers the latency of each call in ms, from the time at which it was due: what a call waited
 * because the one before it was late counts too. A timer that fires early starts its call later.
 */
export async function openLoop({ senders, perSecond, ms, call }: OpenLoop): Promise<number[]> {
  const each = 1_000 / perSecond;
  const begin = performance.now() + 50;
  const latencies: number[] = [];
  await Promise.all(
    Array.from({ length: senders }, async (_, sender) => {
      const first = begin + (each * sender) / senders;
      for (let due = first; due < begin + ms; due += each) {
        while (performance.now() < due)
          await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
        await call(sender);
        latencies.push(performance.now() - due);
      }
    }),
  );
  return latencies;
}
