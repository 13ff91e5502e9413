import { HOUR, SECOND } from "../hub/base/clock.ts";
import type { Store } from "../hub/stores/store.ts";
import type { Clockwork } from "./page.ts";

/** Streams that may be open at once: a browser opens one a tab. */
const MAX_STREAMS = 64;
/** At most one message in this time, however much happens. */
const COALESCE_MS = SECOND;
/** A comment is sent when nothing happened for so long, and the login is looked at again. */
const KEEP_ALIVE_MS = 15 * SECOND;
/** A stream ends after this; the browser opens the next one where it stopped. */
const MAX_AGE_MS = HOUR;
/** Messages that wait for a slow reader before it is let go. */
const MAX_WAITING = 16;

export interface LiveOptions {
  store: Pick<Store, "onEvents" | "lastSeq">;
  clock: Clockwork;
  /** Ends all streams when it aborts: the hub stops. */
  signal?: AbortSignal | undefined;
  maxStreams?: number;
  coalesceMs?: number;
  keepAliveMs?: number;
  maxAgeMs?: number;
}

/**
 * Server-sent events that say only "there is something newer": `id` is the newest event's
 * number, and the browser fetches the part of its page that changes. `after` is what the
 * reader has seen; undefined stands for now. `holds` tells whether its login still does.
 * Answers undefined when too many streams are open.
 */
export type OpenStream = (
  after: number | undefined,
  holds: () => Promise<boolean>,
) => Promise<ReadableStream<Uint8Array> | undefined>;

export function createLive(options: LiveOptions): OpenStream {
  const { store, clock, signal } = options;
  const maxStreams = options.maxStreams ?? MAX_STREAMS;
  const coalesceMs = options.coalesceMs ?? COALESCE_MS;
  const keepAliveMs = options.keepAliveMs ?? KEEP_ALIVE_MS;
  const maxAgeMs = options.maxAgeMs ?? MAX_AGE_MS;
  const encoder = new TextEncoder();
  let open = 0;

  return async (after, holds) => {
    if (open >= maxStreams || signal?.aborted) return undefined;
    open++;
    const gone = new AbortController();
    const end = () => gone.abort();
    let counted = true;
    signal?.addEventListener("abort", end, { once: true });
    let newest = 0;
    let wake = () => {};
    const unlisten = store.onEvents((events) => {
      newest = Math.max(newest, events.at(-1)?.seq ?? 0);
      wake();
    });
    const close = () => {
      if (!counted) return;
      counted = false;
      open--;
      unlisten();
      signal?.removeEventListener("abort", end);
    };
    // Listening began before this read, so that nothing falls between the two.
    try {
      newest = Math.max(newest, await store.lastSeq());
    } catch (error) {
      close();
      throw error;
    }

    async function pump(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
      const startedAt = clock.monotonic();
      // A number from the future was given by another database: everything is new to that reader.
      let sent = after === undefined || after > newest ? newest : after;
      if (after !== undefined && after > newest) sent = newest - 1;
      controller.enqueue(encoder.encode("retry: 3000\n\n"));
      while (!gone.signal.aborted && clock.monotonic() - startedAt < maxAgeMs) {
        if (!(await holds())) break;
        if (gone.signal.aborted || (controller.desiredSize ?? 0) <= 0) break;
        if (newest > sent) {
          sent = newest;
          controller.enqueue(encoder.encode(`id: ${sent}\nevent: change\ndata: ${sent}\n\n`));
          await clock.sleep(coalesceMs, gone.signal);
        } else {
          await nextEventOr(keepAliveMs, () => newest > sent);
          if (newest <= sent) controller.enqueue(encoder.encode(": still here\n\n"));
        }
      }
    }

    async function nextEventOr(ms: number, happened: () => boolean): Promise<void> {
      const woken = new AbortController();
      const wakeUp = () => woken.abort();
      gone.signal.addEventListener("abort", wakeUp, { once: true });
      wake = wakeUp;
      if (!happened()) await clock.sleep(ms, woken.signal);
      wake = () => {};
      gone.signal.removeEventListener("abort", wakeUp);
    }

    return new ReadableStream<Uint8Array>(
      {
        start(controller) {
          pump(controller)
            .catch(() => undefined)
            .finally(() => {
              close();
              // A reader that has gone has closed it already.
              if (!gone.signal.aborted || signal?.aborted) controller.close();
            })
            .catch(() => undefined);
        },
        cancel() {
          close();
          end();
        },
      },
      { highWaterMark: MAX_WAITING },
    );
  };
}
