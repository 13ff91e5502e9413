import { createTokens, type NewToken, type Tokens } from "../../hub/access/tokens.ts";
import { systemClock, type Clock } from "../../hub/base/clock.ts";
import { silentLog, type Log } from "../../hub/base/log.ts";
import { newSessionId } from "../../hub/base/ids.ts";
import { SUPERVISOR, type Principal } from "../../hub/base/session.ts";
import type { Stop } from "../../hub/base/stop-file.ts";
import { createHttp, type Http, type HttpOptions } from "../../hub/http.ts";
import { createMcp, type Mcp, type McpOptions } from "../../hub/mcp.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";
import type { Store } from "../../hub/stores/store.ts";
import type { AnyTool } from "../../tools/tool.ts";
import { TOOLS } from "../../tools/index.ts";

/** The web side of a hub on a database in memory, listening on a free port. */
export interface McpHub {
  url: string;
  port: number;
  store: Store;
  tokens: Tokens;
  mcp: Mcp;
  http: Http;
  clock: Clock;
  /** STOP, without a file. */
  stop: { current: Stop | undefined };
  /** A token that is not bound to a session. */
  token(grant?: Partial<NewToken>): Promise<string>;
  /** A session of ours with its token: of one project, or of all. */
  session(projectId?: number): Promise<{ id: string; token: string }>;
  /** A project whose repository, and so its lane, is its own. */
  project(name: string, more?: Partial<Parameters<Store["addProject"]>[1]>): Promise<number>;
  task(projectId: number, description: string): Promise<number>;
  /** Calls a tool and answers its result; see `ToolResult`. */
  call(token: string, name: string, args?: Record<string, unknown>): Promise<ToolResult>;
  /** One JSON-RPC request of the newest protocol. */
  rpc(token: string | undefined, method: string, params?: Record<string, unknown>, id?: unknown): Promise<RpcAnswer>;
  /** What a session of ours has when it starts: a task with a workspace. Answers the claim's data. */
  claimed(session: { id: string; token: string }): Promise<{ task: string; fence: number; id: number }>;
}

export interface ToolResult {
  text: string;
  data: Record<string, unknown> | undefined;
  isError: boolean;
}

export interface RpcAnswer {
  status: number;
  id?: unknown;
  result?: Record<string, unknown>;
  error?: { code: number; message: string };
}

export interface McpHubOptions {
  clock?: Clock;
  log?: Log;
  mcp?: Partial<McpOptions>;
  http?: Partial<HttpOptions>;
  store?: Store;
}

const PROTOCOL = "2026-07-28";

/** Runs `work` with a hub's web side and closes everything after it. */
export async function withMcpHub<T>(work: (hub: McpHub) => Promise<T>, options: McpHubOptions = {}): Promise<T> {
  const clock = options.clock ?? systemClock;
  const store = options.store ?? openSqliteStore({ path: ":memory:" });
  await store.setAgents([{ name: "worker", model: "" }], clock.now());
  const stop: McpHub["stop"] = { current: undefined };
  const tokens = createTokens(store, clock);
  const log = options.log ?? silentLog;
  const mcp = createMcp({ store, clock, log, version: "0.0.0", stop: stopIn(stop), ...options.mcp });
  const http = createHttp({ mcp, tokens, clock, log, ...options.http });
  const { port, url } = await http.listen(0);
  const hub = { url, port, store, tokens, mcp, http, clock, stop };
  try {
    return await work({ ...hub, ...helpers(hub) });
  } finally {
    await http.stop();
    store.close();
  }
}

function stopIn(stop: McpHub["stop"]): McpOptions["stop"] {
  return {
    set: async (by, why) => void (stop.current ??= { at: "2026-11-22T10:00:00Z", by: by.name, why }),
    async release() {
      const was = stop.current !== undefined;
      stop.current = undefined;
      return was;
    },
    read: () => stop.current,
  };
}

function helpers(hub: Pick<McpHub, "url" | "store" | "tokens" | "clock">) {
  const { store, tokens, clock } = hub;

  async function token(grant: Partial<NewToken> = {}): Promise<string> {
    return (await tokens.issue(SUPERVISOR, { role: "human", label: "test", ttlMs: null, ...grant })).token;
  }

  async function session(projectId?: number): Promise<{ id: string; token: string }> {
    const id = newSessionId();
    const project = projectId ?? null;
    await store.openSession(
      { id, agent: "worker", projectId: project, kind: "supervised", machine: "native" },
      clock.now(),
    );
    const grant = { role: "agent" as const, sessionId: id, ...(projectId !== undefined && { projectId }) };
    return { id, token: await token(grant) };
  }

  async function rpc(
    bearer: string | undefined,
    method: string,
    params: Record<string, unknown> = {},
    id: unknown = 1,
  ) {
    const name = params["name"] ?? params["uri"];
    const response = await fetch(`${hub.url}/mcp`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "mcp-protocol-version": PROTOCOL,
        "mcp-method": method,
        ...(typeof name === "string" && { "mcp-name": name }),
        ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
      },
      body: JSON.stringify({ jsonrpc: "2.0", id, method, params: { ...params, _meta: META } }),
    });
    return { status: response.status, ...((await response.json()) as Omit<RpcAnswer, "status">) };
  }

  async function call(bearer: string, name: string, args: Record<string, unknown> = {}): Promise<ToolResult> {
    const answer = await rpc(bearer, "tools/call", { name, arguments: args });
    const result = answer.result as
      | { content: { text: string }[]; structuredContent?: Record<string, unknown>; isError?: boolean }
      | undefined;
    if (result === undefined) throw new Error(`${name}: ${answer.status} ${JSON.stringify(answer.error)}`);
    checkOutput(name, result);
    return {
      text: result.content.map((part) => part.text).join("\n"),
      data: result.structuredContent,
      isError: result.isError === true,
    };
  }

  return {
    token,
    session,
    rpc,
    call,
    async project(name: string, more: Partial<Parameters<Store["addProject"]>[1]> = {}) {
      const input = { name, repo: `/repositories/${name.toLowerCase().replace(/\W+/g, "-")}`, ...more };
      return (await store.addProject(PERSON, input, clock.now())).id;
    },
    async task(projectId: number, description: string) {
      return (await store.addTask(PERSON, { projectId, description, origin: "sheet" }, clock.now())).id;
    },
    async claimed(own: { id: string; token: string }) {
      const first = await store.claim(own.id, clock.now());
      if (first === undefined) throw new Error("there was nothing to claim");
      const { id, fence } = first.task;
      await store.recordWorkspace(id, fence, { path: `/w/T${id}`, base: "b".repeat(40) }, clock.now());
      return { task: `T${id}`, fence, id };
    },
  };
}

const META = {
  "io.modelcontextprotocol/protocolVersion": PROTOCOL,
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1.0.0" },
  "io.modelcontextprotocol/clientCapabilities": {},
};

/** Stands for what a person typed. */
export const PERSON: Principal = { role: "human", name: "sheet", sessionId: null, projectId: null };

/** Every answer that any test sees fits what `tools/list` promises: clients check it. */
function checkOutput(name: string, result: { structuredContent?: unknown; isError?: boolean }): void {
  const tool: AnyTool | undefined = TOOLS.find((each) => each.name === name);
  if (tool !== undefined && result.isError !== true) tool.output.parse(result.structuredContent);
}
