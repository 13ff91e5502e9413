import assert from "node:assert/strict";
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { systemClock } from "../../hub/base/clock.ts";
import { homeAt } from "../../hub/base/home.ts";
import { silentLog } from "../../hub/base/log.ts";
import { createBridge, type HubAddress } from "../../hub/commands/mcp-bridge.ts";
import { createHttp } from "../../hub/http.ts";
import { createMcp } from "../../hub/mcp.ts";
import { createStillClock } from "../helpers/still-clock.ts";
import { withMcpHub, type McpHub } from "../helpers/mcp-hub.ts";
import { until } from "../helpers/until.ts";

const CLI = new URL("../../hub/cli.ts", import.meta.url).pathname;

interface Answer {
  id?: string | number | null;
  method?: string;
  result?: { content?: { text: string }[]; structuredContent?: Record<string, unknown>; tools?: unknown[] };
  error?: { code: number; message: string };
}

/** A client of a bridge in this process. */
function client(hub: () => HubAddress | undefined, clock = systemClock) {
  const input = new PassThrough();
  const answers: Answer[] = [];
  const bridge = createBridge({ hub, send: (message) => void answers.push(message as Answer), clock, log: silentLog });
  const over = bridge.run(input);
  return {
    answers,
    over,
    bridge,
    say: (line: string) => void input.write(`${line}\n`),
    end: async () => {
      input.end();
      await over;
    },
    answer: (id: string | number) => until(`an answer to ${id}`, () => answers.find((each) => each.id === id)),
  };
}

const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "t", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {},
};

function request(id: string | number, method: string, params: Record<string, unknown> = {}): string {
  return JSON.stringify({ jsonrpc: "2.0", id, method, params: { ...params, _meta: META } });
}

const call = (id: string | number, name: string, args: Record<string, unknown> = {}) =>
  request(id, "tools/call", { name, arguments: args });

test("law 7: a hub that goes and comes again: the next call works, and so does the one in between", async () => {
  await withMcpHub(async (hub) => {
    const token = await hub.token();
    let address: HubAddress | undefined = { url: `${hub.url}/mcp`, token };
    const own = client(() => address);
    own.say(call(1, "whats_next"));
    assert.match((await own.answer(1)).result?.content?.[0]?.text ?? "", /Suggestion/);
    await hub.http.stop();
    own.say(call(2, "whats_next"));
    const again = await startAgain(hub);
    address = { url: `${again.url}/mcp`, token };
    assert.match((await own.answer(2)).result?.content?.[0]?.text ?? "", /Suggestion/);
    own.say(call(3, "whats_next"));
    assert.ok((await own.answer(3)).result);
    await own.end();
    await again.stop();
  });
});

/** The same hub on another port, as after a restart. */
async function startAgain(hub: McpHub) {
  const { store, tokens, clock } = hub;
  const stop = { set: async () => {}, release: async () => false, read: () => undefined };
  const mcp = createMcp({ store, clock, log: silentLog, stop, version: "0.0.0" });
  const http = createHttp({ mcp, tokens, clock, log: silentLog });
  const { url } = await http.listen(0);
  return { url, stop: () => http.stop() };
}

test("a call whose answer was lost on the way is sent again, and has its effect once", async () => {
  await withMcpHub(async (hub) => {
    const project = await hub.project("Antenna");
    await hub.task(project, "Write the parser");
    const session = await hub.session(project);
    const { task, fence } = await hub.claimed(session);
    let lost = 0;
    const lossy: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      if (lost >= 2) return response;
      lost += 1;
      await response.arrayBuffer();
      throw new TypeError("terminated");
    };
    const answers: Answer[] = [];
    const input = new PassThrough();
    const bridge = createBridge({
      hub: () => ({ url: `${hub.url}/mcp`, token: session.token }),
      send: (message) => void answers.push(message as Answer),
      clock: systemClock,
      log: silentLog,
      fetch: lossy,
    });
    const over = bridge.run(input);
    input.end(`${call(1, "add_task", { task, fence, description: "More" })}\n`);
    await over;
    assert.equal(lost, 2);
    assert.deepEqual(
      answers.map((answer) => answer.result?.structuredContent?.["task"]),
      ["T2"],
    );
    assert.equal((await hub.store.tasks()).length, 2);
  });
});

test("without a hub a call is answered with what to do, after waiting for a restart", async () => {
  const clock = createStillClock();
  const own = client(() => undefined, clock);
  own.say(call(1, "whats_next"));
  const answer = await until("an answer", () => {
    clock.pass(1_000);
    return own.answers[0];
  });
  assert.deepEqual(answer, {
    jsonrpc: "2.0",
    id: 1,
    error: { code: -32_000, message: "CTO Sidekick is not running. Start it with: cto up" },
  });
  own.bridge.close();
  await own.end();
});

test("a token that is not known is an answer with the request's id", async () => {
  await withMcpHub(async (hub) => {
    const own = client(() => ({ url: `${hub.url}/mcp`, token: "cto_wrong" }));
    own.say(call("a", "whats_next"));
    const { error } = await own.answer("a");
    assert.match(error?.message ?? "", /does not know this token/);
    await own.end();
  });
});

test("what a client cancels is let go, and others are still answered", async () => {
  await withMcpHub(async (hub) => {
    const { token } = await hub.session();
    const own = client(() => ({ url: `${hub.url}/mcp`, token }));
    own.say(call(1, "claim_next_task", { wait_s: 45 }));
    own.say(call(2, "whats_next"));
    await own.answer(2);
    own.say(JSON.stringify({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } }));
    own.say(call(3, "whats_next"));
    await own.answer(3);
    const began = performance.now();
    await own.end();
    assert.ok(performance.now() - began < 4_000, "the cancelled call is not waited for");
    assert.deepEqual(
      own.answers.map((answer) => answer.id),
      [2, 3],
    );
  });
});

test("a stream of notifications is opened again after a restart, and acknowledged once", async () => {
  await withMcpHub(async (hub) => {
    const token = await hub.token();
    let address: HubAddress = { url: `${hub.url}/mcp`, token };
    const own = client(() => address);
    own.say(request("l", "subscriptions/listen", { notifications: { toolsListChanged: true } }));
    const acknowledged = () => own.answers.filter((each) => each.method === "notifications/subscriptions/acknowledged");
    await until("it is acknowledged", () => acknowledged().length > 0);
    await hub.http.stop();
    const { store, tokens, clock } = hub;
    const stop = { set: async () => {}, release: async () => false, read: () => undefined };
    const mcp = createMcp({ store, clock, log: silentLog, stop, version: "0.0.0" });
    const http = createHttp({ mcp, tokens, clock, log: silentLog });
    address = { url: `${(await http.listen(0)).url}/mcp`, token };
    await until("a change is heard of", () => {
      mcp.notify.toolsChanged();
      return own.answers.some((each) => each.method === "notifications/tools/list_changed");
    });
    assert.equal(acknowledged().length, 1);
    assert.equal(
      own.answers.some((each) => each.id === "l"),
      false,
    );
    await own.end();
    await http.stop();
  });
});

test("lines that are no messages, or too long, are refused and the next one works", async () => {
  await withMcpHub(async (hub) => {
    const token = await hub.token();
    const own = client(() => ({ url: `${hub.url}/mcp`, token }));
    own.say("nonsense");
    own.say("42");
    own.say("");
    own.say("x".repeat(2 * 1024 * 1024));
    own.say(request(7, "tools/list"));
    assert.ok(((await own.answer(7)).result?.tools?.length ?? 0) > 0);
    assert.deepEqual(
      own.answers.slice(0, 3).map((each) => [each.id, each.error?.code]),
      [
        [null, -32_700],
        [null, -32_600],
        [null, -32_600],
      ],
    );
    await own.end();
  });
});

test("cto mcp: stdout carries messages only, logs go to stderr, and it ends with its client", async () => {
  const home = mkdtempSync(join(tmpdir(), "cto-bridge-"));
  try {
    await withMcpHub(async (hub) => {
      const { run, hubFile, adminTokenFile } = homeAt(home);
      mkdirSync(run);
      writeFileSync(adminTokenFile, `${await hub.token({ role: "admin" })}\n`, { mode: 0o600 });
      writeFileSync(hubFile, JSON.stringify({ url: "http://127.0.0.1:1", pid: 1 }));
      const child = spawn(process.execPath, [CLI, "mcp"], { env: { CTO_HOME: home, PATH: process.env["PATH"] } });
      const lines = linesOf(child);
      let stderr = "";
      child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
      child.stdin.write(`${call(1, "whats_next")}\n`);
      await until("it has looked for the hub in vain", () => stderr.includes("does not answer"));
      writeFileSync(hubFile, JSON.stringify({ url: hub.url, pid: process.pid }));
      await until("it has answered", () => lines.length > 0);
      child.stdin.end(`${JSON.stringify({ jsonrpc: "2.0", id: 2, method: "initialize", params: INITIALIZE })}\n`);
      const [code] = (await once(child, "exit")) as [number];
      assert.equal(code, 0);
      const messages = lines.map((line) => JSON.parse(line) as Answer);
      assert.deepEqual(
        messages.map((message) => message.id),
        [1, 2],
      );
      for (const line of stderr.trim().split("\n")) assert.ok(JSON.parse(line));
      assert.doesNotMatch(stderr, /cto_/);
    });
  } finally {
    rmSync(home, { recursive: true });
  }
});

const INITIALIZE = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } };

function linesOf(child: ChildProcessWithoutNullStreams): string[] {
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  return lines;
}
