import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { TOOLS } from "../../../tools/index.ts";
import { answering } from "./answering.ts";
import { trivialAnswer } from "./trivial.ts";

/** The first SDK's usual way: a server and a transport for each session, kept until it ends. */
const sessions = new Map<string, StreamableHTTPServerTransport>();

async function newSession(): Promise<StreamableHTTPServerTransport> {
  const server = new McpServer({ name: "baseline", version: "1.0.0" });
  for (const { name, title, description, input, output, annotations } of TOOLS) {
    const answer = trivialAnswer(name) as CallToolResult;
    server.registerTool(
      name,
      { title, description, inputSchema: input as never, outputSchema: output as never, annotations },
      (() => answer) as never,
    );
  }
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    enableJsonResponse: true,
    onsessioninitialized: (id) => void sessions.set(id, transport),
  });
  // Its optional handlers are typed looser than the interface that it implements.
  // oxlint-disable-next-line typescript/no-unnecessary-type-assertion -- tsc needs it
  await server.connect(transport as Transport);
  return transport;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString("utf8"));
}

const server = createServer((request, response) => {
  void (async () => {
    const body = request.method === "POST" ? await bodyOf(request) : undefined;
    const known = sessions.get(String(request.headers["mcp-session-id"] ?? ""));
    await (known ?? (await newSession())).handleRequest(request, response, body);
  })();
});
// A connection may rest between two rounds.
server.keepAliveTimeout = 60_000;
const port = new Promise<number>((resolve) => {
  server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
});
answering(port, async () => undefined);
