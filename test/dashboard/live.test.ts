import assert from "node:assert/strict";
import { test } from "node:test";
import { SUPERVISOR } from "../../hub/base/session.ts";
import { systemClock } from "../../hub/base/clock.ts";
import { createLive } from "../../dashboard/live.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";
import { HOST, NOW, withPage } from "./filled.ts";

const QUICK = { coalesceMs: 20, keepAliveMs: 60_000 };

async function withStore(
  run: (store: ReturnType<typeof openSqliteStore>, happen: () => Promise<void>) => Promise<void>,
) {
  const store = openSqliteStore({ path: ":memory:" });
  try {
    await run(store, () => store.note(SUPERVISOR, { kind: "sheet_synced", data: {} }, NOW));
  } finally {
    store.close();
  }
}

/** Reads a stream until `enough` of what it said; the last look is at its end. */
function reader(stream: ReadableStream<Uint8Array> | undefined) {
  assert.ok(stream);
  const from = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  return {
    async until(pattern: RegExp): Promise<string> {
      while (!pattern.test(text)) {
        const { done, value } = await from.read();
        if (done) throw new Error(`ended without ${pattern}: ${text}`);
        text += decoder.decode(value, { stream: true });
      }
      return text;
    },
    async end(): Promise<string> {
      for (;;) {
        const { done, value } = await from.read();
        if (done) return text;
        text += decoder.decode(value, { stream: true });
      }
    },
    cancel: () => from.cancel(),
  };
}

const holds = async () => true;

test("a change is told with the newest event's number, and many changes as few", () =>
  withStore(async (store, happen) => {
    const open = createLive({ store, clock: systemClock, ...QUICK, coalesceMs: 100 });
    const live = reader(await open(undefined, holds));
    await live.until(/retry: 3000\n\n/);
    for (let n = 0; n < 500; n++) await happen();
    const text = await live.until(/id: 500\nevent: change\ndata: 500\n\n/);
    assert.ok((text.match(/event: change/g)?.length ?? 0) <= 5, text);
    await live.cancel();
  }));

test("a reader that comes back is told at once what it missed, and one that missed nothing is not", () =>
  withStore(async (store, happen) => {
    await happen();
    await happen();
    const open = createLive({ store, clock: systemClock, coalesceMs: 20, keepAliveMs: 30 });
    const late = reader(await open(1, holds));
    await late.until(/id: 2\n/);
    await late.cancel();
    const stranger = reader(await open(77, holds));
    await stranger.until(/id: 2\n/);
    await stranger.cancel();
    const current = reader(await open(2, holds));
    assert.doesNotMatch(await current.until(/: still here/), /event: change/);
    await current.cancel();
  }));

test("a stream ends when its login does, before anything else is told", () =>
  withStore(async (store, happen) => {
    let loggedIn = true;
    const open = createLive({ store, clock: systemClock, ...QUICK });
    const live = reader(await open(undefined, async () => loggedIn));
    await happen();
    await live.until(/id: 1\n/);
    loggedIn = false;
    await happen();
    assert.doesNotMatch(await live.end(), /id: 2\n/);
  }));

test("law 14: everything is bounded: streams, their age, and what waits for a slow reader", () =>
  withStore(async (store, happen) => {
    const stop = new AbortController();
    const open = createLive({
      store,
      clock: systemClock,
      signal: stop.signal,
      maxStreams: 2,
      coalesceMs: 1,
      keepAliveMs: 1,
    });
    const slow = await open(undefined, holds);
    const other = reader(await open(undefined, holds));
    assert.equal(await open(undefined, holds), undefined, "a third is refused");
    await other.cancel();
    const third = reader(await open(undefined, holds));
    await happen();
    // Nobody reads the first: it is let go, so that another can be opened.
    for (let tries = 0; ; tries++) {
      const again = await open(undefined, holds);
      if (again !== undefined) {
        await again.cancel();
        break;
      }
      assert.ok(tries < 500, "the slow reader keeps its place");
      await systemClock.sleep(5);
    }
    const kept = await reader(slow).end();
    assert.ok(kept.length < 1_000);
    stop.abort();
    await third.end();
    assert.equal(await open(undefined, holds), undefined, "none opens when the hub stops");

    const short = createLive({ store, clock: systemClock, maxAgeMs: 30, keepAliveMs: 10 });
    await reader(await short(undefined, holds)).end();
  }));

test("the stream is served with what proxies need, from Last-Event-ID on", () =>
  withPage(async (page) => {
    const answer = await page.get("/live", { "Last-Event-ID": "0" });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-type"), "text/event-stream; charset=utf-8");
    assert.equal(answer.headers.get("x-accel-buffering"), "no");
    const live = reader(answer.body ?? undefined);
    await live.until(/event: change/);
    await live.cancel();
    assert.equal((await page.app.request(`http://${HOST}/live`)).status, 401);
  }));

test("too many open pages are told so", () =>
  withPage(
    async (page) => {
      const answer = await page.get("/live");
      assert.equal(answer.status, 503);
      assert.equal(answer.headers.get("retry-after"), "30");
    },
    { openStream: async () => undefined },
  ));
