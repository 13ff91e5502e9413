import { createAdaptorServer } from "@hono/node-server";
import { createMcpHandler, McpServer, type CallToolResult } from "@modelcontextprotocol/server";
import type { AddressInfo } from "node:net";
import { TOOLS } from "../../../tools/index.ts";
import { answering } from "./answering.ts";
import { trivialAnswer } from "./trivial.ts";

/** The SDK's own way: a server for each request, with the product's tools registered, that do nothing. */
const handler = createMcpHandler(() => {
  const server = new McpServer({ name: "baseline", version: "1.0.0" });
  for (const { name, title, description, input, output, annotations } of TOOLS) {
    const answer = trivialAnswer(name) as CallToolResult;
    server.registerTool(
      name,
      { title, description, inputSchema: input, outputSchema: output, annotations },
      () => answer,
    );
  }
  return server;
});
const server = createAdaptorServer({
  fetch: (request) => handler.fetch(request),
  overrideGlobalObjects: false,
  // A connection may rest between two rounds.
  serverOptions: { keepAliveTimeout: 60_000 },
});
const port = new Promise<number>((resolve) => {
  server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
});
answering(port, async () => undefined);
