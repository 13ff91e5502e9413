import { readFileSync } from "node:fs";
import { createLog } from "../base/log.ts";
import { systemClock } from "../base/clock.ts";
import type { Home } from "../base/home.ts";
import { readArguments } from "./arguments.ts";
import type { Command, Io } from "./command.ts";
import { homeOf } from "./hub-client.ts";
import { createBridge, type HubAddress } from "./mcp-bridge.ts";

export const command: Command = {
  name: "mcp",
  summary: "speak MCP on stdin and stdout, for clients that start a program",
  usage: `Usage: cto mcp

Carries an MCP client's messages to the running hub and the answers back. The hub may be
stopped and started again meanwhile: the next call works. Logs go to stderr.

The token is taken from CTO_TOKEN, else the command line's own is used. The hub is found
through CTO_HOME.

Example, as a client's configuration:
  { "mcpServers": { "cto": { "command": "cto", "args": ["mcp"] } } }
`,
  async run(args, io) {
    readArguments(args, {}, 0);
    const home = homeOf(io);
    const log = createLog("warn", { write: (line) => void io.stderr.write(line) });
    const bridge = createBridge({
      hub: () => addressOf(home, io),
      send: (message) => void io.stdout.write(`${JSON.stringify(message)}\n`),
      clock: systemClock,
      log,
    });
    const stopListening = io.signals.on(() => bridge.close());
    try {
      await bridge.run(io.stdin);
    } finally {
      stopListening();
    }
    return 0;
  },
};

/** Where the hub is now and with which token; read for each call, since a restart may change both. */
function addressOf(home: Home, io: Pick<Io, "env">): HubAddress | undefined {
  try {
    const { url } = JSON.parse(readFileSync(home.hubFile, "utf8")) as { url?: unknown };
    const named = io.env["CTO_TOKEN"];
    const token = named !== undefined && named !== "" ? named : readFileSync(home.adminTokenFile, "utf8").trim();
    return typeof url === "string" ? { url: new URL("/mcp", url).href, token } : undefined;
  } catch {
    return undefined;
  }
}
