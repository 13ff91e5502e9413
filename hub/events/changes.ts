import type { Clock } from "../base/clock.ts";
import type { EventKind } from "../base/event.ts";
import type { Store } from "../stores/store.ts";

/** Waiting for something to happen in the hub. */
export interface Changes {
  /** Resolves at the next change that could answer somebody who waits, after `ms`, or when `signal` aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  /** Stops listening; whoever waits is answered now. */
  close(): void;
}

/** What happens often and gives nobody a task or a result. */
const UNINTERESTING: ReadonlySet<EventKind> = new Set([
  "task_progress",
  "message_delivered",
  "continuation_written",
  "token_issued",
  "token_revoked",
  "sheet_synced",
  "session_started",
]);

/** Wakes whoever waits when the store has committed a change. */
export function createChanges(store: Pick<Store, "onEvents">, clock: Clock): Changes {
  const waiting = new Set<() => void>();
  const wakeAll = () => {
    for (const wake of waiting) wake();
  };
  const stopListening = store.onEvents((events) => {
    if (events.some((event) => !UNINTERESTING.has(event.kind))) wakeAll();
  });
  return {
    async wait(ms, signal) {
      if (signal.aborted) return;
      const over = new AbortController();
      const wake = () => over.abort();
      waiting.add(wake);
      signal.addEventListener("abort", wake, { once: true });
      await clock.sleep(ms, over.signal);
      waiting.delete(wake);
      signal.removeEventListener("abort", wake);
    },
    close() {
      stopListening();
      wakeAll();
    },
  };
}
