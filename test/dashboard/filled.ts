import { createLogins, type Logins } from "../../hub/access/logins.ts";
import { createTokens } from "../../hub/access/tokens.ts";
import { DAY, HOUR, MINUTE, SECOND, systemClock, type Clock } from "../../hub/base/clock.ts";
import { SHEET, SUPERVISOR, type Principal } from "../../hub/base/session.ts";
import type { Stop } from "../../hub/base/stop-file.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";
import type { Store } from "../../hub/stores/store.ts";
import type { LiveHub } from "../../dashboard/page.ts";
import { createDashboard, type DashboardOptions } from "../../dashboard/dashboard.ts";
import { LOGIN_COOKIE } from "../../dashboard/guard.ts";

export const NOW = Date.UTC(2026, 10, 22, 14, 32, 10);
export const HOST = "127.0.0.1:5000";

/** A clock that stands still until it is told to go on; its sleeps are real. */
export function standingClock(now = NOW): Clock & { advance(ms: number): void } {
  let passed = 0;
  return {
    now: () => now + passed,
    monotonic: () => performance.now() + passed,
    sleep: systemClock.sleep,
    advance(ms) {
      passed += ms;
    },
  };
}

export interface TestPage {
  store: Store;
  logins: Logins;
  hub: LiveHub & { transcripts: Map<string, string>; stop: LiveHub["stop"] };
  clock: ReturnType<typeof standingClock>;
  app: ReturnType<typeof createDashboard>;
  /** A cookie header of somebody who is logged in. */
  cookie: string;
  /** A request of that somebody, as a browser on the page sends it. */
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  post(path: string, form: Record<string, string>, headers?: Record<string, string>): Promise<Response>;
}

/** The page on a store in memory, with somebody logged in; closes all at the end. */
export async function withPage(
  run: (page: TestPage) => Promise<void>,
  options: Partial<Pick<DashboardOptions, "zone" | "openStream">> = {},
): Promise<void> {
  const store = openSqliteStore({ path: ":memory:" });
  const clock = standingClock();
  const logins = createLogins(createTokens(store, clock), clock);
  const hub = testHub();
  await store.setAgents(
    [
      { name: "claude", model: "" },
      { name: "qwen", model: "" },
    ],
    NOW - 3 * DAY,
  );
  const app = createDashboard({ store, logins, live: hub, clock, zone: "Europe/Zurich", ...options });
  const value = await logins.exchange(logins.newCode());
  const cookie = `${LOGIN_COOKIE}=${value}`;
  const url = (path: string) => `http://${HOST}${path}`;
  const own = { Host: HOST, Cookie: cookie, Accept: "text/html" };
  try {
    await run({
      store,
      logins,
      hub,
      clock,
      app,
      cookie,
      get: async (path, headers = {}) => app.request(url(path), { headers: { ...own, ...headers } }),
      post: async (path, form, headers = {}) =>
        app.request(url(path), {
          method: "POST",
          headers: { ...own, Origin: `http://${HOST}`, "Sec-Fetch-Site": "same-origin", ...headers },
          body: new URLSearchParams(form),
        }),
    });
  } finally {
    store.close();
  }
}

/** The parts of a running hub that are not in the store, kept in memory. */
export function testHub(): TestPage["hub"] {
  const transcripts = new Map<string, string>();
  let stop: Stop | undefined;
  return {
    transcripts,
    sheet: () => ({ ok: true, words: "In step with the local sheet since 15:31." }),
    stopped: () => stop,
    async stop(why) {
      stop ??= { at: new Date(NOW).toISOString(), by: "page", why };
    },
    async release() {
      const was = stop !== undefined;
      stop = undefined;
      return was;
    },
    async transcript(id, offset, max) {
      const bytes = Buffer.from(transcripts.get(id) ?? "");
      const part = bytes.subarray(offset, offset + max);
      return { text: part.toString(), next: offset + part.length, total: bytes.length };
    },
  };
}

export const session = (id: string): Principal => ({
  role: "agent",
  name: `session:${id}`,
  sessionId: id,
  projectId: null,
});

/** Claims the project's first ready task for a new session that runs. */
export async function startOn(store: Store, id: string, agent: string, projectId: number, at: number) {
  await store.openSession({ id, agent, projectId, kind: "supervised", machine: "native" }, at);
  await store.sessionRuns(id, `1:${id}:1`, at + SECOND);
  const claim = await store.claim(id, at + 2 * SECOND);
  if (claim === undefined) throw new Error(`no task is ready for ${id}`);
  return claim.task;
}

/** A working day of five projects, as the screens show it. */
export async function fillStore(store: Store, hub: TestPage["hub"]): Promise<void> {
  const antenna = await store.addProject(
    SHEET,
    {
      name: "Antenna ML Pipeline",
      priority: 1,
      deadline: NOW + 2 * DAY,
      gpu: true,
      model: "claude",
      check: "npm test",
      repo: "git@example.org:antenna/pipeline.git",
      nextAction: "Implement batch processing for the image preprocessor",
    },
    NOW - 2 * DAY,
  );
  const aprs = await store.addProject(
    SHEET,
    { name: "APRS Audio Tools", priority: 2, model: "qwen", check: "make check" },
    NOW - 2 * DAY,
  );
  const export_ = await store.addProject(
    SHEET,
    { name: "eButterfly Export", priority: 3, deadline: NOW + 40 * DAY },
    NOW - 2 * DAY,
  );
  await store.addProject(SHEET, { name: "Pipecat Voice", priority: 4, hold: "planning" }, NOW - 2 * DAY);
  await store.addProject(SHEET, { name: "Ground station scheduler with a rather long name", priority: 5 }, NOW - DAY);

  const add = (projectId: number, description: string, more = {}) =>
    store.addTask(SHEET, { projectId, description, origin: "sheet", ...more }, NOW - 5 * HOUR);
  await add(aprs.id, "Create decoder tests for the AX.25 frame parser", { type: "testing" });
  await add(aprs.id, "Write the command line wrapper around the decoder", { alias: "T-cli" });
  await add(antenna.id, "Refactor image preprocessing so that batches of 64 fit into GPU memory", {
    type: "refactoring",
    complexity: "high",
  });
  await add(antenna.id, "Document the batch format", { type: "documentation", complexity: "low", dependsOn: "T1" });
  const ask = await add(export_.id, "Fetch the species list through the new API and map it to our taxonomy", {
    complexity: "high",
  });
  await add(export_.id, "Write the nightly export as GeoPackage");

  await finishFirst(store, hub, aprs.id);
  await runSecond(store, hub, antenna.id);
  await startOn(store, "s-cc03cc03cc03", "claude", export_.id, NOW - 40 * MINUTE);
  await store.block(
    session("s-cc03cc03cc03"),
    ask.id,
    1,
    {
      text: "The API wants a key, and there is none in the project's secrets.\nShould I use the public species list from June instead?",
      options: ["Use the June list", "Wait for a key"],
    },
    NOW - 31 * MINUTE,
  );
  await store.endSession("s-cc03cc03cc03", { outcome: "asked a question", exitCode: 0 }, NOW - 30 * MINUTE);
  const waiting = (await store.tasks({ projectId: aprs.id, states: ["queued"] })).at(-1);
  if (waiting !== undefined) {
    await store.wait(
      waiting.id,
      { reason: "window", until: NOW + 48 * MINUTE, why: "The five-hour window of qwen is used up" },
      NOW - 12 * MINUTE,
    );
  }
}

async function finishFirst(store: Store, hub: TestPage["hub"], projectId: number): Promise<void> {
  const id = "s-aa01aa01aa01";
  const task = await startOn(store, id, "qwen", projectId, NOW - 4 * HOUR);
  const head = "9f2c41d07b3e5a6688c0f1de24ab7790cc31e5f2";
  await store.recordWorkspace(
    task.id,
    1,
    { path: "/srv/cto/aprs/T2", base: "1b7d00aa91c4e55f0b9d3c7724ee10fa6d2c8812" },
    NOW - 4 * HOUR,
  );
  await store.reportProgress(session(id), task.id, 1, "Wrote 14 tests, two of them fail", NOW - 200 * MINUTE);
  await store.complete(
    session(id),
    task.id,
    1,
    {
      summary: "Added 16 tests for the frame parser; fixed an off-by-one in the address field.",
      nextAction: "Measure the decoder's speed on the long recording",
      output: "test/decoder/",
    },
    NOW - 190 * MINUTE,
  );
  await store.recordCommit(task.id, 1, { base: "1b7d00aa91c4e55f0b9d3c7724ee10fa6d2c8812", head }, NOW - 190 * MINUTE);
  await store.recordCheck({
    taskId: task.id,
    fence: 1,
    commit: head,
    command: "make check",
    outcome: "passed",
    exitCode: 0,
    tail: "ok 1 - parses a plain frame\nok 2 - refuses a frame that is too short\nok 3 - reads the path\n\n16 tests, 16 passed, 0 failed (1.84 s)\n",
    durationMs: 6_412,
    at: NOW - 189 * MINUTE,
  });
  await store.writeContinuation(
    session(id),
    {
      projectId,
      taskId: task.id,
      author: "agent",
      agent: "qwen",
      continuation: {
        currentTask: "Create decoder tests for the AX.25 frame parser",
        progress: [
          { done: true, text: "Tests for whole and for cut frames" },
          { done: false, text: "Speed on the long recording" },
        ],
        context: "The parser works on one frame at a time; the recording in fixtures/long.wav takes 40 s.",
        keyDecisions: ["Table-driven tests, one table for each kind of frame"],
        blockers: [],
        nextAction: "Measure the decoder's speed on the long recording",
        references: ["docs/ax25.md"],
      },
    },
    NOW - 189 * MINUTE,
  );
  await store.finish(
    task.id,
    1,
    { integratedCommit: head, checked: "passed", review: "unreviewed" },
    NOW - 188 * MINUTE,
  );
  await store.endSession(id, { outcome: "finished its task", exitCode: 0 }, NOW - 187 * MINUTE);
  hub.transcripts.set(id, "claimed T2\n$ make check\n16 tests, 16 passed\n");
}

async function runSecond(store: Store, hub: TestPage["hub"], projectId: number): Promise<void> {
  const id = "s-bb02bb02bb02";
  const task = await startOn(store, id, "claude", projectId, NOW - 55 * MINUTE);
  await store.reportProgress(
    session(id),
    task.id,
    1,
    "Implementing the batch processor: loader done, memory limit next",
    NOW - 2 * MINUTE,
  );
  await store.sessionSeen(id, NOW - 20 * SECOND);
  const lines = Array.from(
    { length: 60 },
    (_, n) => `[14:${String(n % 60).padStart(2, "0")}] read src/batch/part-${n}.py`,
  );
  hub.transcripts.set(id, `${lines.join("\n")}\n\u001B[32mok\u001B[0m 12 passed\n`);
  await store.note(SUPERVISOR, { kind: "hub_started", data: {} }, NOW - 56 * MINUTE);
}
