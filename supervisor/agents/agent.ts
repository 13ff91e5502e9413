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
  /**
   * How a session ended, from everything that it printed (but for texts and what is unknown) and
   * its exit code, null when it left none. Without it only the session's task is judged.
   */
  outcome?(events: readonly AgentEvent[], exit: number | null): AgentOutcome;
  /** True when its sessions ask for their project's next task by themselves after one is done. */
  readonly goesOn?: boolean;
}

/** What ended a session, when it was not the agent's own doing. */
export type AgentOutcome =
  /** It ended by itself: its task says whether well. */
  | { kind: "ended" }
  /** A usage window is used up. `resetsAt` is epoch ms as the client reported it; null when it did not. */
  | { kind: "limit"; window: string; resetsAt: number | null }
  /** The service is overloaded or out of reach for the moment. */
  | { kind: "busy"; why: string }
  /** It never reached the hub's tools. */
  | { kind: "no_hub"; why: string }
  /** Nothing of this agent can run until a person has acted: `act` says how. */
  | { kind: "person"; why: string; act: string }
  /** Something that it asked for was not permitted. Each line allows one when it is put into the agent's `allow`. */
  | { kind: "denied"; lines: string[] };

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
  /** What the project permits and says of itself. */
  project?: {
    /** The check command; empty when there is none. */
    check: string;
    /** The repository's own words for agents: text from outside. */
    instructions: string;
    /** The folder that holds the workspaces of all of the project's tasks. */
    workspaces: string;
  };
  /** More that its sessions may do, in the client's own words. */
  allow?: string[];
  /** The program, with its first arguments, that hooks run inside the machine. */
  hookCommand?: string[];
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

/** What was seen in an agent's output. Lines that an adapter does not know arrive as `unknown`. */
export type AgentEvent =
  | { kind: "text"; text: string }
  | { kind: "unknown"; raw: string }
  /** The client is up. `hub` says whether it is connected with the hub's tools. */
  | { kind: "started"; version: string; hub: "connected" | "pending" | "missing" }
  /** What the client was told of a usage window. `resetsAt` is epoch ms. */
  | { kind: "window"; window: string; status: string; resetsAt: number | null; overage: boolean }
  /** The client tries a request again by itself. */
  | { kind: "retry"; status: number | null }
  | { kind: "tool"; name: string }
  /** A call to the model failed for good. Words and codes are the client's. */
  | { kind: "error"; error: string; status: number | null; text: string }
  /** A turn has ended. `denials` are calls that were not permitted. */
  | { kind: "result"; ok: boolean; error: ResultError; denials: Denial[] };

export interface ResultError {
  status: number | null;
  type: string;
  text: string;
}

export interface Denial {
  tool: string;
  input: Record<string, unknown>;
}
