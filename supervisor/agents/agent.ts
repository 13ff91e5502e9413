/**
 * An agent CLI: how to start it and how to read what it prints.
 *
 * An adapter is pure: it turns a launch into an argument vector, environment and files, and
 * bytes into events. It starts nothing itself.
 */
export interface AgentCli {
  /** The `cli` value in the configuration that chooses this adapter. */
  readonly cli: string;
  launch(launch: AgentLaunch): AgentCommand;
  /** A parser for one session's stdout; keeps what it cannot read as text. */
  createParser(): AgentParser;
}

export interface AgentLaunch {
  sessionId: string;
  /** The program and arguments that the person configured. */
  command: string;
  args: string[];
  env: Record<string, string>;
  model: string;
  /** `http://…/mcp` as seen from inside the machine. */
  mcpUrl: string;
  /** The session's own token. It must not reach the argument vector. */
  token: string;
  workspace: string;
  /** A folder of the session's own inside the machine, readable by its user only. */
  runFolder: string;
}

export interface AgentCommand {
  argv: string[];
  env: Record<string, string>;
  /** Files to put into the run folder before the start. */
  files: { path: string; data: string; mode: number }[];
}

export interface AgentParser {
  /** Bytes as they were read (a character or a line may be cut at either end), or text. */
  push(chunk: string | Uint8Array): AgentEvent[];
  /** What a last line without a line break still holds, once the output has ended. */
  end?(): AgentEvent[];
}

/** What was seen in an agent's output. Kinds that an adapter does not know arrive as `text`. */
export type AgentEvent = { kind: "text"; text: string } | { kind: "unknown"; raw: string };
