import type { Answer } from "./connection.ts";

const PROTOCOL = "2026-07-28";
const META = {
  "io.modelcontextprotocol/protocolVersion": PROTOCOL,
  "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1.0.0" },
  "io.modelcontextprotocol/clientCapabilities": {},
};

/** Whom a request goes to, and as whom. */
export interface To {
  port: number;
  token: string;
}

/** A plain GET, for the server that only says hello. */
export const HELLO = Buffer.from("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");

/** A `tools/call` of the newest protocol, whole, as bytes. */
export function toolCall(to: To, name: string, args: object): Buffer {
  return post(to, { "mcp-method": "tools/call", "mcp-name": name }, "tools/call", {
    name,
    arguments: args,
    _meta: META,
  });
}

/** Opens a stream on which a session hears of changed resources. */
export function listenCall(to: To): Buffer {
  const params = { notifications: { resourcesListChanged: true }, _meta: META };
  return post(to, { "mcp-method": "subscriptions/listen" }, "subscriptions/listen", params);
}

/** A request of the 2025 protocol to a server that keeps sessions. */
export function sessionCall(
  port: number,
  session: string | undefined,
  method: string,
  params: object,
  id?: number,
): Buffer {
  const headers = session === undefined ? {} : { "mcp-session-id": session, "mcp-protocol-version": "2025-06-18" };
  return requestOf(
    port,
    "POST",
    headers,
    JSON.stringify({ jsonrpc: "2.0", method, params, ...(id !== undefined && { id }) }),
  );
}

/** Opens a stream of the 2025 protocol. */
export function sessionStream(port: number, session: string): Buffer {
  return requestOf(port, "GET", { "mcp-session-id": session, "mcp-protocol-version": "2025-06-18" }, "");
}

function post({ port, token }: To, headers: Record<string, string>, method: string, params: object): Buffer {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  return requestOf(
    port,
    "POST",
    { ...headers, "mcp-protocol-version": PROTOCOL, authorization: `Bearer ${token}` },
    body,
  );
}

function requestOf(port: number, method: "GET" | "POST", headers: Record<string, string>, body: string): Buffer {
  const all = {
    host: `127.0.0.1:${port}`,
    accept: method === "GET" ? "text/event-stream" : "application/json, text/event-stream",
    ...(body !== "" && { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) }),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} /mcp HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
}

/** What a tool answered, as data. Throws when the call did not succeed. */
export function dataOf({ status, body }: Answer): Record<string, unknown> {
  if (status !== 200) throw new Error(`the server answered ${status}: ${body.slice(0, 300)}`);
  // The older protocol may answer as a stream of one event.
  const text = body.startsWith("{") ? body : (/^data: (.*)$/m.exec(body)?.[1] ?? body);
  const { result, error } = JSON.parse(text) as {
    result?: { isError?: boolean; structuredContent?: Record<string, unknown> };
    error?: unknown;
  };
  if (result === undefined || result.isError === true) throw new Error(JSON.stringify(error ?? result).slice(0, 300));
  return result.structuredContent ?? {};
}

/** A cheap look at an answer inside a measured round. */
export function check({ status, body }: Answer): void {
  if (status !== 200 || body.includes('"isError":true')) throw new Error(`${status}: ${body.slice(0, 300)}`);
}
