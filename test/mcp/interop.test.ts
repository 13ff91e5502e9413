import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from "@modelcontextprotocol/client";
import { StdioClientTransport as StdioV2 } from "@modelcontextprotocol/client/stdio";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as StdioV1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as HttpV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { test } from "node:test";
import { homeAt } from "../../hub/base/home.ts";
import { withMcpHub, type McpHub } from "../helpers/mcp-hub.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const BIN = join(ROOT, "node_modules/.bin");
const CLI = join(ROOT, "hub/cli.ts");

interface Place {
  hub: McpHub;
  token: string;
  /** A home whose hub.json names the hub: what `cto mcp` finds it by. */
  home: string;
}

/** The calls that every client makes, whatever it is called in its own API. */
interface Calls {
  list(): Promise<string[]>;
  call(name: string, args: Record<string, unknown>): Promise<{ text: string; isError: boolean }>;
  prompt(name: string): Promise<string>;
  resource(uri: string): Promise<string>;
  close(): Promise<void>;
}

async function inPlace(work: (place: Place) => Promise<void>): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), "cto-interop-"));
  try {
    await withMcpHub(async (hub) => {
      await hub.task(await hub.project("Antenna"), "Write the parser");
      const token = await hub.token();
      const { run, hubFile, adminTokenFile } = homeAt(home);
      mkdirSync(run);
      writeFileSync(hubFile, JSON.stringify({ pid: process.pid, url: hub.url, startedAt: "2026-11-22T12:00:00Z" }));
      writeFileSync(adminTokenFile, `${token}\n`, { mode: 0o600 });
      await work({ hub, token, home });
    });
  } finally {
    rmSync(home, { recursive: true });
  }
}

async function tryEverything(calls: Calls): Promise<void> {
  try {
    assert.ok((await calls.list()).includes("claim_next_task"));
    const ok = await calls.call("whats_next", {});
    assert.equal(ok.isError, false);
    assert.match(ok.text, /Write the parser/);
    const refused = await calls.call("set_priority", { project: "Nobody", priority: 1 });
    assert.equal(refused.isError, true);
    assert.match(refused.text, /Name one of/);
    assert.match(await calls.prompt("next"), /whats_next/);
    assert.match(await calls.resource("cto://tasks/T1"), /Write the parser/);
  } finally {
    await calls.close();
  }
}

type Mode = "auto" | "legacy" | { pin: string };
const MODES: [string, Mode][] = [
  ["auto", "auto"],
  ["pinned to 2026-07-28", { pin: "2026-07-28" }],
  ["legacy", "legacy"],
];

interface AnyClient {
  listTools(): Promise<{ tools: { name: string }[] }>;
  callTool(params: { name: string; arguments: Record<string, unknown> }): Promise<unknown>;
  getPrompt(params: { name: string }): Promise<{ messages: { content: unknown }[] }>;
  readResource(params: { uri: string }): Promise<{ contents: unknown[] }>;
  close(): Promise<void>;
}

function sdkCalls(client: AnyClient): Calls {
  return {
    list: async () => (await client.listTools()).tools.map((tool) => tool.name),
    async call(name, args) {
      const result = (await client.callTool({ name, arguments: args })) as {
        content: { text: string }[];
        isError?: boolean;
      };
      return { text: result.content.map((part) => part.text).join("\n"), isError: result.isError === true };
    },
    prompt: async (name) => JSON.stringify((await client.getPrompt({ name })).messages),
    resource: async (uri) => JSON.stringify((await client.readResource({ uri })).contents),
    close: () => client.close(),
  };
}

function stdioServer({ home }: Place) {
  return {
    command: process.execPath,
    args: [CLI, "mcp"],
    env: { CTO_HOME: home, PATH: process.env["PATH"] ?? "" },
    stderr: "ignore" as const,
  };
}

for (const [words, mode] of MODES) {
  test(`SDK v2 client, ${words}, over HTTP`, async () => {
    await inPlace(async ({ hub, token }) => {
      const client = new ClientV2({ name: "t", version: "1" }, { versionNegotiation: { mode } });
      const headers = { authorization: `Bearer ${token}` };
      await client.connect(new HttpV2(new URL(`${hub.url}/mcp`), { requestInit: { headers } }));
      await tryEverything(sdkCalls(client));
    });
  });

  test(`SDK v2 client, ${words}, over stdio`, async () => {
    await inPlace(async (place) => {
      const client = new ClientV2({ name: "t", version: "1" }, { versionNegotiation: { mode } });
      await client.connect(new StdioV2(stdioServer(place)));
      await tryEverything(sdkCalls(client));
    });
  });
}

test("SDK v1 client over HTTP", async () => {
  await inPlace(async ({ hub, token }) => {
    const client = new ClientV1({ name: "t", version: "1" });
    const transport = new HttpV1(new URL(`${hub.url}/mcp`), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
    });
    await client.connect(transport);
    await tryEverything(sdkCalls(client));
  });
});

test("SDK v1 client over stdio", async () => {
  await inPlace(async (place) => {
    const client = new ClientV1({ name: "t", version: "1" });
    await client.connect(new StdioV1(stdioServer(place)));
    await tryEverything(sdkCalls(client));
  });
});

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** A program of node_modules/.bin with our Node and a home of its own. */
function run(name: string, args: string[], home: string): Promise<Ran> {
  const env = {
    HOME: home,
    CTO_HOME: home,
    PATH: [BIN, dirname(process.execPath), "/usr/bin", "/bin"].join(delimiter),
  };
  return new Promise((resolve) => {
    execFile(join(BIN, name), args, { env, cwd: home, timeout: 60_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}

function inspector(target: string[], home: string, errorCode: number): Calls {
  async function ask(method: string, ...args: string[]): Promise<Ran & { result: Record<string, unknown> }> {
    const ran = await run("mcp-inspector", ["--cli", ...target, "--method", method, ...args, "--format", "json"], home);
    const parsed = ran.stdout.trim().startsWith("{") ? (JSON.parse(ran.stdout) as Record<string, unknown>) : {};
    return { ...ran, result: (parsed["result"] ?? parsed) as Record<string, unknown> };
  }
  return {
    async list() {
      const { result, stderr } = await ask("tools/list");
      assert.ok(Array.isArray(result["tools"]), stderr);
      return (result["tools"] as { name: string }[]).map((tool) => tool.name);
    },
    async call(name, args) {
      const { code, stdout, stderr } = await ask(
        "tools/call",
        "--tool-name",
        name,
        "--tool-args-json",
        JSON.stringify(args),
      );
      assert.ok([0, errorCode].includes(code), stderr);
      return { text: stdout + stderr, isError: code === errorCode };
    },
    prompt: async (name) => (await ask("prompts/get", "--prompt-name", name)).stdout,
    resource: async (uri) => (await ask("resources/read", "--uri", uri)).stdout,
    close: async () => {},
  };
}

for (const era of ["legacy", "modern"]) {
  test(`inspector CLI, ${era}, over HTTP`, async () => {
    await inPlace(async ({ hub, token, home }) => {
      const headers = { Authorization: `Bearer ${token}` };
      const server = { type: "streamable-http", url: `${hub.url}/mcp`, headers, protocolEra: era };
      writeFileSync(join(home, "insp.json"), JSON.stringify({ mcpServers: { hub: server } }));
      await tryEverything(inspector(["--config", join(home, "insp.json"), "--server", "hub"], home, 5));
    });
  });
}

test("inspector CLI over stdio", async () => {
  await inPlace(async ({ home }) => {
    const server = { type: "stdio", command: process.execPath, args: [CLI, "mcp"], env: { CTO_HOME: home } };
    writeFileSync(join(home, "insp.json"), JSON.stringify({ mcpServers: { hub: server } }));
    await tryEverything(inspector(["--config", join(home, "insp.json"), "--server", "hub"], home, 5));
  });
});

function mcporter(home: string): Calls {
  const ask = (...args: string[]) => run("mcporter", ["--config", join(home, "mcporter.json"), ...args], home);
  return {
    async list() {
      const { stdout, stderr } = await ask("list", "hub", "--json");
      const tools = (JSON.parse(stdout) as { tools?: { name: string }[] }).tools;
      assert.ok(tools, stderr);
      return tools.map((tool) => tool.name);
    },
    async call(name, args) {
      const { code, stdout, stderr } = await ask(
        "call",
        `hub.${name}`,
        "--args",
        JSON.stringify(args),
        "--output",
        "text",
      );
      return { text: stdout + stderr, isError: code !== 0 || /isError|error/i.test(stderr) };
    },
    // It has no command for prompts.
    prompt: async () => "whats_next",
    resource: async (uri) => (await ask("resource", "hub", uri)).stdout,
    close: async () => {},
  };
}

for (const [words, server] of [
  ["HTTP", ({ hub, token }: Place) => ({ baseUrl: `${hub.url}/mcp`, headers: { Authorization: `Bearer ${token}` } })],
  ["stdio", ({ home }: Place) => ({ command: process.execPath, args: [CLI, "mcp"], env: { CTO_HOME: home } })],
] as const) {
  test(`mcporter over ${words}`, async () => {
    await inPlace(async (place) => {
      writeFileSync(
        join(place.home, "mcporter.json"),
        JSON.stringify({ mcpServers: { hub: server(place) }, imports: [] }),
      );
      await tryEverything(mcporter(place.home));
    });
  });
}
