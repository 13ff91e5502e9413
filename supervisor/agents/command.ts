import { posix } from "node:path";
import type { AgentCli, AgentEvent, AgentParser } from "./agent.ts";
import { createChunkParser } from "./chunk-parser.ts";

/** Characters of one output line that are kept; an event never has more. */
const MAX_LINE = 4_000;
/** Characters of a line that are looked at: escape sequences and redrawn text may fill much of it. */
const MAX_RAW_LINE = 4 * MAX_LINE;

const ESCAPE = String.fromCharCode(0x1b);
/** CSI sequences; OSC, DCS, APC, PM and SOS up to their end (or the line's); other escapes. */
const ANSI = new RegExp(
  `(?:${ESCAPE}\\[|\\u009b)[0-?]*[ -/]*[@-~]?` +
    `|(?:${ESCAPE}[\\]PX^_]|[\\u0090\\u0098\\u009d-\\u009f])[^\\u0007\\u009c${ESCAPE}]*(?:\\u0007|\\u009c|${ESCAPE}\\\\|$)?` +
    `|${ESCAPE}[ -/]*[0-~]?`,
  "gu",
);
/** Controls but for the tab, and those that turn the direction of text. */
const CONTROLS = /(?!\t)[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;

/**
 * The `command` agent: any program that speaks MCP to the hub. It is told everything by its
 * environment, where our own names win over configured ones: CTO_MCP_URL, CTO_TOKEN,
 * CTO_SESSION_ID, CTO_WORKSPACE and CTO_MCP_CONFIG, the path of an `.mcp.json` that names the
 * token by reference. Each line it prints becomes a text event.
 */
export const commandAgent: AgentCli = {
  cli: "command",

  launch(launch) {
    const config = posix.join(launch.runFolder, "mcp.json");
    return {
      argv: [launch.command, ...launch.args],
      env: {
        ...launch.env,
        CTO_MCP_URL: launch.mcpUrl,
        CTO_TOKEN: launch.token,
        CTO_SESSION_ID: launch.sessionId,
        CTO_WORKSPACE: launch.workspace,
        CTO_MCP_CONFIG: config,
      },
      files: [{ path: config, data: mcpConfig(launch.mcpUrl), mode: 0o600 }],
    };
  },

  createParser: createLineParser,
};

function mcpConfig(url: string): string {
  const cto = { type: "http", url, headers: { Authorization: "Bearer ${CTO_TOKEN}" } };
  return JSON.stringify({ mcpServers: { cto } }, undefined, 2) + "\n";
}

function createLineParser(): AgentParser {
  // Bounded: what a line has beyond MAX_RAW_LINE is dropped as it comes.
  let line = "";

  const add = (text: string) => {
    if (line.length < MAX_RAW_LINE) line += text.slice(0, MAX_RAW_LINE - line.length);
  };
  const take = (): AgentEvent[] => {
    const text = readable(line);
    line = "";
    return text === "" ? [] : [{ kind: "text", text }];
  };

  return createChunkParser(add, take);
}

/** What a person would see of a line: the last redraw, without colours and controls, cut to length. */
function readable(line: string): string {
  const plain = line.replace(ANSI, "");
  const drawn = plain
    .split("\r")
    .map((part) => part.replace(CONTROLS, "").trimEnd())
    .findLast((part) => part !== "");
  return (drawn ?? "").slice(0, MAX_LINE).toWellFormed();
}
