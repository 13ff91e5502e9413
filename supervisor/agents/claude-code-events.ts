import type { AgentEvent, AgentOutcome, AgentParser, Denial, ResultError } from "./agent.ts";
import { createChunkParser } from "./chunk-parser.ts";

/** Characters of a text or an unknown line that are kept. */
const MAX_TEXT = 4_000;
/** Longest line that is read as an event. Longer ones hold big results of tools, which nobody here needs. */
const MAX_LINE = 4 * 1024 * 1024;
const MAX_DENIALS = 20;
const HUB = "cto";

/**
 * Reads `--output-format stream-json`: one JSON object a line. Whatever it does not know, or
 * cannot read, is kept as `unknown` and changes nothing.
 */
export function createClaudeParser(): AgentParser {
  let line = "";
  let tooLong = false;

  const add = (text: string) => {
    if (line.length + text.length > MAX_LINE) tooLong = true;
    else line += text;
  };
  const take = (): AgentEvent[] => {
    const [text, cut] = [line.trim(), tooLong];
    [line, tooLong] = ["", false];
    if (cut) return [{ kind: "unknown", raw: text.slice(0, MAX_TEXT) }];
    return text === "" ? [] : eventsOf(text);
  };

  return createChunkParser(add, take);
}

type Json = Record<string, unknown>;

function eventsOf(line: string): AgentEvent[] {
  const event = objectOf(parseJson(line));
  const known = event === undefined ? undefined : readEvent(event);
  return known ?? [{ kind: "unknown", raw: line.slice(0, MAX_TEXT) }];
}

/** Undefined for a kind that is not known; an empty list for one that says nothing of use. */
function readEvent(event: Json): AgentEvent[] | undefined {
  switch (event["type"]) {
    case "system":
      return readSystem(event);
    case "assistant":
      return readAssistant(event);
    case "user":
    case "tool_progress":
      return [];
    case "rate_limit_event":
      return [readWindow(objectOf(event["rate_limit_info"]) ?? {})];
    case "result":
      return [{ kind: "result", ok: event["is_error"] !== true, error: errorOf(event), denials: denialsOf(event) }];
    default:
      return undefined;
  }
}

function readSystem(event: Json): AgentEvent[] | undefined {
  switch (event["subtype"]) {
    case "init":
      return [{ kind: "started", version: textOf(event["claude_code_version"]), hub: hubOf(event["mcp_servers"]) }];
    case "api_retry":
      return [{ kind: "retry", status: numberOf(event["error_status"]) }];
    case "hook_started":
    case "hook_response":
    case "permission_denied":
      return [];
    default:
      return undefined;
  }
}

function hubOf(servers: unknown): "connected" | "pending" | "missing" {
  const hub = listOf(servers).find((server) => server["name"] === HUB);
  if (hub?.["status"] === "connected") return "connected";
  return hub?.["status"] === "pending" ? "pending" : "missing";
}

function readAssistant(event: Json): AgentEvent[] {
  const content = listOf(objectOf(event["message"])?.["content"]);
  const events = content.flatMap((block): AgentEvent[] => {
    if (block["type"] === "tool_use") return [{ kind: "tool", name: textOf(block["name"]) }];
    const text = textOf(block["text"]);
    return text === "" ? [] : [{ kind: "text", text }];
  });
  const error = textOf(event["error"]);
  if (error === "") return events;
  const text = events.flatMap((one) => (one.kind === "text" ? [one.text] : [])).join(" ");
  return [...events, { kind: "error", error, status: numberOf(event["api_error_status"]), text }];
}

/** `resetsAt` is in seconds since the epoch. */
function readWindow(info: Json): AgentEvent {
  const seconds = numberOf(info["resetsAt"]);
  return {
    kind: "window",
    window: textOf(info["rateLimitType"]),
    status: textOf(info["status"]),
    resetsAt: seconds === null || seconds <= 0 ? null : seconds * 1_000,
    overage: info["isUsingOverage"] === true || info["overageInUse"] === true,
  };
}

function errorOf(result: Json): ResultError {
  return {
    status: numberOf(result["api_error_status"]),
    type: textOf(result["api_error"]) || textOf(result["api_error_type"]),
    text: textOf(result["result"]),
  };
}

function denialsOf(result: Json): Denial[] {
  return listOf(result["permission_denials"])
    .slice(0, MAX_DENIALS)
    .map((denial) => ({ tool: textOf(denial["tool_name"]), input: objectOf(denial["tool_input"]) ?? {} }));
}

/** What a person must do about each of the errors that no retry mends, by the client's word for it. */
const PERSON: Record<string, string> = {
  authentication_failed:
    "Run `claude setup-token` and put the token into the agent's env as CLAUDE_CODE_OAUTH_TOKEN, or log in with `claude`",
  authentication_error:
    "Run `claude setup-token` and put the new token into the agent's env as CLAUDE_CODE_OAUTH_TOKEN, or log in with `claude`",
  oauth_org_not_allowed: "Log in with an account that may use Claude Code: `claude setup-token`",
  account_on_hold: "Look at the account on claude.ai",
  verification_required: "Verify the account on claude.ai",
  permission_error: "Look at what the account or key may do; `claude setup-token` gives a new token",
  billing_error: "Add credit or correct the payment of the account",
  model_not_found: "Correct the agent's model in config.yaml",
  not_found_error: "Correct the agent's model in config.yaml",
  cloud_credential_error: "Renew the cloud credentials that the agent uses",
};

const BUSY_ERRORS = new Set([
  "overloaded",
  "overloaded_error",
  "server_error",
  "api_error",
  "connection_failed",
  "timeout_error",
]);

/**
 * How a session ended. The exit code and the result's `subtype` tell nothing reliable: a refused
 * permission exits 0 and a used-up window is a "success". What counts is the error of the last
 * result, the windows that were reported, and what was denied.
 */
export function outcomeOf(events: readonly AgentEvent[], _exit: number | null): AgentOutcome {
  const result = events.findLast((event) => event.kind === "result");
  const started = events.find((event) => event.kind === "started");
  const limit = limitOf(events, result?.ok === false ? result.error : undefined);
  if (limit !== undefined) return limit;
  const failed = failureOf(events, result);
  if (failed !== undefined) return failed;
  if (started?.hub === "missing") return { kind: "no_hub", why: "Claude Code started without a connection to the hub" };
  const denied = (result?.denials ?? []).map(allowLine);
  return denied.length > 0 ? { kind: "denied", lines: [...new Set(denied)] } : { kind: "ended" };
}

/** Only an error makes a limit: a window that is used up while overage goes on ends nothing. */
function limitOf(events: readonly AgentEvent[], error: ResultError | undefined): AgentOutcome | undefined {
  if (error === undefined) return undefined;
  const rejected = events.findLast((event) => event.kind === "window" && event.status === "rejected" && !event.overage);
  const said = error.type === "usage_limit_reached";
  if (!said && !(error.status === 429 && rejected !== undefined)) return undefined;
  const window = rejected?.kind === "window" ? rejected : undefined;
  return { kind: "limit", window: window?.window ?? "", resetsAt: window?.resetsAt ?? null };
}

function failureOf(
  events: readonly AgentEvent[],
  result: Extract<AgentEvent, { kind: "result" }> | undefined,
): AgentOutcome | undefined {
  const error = events.findLast((event) => event.kind === "error");
  if (result === undefined || result.ok) return undefined;
  const { status, text } = result.error;
  const why = (text || error?.text || "the model could not be asked").slice(0, 300);
  const kinds = [error?.error ?? "", result.error.type];
  for (const kind of kinds) {
    const act = PERSON[kind];
    if (act !== undefined) return { kind: "person", why, act };
  }
  if (status === 401 || status === 403) return { kind: "person", why, act: PERSON["authentication_error"] ?? "" };
  const busy = kinds.some((kind) => BUSY_ERRORS.has(kind)) || status === 429 || (status !== null && status >= 500);
  return busy ? { kind: "busy", why } : undefined;
}

/** The line for the agent's `allow` that permits what was denied, as exactly as the client can say it. */
function allowLine({ tool, input }: Denial): string {
  if (tool === "Bash") return `Bash(${textOf(input["command"]).replace(/\s+/g, " ").trim()})`;
  const path = textOf(input["file_path"]) || textOf(input["notebook_path"]);
  if (path.startsWith("/")) return `${tool === "Read" ? "Read" : "Edit"}(/${path})`;
  return tool;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function objectOf(value: unknown): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

function listOf(value: unknown): Json[] {
  return Array.isArray(value)
    ? value.flatMap((one: unknown): Json[] => [objectOf(one)].filter((json) => json !== undefined))
    : [];
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value.slice(0, MAX_TEXT).toWellFormed() : "";
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
