import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createTokens } from "../../hub/access/tokens.ts";
import { systemClock } from "../../hub/base/clock.ts";
import { silentLog } from "../../hub/base/log.ts";
import { SHEET, SUPERVISOR, type Principal } from "../../hub/base/session.ts";
import type { Stop } from "../../hub/base/stop-file.ts";
import { createHooks } from "../../hub/hooks.ts";
import { createHttp } from "../../hub/http.ts";
import { createMcp } from "../../hub/mcp.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";
import type { Store } from "../../hub/stores/store.ts";

const HOOK = fileURLToPath(new URL("../../hub/commands/hook.ts", import.meta.url));

interface World {
  store: Store;
  token: string;
  by: Principal;
  project: number;
  stop: { current: Stop | undefined };
  /** POST on `/hooks/…`. */
  ask(event: string, token?: string, body?: string): Promise<{ status: number; answer: Record<string, unknown> }>;
}

/** A hub's web side with one session of ours that holds T1; T2 waits behind it. */
async function withHooks(tell: (world: World) => Promise<void>): Promise<void> {
  const [clock, log] = [systemClock, silentLog];
  const store = openSqliteStore({ path: ":memory:" });
  await store.setAgents([{ name: "claude", model: "" }], clock.now());
  const tokens = createTokens(store, clock);
  const stop: World["stop"] = { current: undefined };
  const control = { set: async () => undefined, release: async () => false, read: () => stop.current };
  const mcp = createMcp({ store, clock, log, version: "0.0.0", stop: control });
  const hooks = createHooks({ store, log, tasksPerSession: 2, contextOf: mcp.contextOf });
  const http = createHttp({ mcp, hooks, tokens, clock, log });
  const { url } = await http.listen(0);
  const project = (await store.addProject(SHEET, { name: "alpha" }, clock.now())).id;
  for (const description of ["first", "second"])
    await store.addTask(SHEET, { projectId: project, description, origin: "sheet" }, clock.now());
  const session = { id: "s-1", agent: "claude", projectId: project, kind: "supervised" as const, machine: "native" };
  await store.openSession(session, clock.now());
  await store.claim("s-1", clock.now());
  const grant = { role: "agent" as const, sessionId: "s-1", projectId: project, label: "test", ttlMs: null };
  const { token } = await tokens.issue(SUPERVISOR, grant);
  const by: Principal = { role: "agent", name: "session:s-1", sessionId: "s-1", projectId: project };
  try {
    await tell({
      store,
      token,
      by,
      project,
      stop,
      async ask(event, bearer = token, body = "{}") {
        const headers = { authorization: `Bearer ${bearer}`, "content-type": "application/json" };
        const response = await fetch(`${url}/hooks/${event}`, { method: "POST", headers, body });
        return { status: response.status, answer: (await response.json()) as Record<string, unknown> };
      },
    });
  } finally {
    await http.stop();
    store.close();
  }
}

test("a hook needs the token of a session, and an event that is known", async () => {
  await withHooks(async ({ ask }) => {
    assert.equal((await ask("Stop", "nobody")).status, 401);
    assert.equal((await ask("Nothing")).status, 404);
    assert.equal(
      (await ask("SessionEnd", undefined, "x".repeat(2_000_000))).status,
      200,
      "its words are not looked at",
    );
  });
});

test("a session starts with what it holds", async () => {
  await withHooks(async ({ ask }) => {
    const { answer } = await ask("SessionStart");
    assert.match(
      JSON.stringify(answer),
      /"hookEventName":"SessionStart".*You hold T1 of project .*alpha.* with fence 1/,
    );
  });
});

test("the end of a turn with the task unfinished is refused three times for each fence", async () => {
  await withHooks(async ({ ask }) => {
    for (let n = 0; n < 3; n++) {
      const { answer } = await ask("Stop");
      assert.equal(answer["decision"], "block");
      assert.match(String(answer["reason"]), /T1 is still yours/);
    }
    assert.deepEqual((await ask("Stop")).answer, {});
  });
});

test("the end of a turn is held during the check, and then tells what it found", async () => {
  await withHooks(async ({ ask, store, by }) => {
    await store.complete(by, 1, 1, { summary: "done", nextAction: "", output: null }, Date.now());
    const held = ask("Stop");
    const early = await Promise.race([held, new Promise((resolve) => setTimeout(() => resolve("held"), 300))]);
    assert.equal(early, "held");
    await store.returnFindings(1, 1, { source: "check", text: "line 3 is wrong" }, true, Date.now());
    const { answer } = await held;
    assert.equal(answer["decision"], "block");
    assert.match(String(answer["reason"]), /T1 is yours again with fence 2[\s\S]*line 3 is wrong/);
  });
});

test("a session that has done its task is given the next until it has done as many as it may", async () => {
  await withHooks(async ({ ask, store, by }) => {
    const finish = async (id: number, fence: number) => {
      await store.complete(by, id, fence, { summary: "done", nextAction: "", output: null }, Date.now());
      await store.finish(id, fence, { integratedCommit: null, checked: "unchecked", review: null }, Date.now());
    };
    await store.addTask(SHEET, { projectId: 1, description: "third", origin: "sheet" }, Date.now());
    await finish(1, 1);
    const { answer } = await ask("Stop");
    assert.match(String(answer["reason"]), /call claim_next_task/);
    await store.claim("s-1", Date.now());
    await finish(2, 1);
    assert.deepEqual((await ask("Stop")).answer, {}, "a fresh session does the third");
  });
});

test("STOP and a paused project let a session go", async () => {
  await withHooks(async ({ ask, store, project, stop }) => {
    stop.current = { at: "", by: "test", why: "" };
    assert.deepEqual((await ask("Stop")).answer, {});
    assert.match(JSON.stringify((await ask("PostToolUse")).answer), /STOP is set/);
    stop.current = undefined;
    await store.changeProject(SHEET, project, { hold: "paused" }, Date.now());
    assert.deepEqual((await ask("Stop")).answer, {});
  });
});

test("what the person says is handed over once, as data", async () => {
  await withHooks(async ({ ask, store }) => {
    assert.deepEqual((await ask("PostToolUse")).answer, {});
    await store.say(SHEET, 1, "use feet", Date.now());
    const { answer } = await ask("PostToolUse");
    assert.match(JSON.stringify(answer), /<<<DATA \S+ the person says.*use feet/);
    assert.deepEqual((await ask("PostToolUse")).answer, {});
  });
});

test("law 7: the hook command asks again while the hub is restarted, and is never in the client's way", async () => {
  const free = createServer();
  free.listen(0, "127.0.0.1");
  await once(free, "listening");
  const { port } = free.address() as AddressInfo;
  free.close();
  await once(free, "close");
  // Nobody listens: a hook that only tells something gives up, one that holds the session does not.
  assert.deepEqual(await runHook("SessionEnd", port).ended, { code: 0, printed: "" });
  const stop = runHook("Stop", port);
  const answers = [
    { status: 503, body: "{}" },
    { status: 200, body: '{"wait":true}' },
    { status: 200, body: '{"decision":"block","reason":"go on"}' },
  ];
  const asked: string[] = [];
  const hub = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.authorization}`);
    const answer = answers.shift();
    response.writeHead(answer?.status ?? 500).end(answer?.body);
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  hub.listen(port, "127.0.0.1");
  try {
    assert.deepEqual(await stop.ended, { code: 0, printed: '{"decision":"block","reason":"go on"}' });
    assert.deepEqual(
      asked,
      Array.from({ length: 3 }, () => "/hooks/Stop Bearer secret"),
    );
    answers.push({ status: 401, body: "{}" });
    assert.deepEqual(await runHook("Stop", port).ended, { code: 0, printed: "" }, "a session that has ended is let go");
  } finally {
    hub.closeAllConnections();
    hub.close();
  }
});

function runHook(event: string, port: number): { ended: Promise<{ code: number | null; printed: string }> } {
  const env = { CTO_MCP_URL: `http://127.0.0.1:${port}/mcp`, CTO_TOKEN: "secret" };
  const child = spawn(process.execPath, [HOOK, event], { env, stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end("{}");
  let printed = "";
  child.stdout.on("data", (data: Buffer) => (printed += data.toString()));
  return { ended: once(child, "close").then(([code]) => ({ code: code as number | null, printed })) };
}
