import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { answering } from "./answering.ts";

/** The floor: what a request costs when there is nothing to do. */
const server = createServer((_request, response) => {
  response.setHeader("content-type", "text/plain");
  response.end("hello");
});
// A connection may rest between two rounds.
server.keepAliveTimeout = 60_000;
const port = new Promise<number>((resolve) => {
  server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
});
answering(port, async () => undefined);
