import { durationOf, readArguments, switchOption, textOption } from "./arguments.ts";
import { UsageError, type Command } from "./command.ts";
import { homeOf, needHub } from "./hub-client.ts";

/** A file that is pasted once is used for weeks. */
const DEFAULT_TTL = "30d";

export const command: Command = {
  name: "mcp-json",
  summary: "print an .mcp.json for Claude Code or any other MCP client",
  usage: `Usage: cto mcp-json [--project NAME] [--ttl 30d] [--env]

Prints an .mcp.json that works as it is: it holds a new token of role human. Keep the file out
of git. A client that starts programs itself needs no token: let it run "cto mcp".

  --project NAME   the token is good for this project only
  --ttl TIME       how long the token is good, such as 8h or 30d (without it)
  --env            hold no token: the client takes it from its environment's CTO_TOKEN
                   (Claude Code does; make one with cto token create --role human)

Example: cto mcp-json > .mcp.json
`,
  async run(args, io) {
    const parsed = readArguments(
      args,
      { project: { type: "string" }, ttl: { type: "string" }, env: { type: "boolean" } },
      0,
    );
    const [project, ttl, fromEnv] = [
      textOption(parsed, "project"),
      textOption(parsed, "ttl"),
      switchOption(parsed, "env"),
    ];
    if (fromEnv && (project !== undefined || ttl !== undefined))
      throw new UsageError("--env makes no token: --project and --ttl belong to cto token create then.");
    const ttlMs = durationOf(ttl ?? DEFAULT_TTL, "ttl");
    const hub = await needHub(homeOf(io));
    const made = fromEnv
      ? { token: "${CTO_TOKEN}" }
      : await hub.post<{ token: string }>("/tokens", {
          role: "human",
          project,
          label: "cto mcp-json",
          ttlMs,
        });
    io.stdout.write(mcpJson(hub.url, made.token));
    return 0;
  },
};

/** The text of an .mcp.json for the hub at `url`. */
export function mcpJson(url: string, token: string): string {
  const server = { type: "http", url: new URL("/mcp", url).href, headers: { Authorization: `Bearer ${token}` } };
  return `${JSON.stringify({ mcpServers: { cto: server } }, null, 2)}\n`;
}
