import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createServer, request as send } from "node:http";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { test } from "node:test";
import type { Mcp, McpExtension } from "../../hub/mcp.ts";
import { conformanceFixtures } from "../helpers/conformance-fixtures.ts";
import { withMcpHub, type McpHub } from "../helpers/mcp-hub.ts";

const BIN = new URL("../../node_modules/.bin", import.meta.url).pathname;

interface Check {
  id: string;
  status: "SUCCESS" | "FAILURE" | "WARNING" | "SKIPPED" | "INFO";
  errorMessage?: string;
}

/** Adds the bearer, which the suite cannot, and keeps Host and Origin as they were sent. */
async function withProxy<T>(hub: McpHub, token: string, work: (url: string) => Promise<T>): Promise<T> {
  const proxy = createServer((incoming, outgoing) => {
    const headers = { ...incoming.headers, authorization: `Bearer ${token}` };
    // The suite names the proxy's port where it names the server: that is this hub's own name.
    for (const name of ["host", "origin"] as const) headers[name] &&= headers[name].replace(`:${port}`, `:${hub.port}`);
    const call = send(
      { host: "127.0.0.1", port: hub.port, path: incoming.url, method: incoming.method, headers, setHost: false },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    call.on("error", () => outgoing.destroy());
    outgoing.on("close", () => call.destroy());
    incoming.pipe(call);
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const address = proxy.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  try {
    return await work(`http://127.0.0.1:${port}/mcp`);
  } finally {
    proxy.closeAllConnections();
    await new Promise((resolve) => proxy.close(resolve));
  }
}

/** Runs the suite and answers every check by scenario. Which of them count is the test's business. */
async function runSuite(
  url: string,
  args: string[],
): Promise<{ code: number; output: string; scenarios: Map<string, Check[]> }> {
  const folder = mkdtempSync(join(tmpdir(), "cto-conformance-"));
  try {
    const env = { PATH: [BIN, dirname(process.execPath), "/usr/bin", "/bin"].join(delimiter), HOME: folder };
    const ran = await new Promise<{ code: number; output: string }>((resolve) => {
      execFile(
        process.execPath,
        [join(BIN, "conformance"), "server", "--url", url, ...args, "-o", join(folder, "results")],
        { env, cwd: folder, timeout: 240_000, maxBuffer: 64 * 1024 * 1024 },
        (error, stdout, stderr) =>
          resolve({ code: error === null ? 0 : Number(error.code ?? -1), output: stdout + stderr }),
      );
    });
    return { ...ran, scenarios: readChecks(join(folder, "results")) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function readChecks(folder: string): Map<string, Check[]> {
  const scenarios = new Map<string, Check[]>();
  for (const path of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (basename(path) !== "checks.json") continue;
    // The folder of a scenario: `server-<name>-<time>`.
    const name = basename(dirname(path))
      .replace(/^server-(?=.)/, "")
      .replace(/-\d{4}-\d{2}-\d{2}T.*$/, "");
    scenarios.set(name, JSON.parse(readFileSync(join(folder, path), "utf8")) as Check[]);
  }
  return scenarios;
}

/** A server that is down passes some scenarios: nothing counts before it has answered. */
async function isAlive(url: string): Promise<void> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });
  const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  const answer = await (await fetch(url, { method: "POST", headers, body })).text();
  assert.match(answer, /claim_next_task/);
}

async function onProduct<T>(work: (url: string) => Promise<T>): Promise<T> {
  return withMcpHub(
    async (hub) => {
      const project = await hub.project("Antenna");
      await hub.task(project, "Write the parser");
      return withProxy(hub, await hub.token(), async (url) => {
        await isAlive(url);
        return work(url);
      });
    },
    { http: { maxStreams: 64 } },
  );
}

async function onFixtures<T>(work: (url: string) => Promise<T>): Promise<T> {
  let mcp: Mcp | undefined;
  const extension: McpExtension = conformanceFixtures(() => {
    assert.ok(mcp);
    return mcp.notify;
  });
  return withMcpHub(
    async (hub) => {
      mcp = hub.mcp;
      return withProxy(hub, await hub.token(), async (url) => {
        await isAlive(url);
        return work(url);
      });
    },
    { mcp: { extension }, http: { maxStreams: 64, rate: { burst: 10_000, perSecond: 1_000 } } },
  );
}

function problems(checks: Check[] | undefined, allowed: readonly string[] = []): string[] {
  if (checks === undefined || checks.every((check) => check.status === "INFO" || check.status === "SKIPPED"))
    return ["nothing was checked"];
  return checks
    .filter((check) => check.status === "FAILURE" || check.status === "WARNING")
    .filter((check) => !allowed.includes(check.id))
    .map((check) => `${check.id}: ${check.status} ${check.errorMessage ?? ""}`);
}

/** What these four look at needs tools that only a fixture has. */
const NEEDS_FIXTURES = [
  "sep-2575-server-rejects-undeclared-capability",
  "sep-2575-missing-capability-http-400",
  "sep-2575-http-server-no-independent-requests-on-stream",
  "sep-2575-server-no-log-without-loglevel",
];
/** A list that never changes while the hub runs cannot be made to change; the suite only warns. */
const NEVER_CHANGES = [
  "sep-2575-server-sends-prompts-list-changed-on-subscription",
  "sep-2575-server-sends-tools-list-changed-on-subscription",
];

const PRODUCT_2026 = [
  "tools-list",
  "resources-list",
  "prompts-list",
  "server-sse-multiple-streams",
  "sep-2164-resource-not-found",
  "dns-rebinding-protection",
  "caching",
  "input-required-result-unsupported-methods",
  "http-header-validation",
];
const PRODUCT_2025 = [
  "server-initialize",
  "ping",
  "tools-list",
  "resources-list",
  "prompts-list",
  "dns-rebinding-protection",
];

test("conformance 2026-07-28 of the product, without fixtures, by check id", async () => {
  await onProduct(async (url) => {
    const { scenarios, output } = await runSuite(url, ["--requirements", "2026-07-28"]);
    const found = PRODUCT_2026.flatMap((name) => problems(scenarios.get(name)).map((problem) => `${name}: ${problem}`));
    assert.deepEqual(found, [], output.slice(-2_000));
    const stateless = scenarios.get("server-stateless");
    assert.deepEqual(problems(stateless, [...NEEDS_FIXTURES, ...NEVER_CHANGES]), []);
    const failed = stateless?.filter((check) => check.status === "FAILURE").map((check) => check.id);
    assert.deepEqual(failed?.toSorted(), NEEDS_FIXTURES.toSorted());
    assert.ok((stateless?.filter((check) => check.status === "SUCCESS").length ?? 0) >= 20);
  });
});

test("conformance 2025-11-25 of the product, without fixtures, by check id", async () => {
  await onProduct(async (url) => {
    const { scenarios, output } = await runSuite(url, ["--requirements", "2025-11-25"]);
    const found = PRODUCT_2025.flatMap((name) => problems(scenarios.get(name)).map((problem) => `${name}: ${problem}`));
    assert.deepEqual(found, [], output.slice(-2_000));
  });
});

test("conformance 2026-07-28 with fixtures through the same handler: 37 of 37", async () => {
  await onFixtures(async (url) => {
    const { code, scenarios, output } = await runSuite(url, ["--requirements", "2026-07-28"]);
    const found = [...scenarios]
      .filter(([name]) => !UNSCORED.test(name))
      .flatMap(([name, checks]) => problems(checks).map((problem) => `${name}: ${problem}`));
    assert.deepEqual(found, [], output.slice(-3_000));
    assert.equal(code, 0, output.slice(-3_000));
    assert.equal([...scenarios.keys()].filter((name) => !UNSCORED.test(name)).length, 37);
  });
});

/** Run and reported by the suite, but not part of what the revision requires. */
const UNSCORED = /^(tasks-|json-schema-2020-12|http-header-validation|http-custom-header)/;

/** Each needs a request from the server to the client, or a subscription: a stateless endpoint has neither. */
const NEEDS_A_SESSION = [
  "tools-call-sampling",
  "tools-call-elicitation",
  "elicitation-sep1034-defaults",
  "elicitation-sep1330-enums",
  "resources-subscribe",
  "resources-unsubscribe",
];

/** Without sessions it is the client that is told nothing: the suite warns and checks no more. */
const WARNED = ["server-sse-multiple-streams-session"];

test("conformance 2025-11-25 with fixtures through the same handler: 24 of 30, the other six known", async () => {
  await onFixtures(async (url) => {
    const { output, scenarios } = await runSuite(url, ["--requirements", "2025-11-25"]);
    const scored = [...scenarios].filter(([name]) => !UNSCORED_2025.test(name));
    assert.equal(scored.length, 30, [...scenarios.keys()].join(" "));
    const failing = scored
      .filter(([, checks]) => checks.some((check) => check.status === "FAILURE"))
      .map(([name]) => name);
    assert.deepEqual(failing.toSorted(), NEEDS_A_SESSION.toSorted(), output.slice(-3_000));
    const warned = scored.flatMap(([, checks]) => checks).filter((check) => check.status === "WARNING");
    assert.deepEqual(
      warned.map((check) => check.id),
      WARNED,
    );
  });
});

const UNSCORED_2025 = /^(tasks-|json-schema-2020-12|server-sse-polling|server-session-lifecycle|http-|sep-)/;
