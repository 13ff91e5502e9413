import assert from "node:assert/strict";
import { once } from "node:events";
import { request, type IncomingHttpHeaders } from "node:http";
import { connect } from "node:net";
import { test } from "node:test";
import { Hono } from "hono";
import { ConfigurationError } from "../../hub/base/errors.ts";
import type { Principal } from "../../hub/base/session.ts";
import { createHttp } from "../../hub/http.ts";
import { PERSON, withMcpHub, type McpHub } from "../helpers/mcp-hub.ts";
import { until } from "../helpers/until.ts";

interface Raw {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A request exactly as given: `fetch` would set Host and tidy the path. */
function raw(
  hub: McpHub,
  path: string,
  headers: Record<string, string> = {},
  method = "GET",
  body?: string,
): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const own = { ...(!("host" in headers) && { host: `127.0.0.1:${hub.port}` }), ...headers };
    const call = request({
      host: "127.0.0.1",
      port: hub.port,
      path,
      method,
      headers: own,
      setHost: false,
      agent: false,
    });
    call.on("error", reject);
    call.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    call.end(body);
  });
}

const LIST = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });
const JSON_HEADERS = { "content-type": "application/json", accept: "application/json, text/event-stream" };

test("Host: this hub's own names with its port, and nothing that only looks like them", async () => {
  await withMcpHub(
    async (hub) => {
      const port = hub.port;
      for (const host of [
        `127.0.0.1:${port}`,
        `localhost:${port}`,
        `LOCALHOST:${port}`,
        `[::1]:${port}`,
        "box.tail.ts.net",
      ])
        assert.equal((await raw(hub, "/healthz", { host })).status, 200, host);
      const foreign = [
        "evil.example",
        "127.0.0.1",
        "localhost",
        `127.0.0.1:${port + 1}`,
        `localhost.evil:${port}`,
        `127.0.0.1.nip.io:${port}`,
        `evil.example:${port}`,
        `box.tail.ts.net.evil:${port}`,
        "[::1]",
        "0.0.0.0",
      ];
      for (const host of foreign) assert.equal((await raw(hub, "/healthz", { host })).status, 403, host);
    },
    { http: { allowedHosts: ["box.tail.ts.net"] } },
  );
});

test("a request without Host is refused", async () => {
  await withMcpHub(async (hub) => {
    const socket = connect(hub.port, "127.0.0.1");
    socket.write("GET /healthz HTTP/1.0\r\n\r\n");
    const [chunk] = (await once(socket, "data")) as [Buffer];
    assert.match(chunk.toString(), /^HTTP\/1\.\d 40[03] /);
    socket.destroy();
  });
});

test("Origin: absent or the hub's own page; another port, null and other sites are foreign", async () => {
  await withMcpHub(async (hub) => {
    const token = await hub.token();
    const post = (origin?: string) =>
      raw(
        hub,
        "/mcp",
        { ...JSON_HEADERS, authorization: `Bearer ${token}`, ...(origin !== undefined && { origin }) },
        "POST",
        LIST,
      );
    for (const origin of [undefined, `http://127.0.0.1:${hub.port}`, `http://localhost:${hub.port}`])
      assert.equal((await post(origin)).status, 200, origin);
    for (const origin of [
      "null",
      "http://evil.example",
      `http://127.0.0.1:${hub.port + 1}`,
      `https://127.0.0.1:${hub.port}`,
      `http://localhost.evil:${hub.port}`,
      "http://localhost",
      "file://",
    ])
      assert.equal((await post(origin)).status, 403, origin);
  });
});

test("no token, a wrong one, one in the address: 401 with a plain challenge and no OAuth", async () => {
  await withMcpHub(async (hub) => {
    const token = await hub.token();
    for (const headers of [
      {},
      { authorization: "Bearer cto_x" },
      { authorization: token },
      { authorization: `Basic ${token}` },
    ]) {
      const answer = await raw(hub, "/mcp", { ...JSON_HEADERS, ...headers }, "POST", LIST);
      assert.equal(answer.status, 401);
      assert.equal(answer.headers["www-authenticate"], "Bearer");
    }
    assert.equal((await raw(hub, `/mcp?token=${token}`, JSON_HEADERS, "POST", LIST)).status, 401);
    for (const path of [
      "/.well-known/oauth-protected-resource",
      "/.well-known/oauth-authorization-server/mcp",
      "/.well-known/openid-configuration",
    ])
      assert.equal((await raw(hub, path)).status, 404, path);
  });
});

test("a body over 256 KiB is refused, with a length and without", async () => {
  await withMcpHub(async (hub) => {
    const headers = { ...JSON_HEADERS, authorization: `Bearer ${await hub.token()}` };
    const big = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping", params: { x: "x".repeat(300_000) } });
    const said = await raw(hub, "/mcp", { ...headers, "content-length": String(big.length) }, "POST", big);
    assert.equal(said.status, 413);
    const chunked = await raw(hub, "/mcp", { ...headers, "transfer-encoding": "chunked" }, "POST", big);
    assert.equal(chunked.status, 413);
    const fits = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping", params: { x: "x".repeat(200_000) } });
    assert.equal((await raw(hub, "/mcp", headers, "POST", fits)).status, 200);
  });
});

test("JSON that is broken, empty or too deep is a 400, and the hub goes on", async () => {
  await withMcpHub(async (hub) => {
    const headers = { ...JSON_HEADERS, authorization: `Bearer ${await hub.token()}` };
    const deep = "[".repeat(100_000) + "]".repeat(100_000);
    const deepObject = '{"a":'.repeat(30_000) + "1" + "}".repeat(30_000);
    for (const body of ["", "{", "nonsense", deep, deepObject])
      assert.equal((await raw(hub, "/mcp", headers, "POST", body)).status, 400, body.slice(0, 10));
    // Brackets in a string are text.
    const text = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping", params: { x: '["\\'.repeat(1_000) } });
    assert.equal((await raw(hub, "/mcp", headers, "POST", text)).status, 200);
    assert.equal((await raw(hub, "/healthz")).status, 200);
  });
});

test("law 14: messages are counted one by one, in batches too, and a batch has a limit", async () => {
  await withMcpHub(
    async (hub) => {
      const headers = { ...JSON_HEADERS, authorization: `Bearer ${await hub.token()}` };
      const batch = (n: number) =>
        JSON.stringify(Array.from({ length: n }, (_, id) => ({ jsonrpc: "2.0", id, method: "ping" })));
      assert.equal((await raw(hub, "/mcp", headers, "POST", batch(51))).status, 400);
      assert.equal((await raw(hub, "/mcp", headers, "POST", batch(40))).status, 200);
      const over = await raw(hub, "/mcp", headers, "POST", batch(40));
      assert.equal(over.status, 429);
      assert.ok(Number(over.headers["retry-after"]) >= 1);
      const other = { ...JSON_HEADERS, authorization: `Bearer ${await hub.token()}` };
      assert.equal((await raw(hub, "/mcp", other, "POST", batch(40))).status, 200);
    },
    { http: { rate: { burst: 60, perSecond: 0.1 } } },
  );
});

test("law 14: a token holds so many streams, and closing one makes room", async () => {
  await withMcpHub(
    async (hub) => {
      const token = await hub.token();
      const open = (id: string) => listen(hub, token, id);
      const [first, second] = [await open("a"), await open("b")];
      const third = await open("c");
      assert.match(await third.response.text(), /Subscription limit reached/);
      assert.equal(
        (await listen(hub, await hub.token(), "d")).response.headers.get("content-type"),
        "text/event-stream",
      );
      first.abort.abort();
      await until("there is room again", async () => {
        const again = await open("e");
        const streams = again.response.headers.get("content-type") === "text/event-stream";
        if (streams) again.abort.abort();
        return streams;
      });
      second.abort.abort();
    },
    { http: { maxStreams: 2 } },
  );
});

async function listen(hub: McpHub, token: string, id: string) {
  const abort = new AbortController();
  const version = "2026-07-28";
  const meta = {
    "io.modelcontextprotocol/protocolVersion": version,
    "io.modelcontextprotocol/clientInfo": { name: "t", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const params = { notifications: { toolsListChanged: true }, _meta: meta };
  const response = await fetch(`${hub.url}/mcp`, {
    method: "POST",
    headers: {
      ...JSON_HEADERS,
      authorization: `Bearer ${token}`,
      "mcp-protocol-version": version,
      "mcp-method": "subscriptions/listen",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id, method: "subscriptions/listen", params }),
    signal: abort.signal,
  });
  return { response, abort };
}

function smallApi() {
  const api = new Hono<{ Variables: { principal: Principal } }>();
  api.get("/who", (c) => c.json({ name: c.get("principal").name }));
  api.post("/echo", async (c) => c.json(await c.req.json()));
  return api;
}

test("the API: a human's or admin's token only; what is not there is a JSON 404", async () => {
  await withMcpHub(
    async (hub) => {
      const { token: agent } = await hub.session();
      const human = await hub.token();
      const as = (token: string) => ({ authorization: `Bearer ${token}` });
      assert.equal((await raw(hub, "/api/who")).status, 401);
      assert.equal((await raw(hub, "/api/who", as(agent))).status, 403);
      assert.match((await raw(hub, "/api/who", as(human))).body, /"name":"token:\d+"/);
      assert.equal((await raw(hub, "/api/who", as(await hub.token({ role: "admin" })))).status, 200);
      for (const path of ["/api", "/api/", "/api/nothing", "/api/who/else"]) {
        const answer = await raw(hub, path, as(human));
        assert.equal(answer.status, 404, path);
        assert.ok(JSON.parse(answer.body));
        assert.equal((await raw(hub, path)).status, 401, path);
      }
      const big = JSON.stringify({ x: "x".repeat(300_000) });
      assert.equal((await raw(hub, "/api/echo", as(human), "POST", big)).status, 413);
      assert.equal((await raw(hub, "/api/echo", as(human), "POST", '{"a":1}')).body, '{"a":1}');
    },
    { http: { api: smallApi() } },
  );
});

test("paths that parts could read differently lead nowhere", async () => {
  const page = new Hono();
  page.all("*", (c) => c.text("the page's secret"));
  await withMcpHub(
    async (hub) => {
      const odd = [
        "//admin",
        "//api/who",
        "/api//who",
        "/%61pi/who",
        "/api%2fwho",
        "/api/%2e%2e/mcp",
        "/mcp%00",
        "/x/..%2f..%2fapi/who",
        "/api%5cwho",
        "/api\\who",
        "/assets/../api/who",
        "/assets/%2e%2e/api/who",
        "/./mcp",
        "/%252e%252e/api/who",
        "/api;x/who",
        "/api/who%0d%0aX:y",
      ];
      for (const path of odd) {
        const answer = await raw(hub, path);
        assert.ok([400, 401, 404].includes(answer.status), `${path}: ${answer.status}`);
        assert.doesNotMatch(answer.body, /secret/, path);
      }
      assert.match((await raw(hub, "/anything?x=%2e%2e//")).body, /secret/);
    },
    { http: { api: smallApi(), page } },
  );
});

test("healthz needs no login, and says 503 when the hub cannot work", async () => {
  let healthy = true;
  await withMcpHub(
    async (hub) => {
      assert.deepEqual(JSON.parse((await raw(hub, "/healthz")).body), { ok: true });
      healthy = false;
      const answer = await raw(hub, "/healthz");
      assert.equal(answer.status, 503);
      assert.deepEqual(JSON.parse(answer.body), { ok: false });
      assert.equal((await raw(hub, "/healthz", {}, "POST", "{}")).status, 404);
    },
    {
      http: {
        healthy: () => {
          if (!healthy) throw new Error("the disk is gone");
          return true;
        },
      },
    },
  );
});

test("every answer carries the headers that keep it from being misused", async () => {
  await withMcpHub(async (hub) => {
    for (const path of ["/healthz", "/nothing", "/mcp", "/api/x"]) {
      const { headers } = await raw(hub, path);
      assert.equal(headers["x-content-type-options"], "nosniff", path);
      assert.match(String(headers["content-security-policy"]), /default-src 'none'/, path);
      assert.match(String(headers["content-security-policy"]), /frame-ancestors 'none'/, path);
      assert.equal(headers["cache-control"], "no-store", path);
      assert.equal(headers["access-control-allow-origin"], undefined, path);
    }
  });
});

test("an error of ours in the API is told by a reference only", async () => {
  const api = new Hono<{ Variables: { principal: Principal } }>();
  api.get("/bug", () => {
    throw new Error("secret detail at /home/somebody/cto.db");
  });
  await withMcpHub(
    async (hub) => {
      const answer = await raw(hub, "/api/bug", { authorization: `Bearer ${await hub.token()}` });
      assert.equal(answer.status, 500);
      assert.match(answer.body, /reference/);
      assert.doesNotMatch(answer.body, /secret|somebody/);
    },
    { http: { api } },
  );
});

for (const era of ["2026-07-28", "2025-11-25"]) {
  test(`a caller that goes away while it waits is given nothing any more (${era})`, async () => {
    await withMcpHub(async (hub) => {
      const project = await hub.project("Antenna");
      const { token } = await hub.session(project);
      const gone = new AbortController();
      const meta = {
        "io.modelcontextprotocol/protocolVersion": era,
        "io.modelcontextprotocol/clientInfo": { name: "t", version: "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
      };
      const modern = era === "2026-07-28";
      const params = { name: "claim_next_task", arguments: { wait_s: 45 }, ...(modern && { _meta: meta }) };
      const headers = {
        ...JSON_HEADERS,
        authorization: `Bearer ${token}`,
        "mcp-protocol-version": era,
        ...(modern && { "mcp-method": "tools/call", "mcp-name": "claim_next_task" }),
      };
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
      let waiting = 0;
      const { claim } = hub.store;
      hub.store.claim = (...args) => {
        waiting += 1;
        return claim(...args);
      };
      const call = fetch(`${hub.url}/mcp`, { method: "POST", headers, body, signal: gone.signal }).then((answer) =>
        answer.text(),
      );
      const settled = assert.rejects(call);
      await until("it waits", () => waiting > 0);
      gone.abort();
      await settled;
      // What comes last on the connection's way is heard of after what came before it.
      await until("it waits no more", async () => {
        const before = waiting;
        await hub.store.note(PERSON, { kind: "stop_released", data: {} }, hub.clock.now());
        await new Promise((resolve) => setTimeout(resolve, 20));
        return waiting === before;
      });
      const id = await hub.task(project, "Write the parser");
      await hub.call(token, "whats_next");
      assert.equal((await hub.store.task(id))?.state, "queued");
    });
  });
}

test("law 14: a request that trickles in is cut off", { timeout: 40_000 }, async () => {
  await withMcpHub(async (hub) => {
    const socket = connect(hub.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    const trickle = setInterval(() => socket.write("X: y\r\n"), 500);
    const began = performance.now();
    await new Promise((resolve) => socket.once("close", resolve));
    clearInterval(trickle);
    assert.ok(performance.now() - began < 25_000);
  });
});

test("a stop answers who waits, ends streams, and is over well within 10 s", async () => {
  await withMcpHub(async (hub) => {
    const { token } = await hub.session();
    const waits = hub.call(token, "claim_next_task", { wait_s: 45 });
    const stream = (await listen(hub, token, "l")).response;
    const ended = stream.text();
    // The wait is under way when the session was seen to exist in the answer to another call.
    await hub.call(token, "whats_next");
    const began = performance.now();
    await hub.http.stop();
    assert.ok(performance.now() - began < 8_000);
    assert.equal((await waits).data?.["status"], "nothing");
    await ended;
    await assert.rejects(fetch(`${hub.url}/healthz`));
  });
});

test("a port that is taken is one clear line", async () => {
  await withMcpHub(async (hub) => {
    const { mcp, tokens, clock } = hub;
    const second = createHttp({ mcp, tokens, clock, log: { debug() {}, info() {}, warn() {}, error() {} } });
    await assert.rejects(second.listen(hub.port), (error) => {
      assert.ok(error instanceof ConfigurationError);
      assert.match(error.message, new RegExp(`^Port ${hub.port} is taken`));
      return true;
    });
  });
});

test("1,000 streams of many tokens do not keep others from being answered", async () => {
  await withMcpHub(
    async (hub) => {
      const streams = [];
      for (let n = 0; n < 20; n += 1) {
        const token = await hub.token();
        for (let m = 0; m < 50; m += 1) streams.push(listen(hub, token, `l${m}`));
      }
      const open = await Promise.all(streams);
      const began = performance.now();
      assert.equal((await raw(hub, "/healthz")).status, 200);
      assert.ok(performance.now() - began < 2_000);
      for (const { abort } of open) abort.abort();
    },
    { http: { maxStreams: 50 } },
  );
});
