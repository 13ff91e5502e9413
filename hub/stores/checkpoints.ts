import { stat } from "node:fs/promises";
import { SECOND, type Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Service } from "../base/service.ts";
import type { Store } from "./store.ts";

const LOOK_EVERY_MS = 2 * SECOND;
/** The log is moved into the database once it is this long, in bytes, */
const LOG_BYTES = 4 * 1024 * 1024;
/** and this many events were written since the last time: its file keeps its length when it is used again. */
const EVENTS_BETWEEN = 1_000;

/** Keeps the write-ahead log short, off the request path. */
export function createCheckpoints(
  store: Pick<Store, "checkpoint" | "lastSeq">,
  path: string,
  clock: Clock,
  log: Log,
): Service {
  const stopped = new AbortController();
  let running = Promise.resolve();

  async function loop(): Promise<void> {
    let movedAt = 0;
    while (!stopped.signal.aborted) {
      await clock.sleep(LOOK_EVERY_MS, stopped.signal);
      const size = await stat(`${path}-wal`).then(
        (file) => file.size,
        () => 0,
      );
      const seq = await store.lastSeq();
      if (size < LOG_BYTES || seq - movedAt < EVENTS_BETWEEN) continue;
      movedAt = seq;
      await store
        .checkpoint()
        .catch((error: unknown) => log.warn({ error: messageOf(error) }, "the log could not be moved; trying again"));
    }
  }

  return {
    id: "checkpoints",
    run: () => (running = loop()),
    async stop() {
      stopped.abort();
      await running;
    },
  };
}
