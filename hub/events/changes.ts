import type { Clock } from "../base/clock.ts";
import type { EventKind, HubEvent } from "../base/event.ts";
import type { Store } from "../stores/store.ts";

/** Waiting for something to happen in the hub. */
export interface Changes {
  /**
   * Resolves at the next change that could answer somebody who waits, after `ms`, or when `signal`
   * aborts. Who can be answered by one project only, `projectId`, sleeps through what concerns others.
   */
  wait(ms: number, signal: AbortSignal, projectId?: number | null): Promise<void>;
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

/**
 * What gives nobody of another project a task or a result. Everything else may: projects that
 * share a lane or depend on each other get work when a task of the other ends.
 */
const LOCAL: ReadonlySet<EventKind> = new Set([
  "task_added",
  "task_changed",
  "task_reserved",
  "task_claimed",
  "task_completed",
  "task_checked",
  "question_asked",
  "message_sent",
]);

/** Wakes whoever waits when the store has committed a change. */
export function createChanges(store: Pick<Store, "onEvents">, clock: Clock): Changes {
  const waiting = new Map<() => void, number | null>();
  const stopListening = store.onEvents((events) => {
    const changes = events.filter((event) => !UNINTERESTING.has(event.kind));
    if (changes.length === 0) return;
    for (const [wake, projectId] of waiting) if (changes.some((change) => concerns(change, projectId))) wake();
  });
  return {
    async wait(ms, signal, projectId = null) {
      if (signal.aborted) return;
      const over = new AbortController();
      const wake = () => over.abort();
      waiting.set(wake, projectId);
      signal.addEventListener("abort", wake, { once: true });
      await clock.sleep(ms, over.signal);
      waiting.delete(wake);
      signal.removeEventListener("abort", wake);
    },
    close() {
      stopListening();
      for (const wake of waiting.keys()) wake();
    },
  };
}

function concerns(change: HubEvent, projectId: number | null): boolean {
  return projectId === null || change.projectId === projectId || change.projectId === null || !LOCAL.has(change.kind);
}
