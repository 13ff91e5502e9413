import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";

/** The running hub's MCP endpoint. */
export interface HubAddress {
  url: string;
  token: string;
}

export interface BridgeParts {
  /** Where the hub is now; undefined when none is running. */
  hub(): HubAddress | undefined;
  /** Hands one message to the client. */
  send(message: unknown): void;
  clock: Clock;
  log: Log;
  fetch?: typeof fetch;
}

export interface Bridge {
  /** Carries what `input` says until it ends, then what is still under way, for some seconds. */
  run(input: AsyncIterable<Buffer | string>): Promise<void>;
  /** Gives up what is under way. */
  close(): void;
}

/** A message as JSON-RPC knows it. What else is in it is the hub's business. */
interface Message {
  id?: string | number | null;
  method?: string;
  params?: { name?: unknown; uri?: unknown; requestId?: unknown; _meta?: Record<string, unknown> };
}

const PROTOCOL_KEY = "io.modelcontextprotocol/protocolVersion";
/** A line that is longer is no message of ours. */
const MAX_LINE = 1024 * 1024;
/** How long a call waits for a hub that is being started again. Clients wait a minute. */
const PATIENCE_MS = 30_000;
const RETRY_MS = 200;
const LISTEN_RETRY_MS = 2_000;
/** What is under way when the client has said its last word still gets this long. */
const FAREWELL_MS = 5_000;
const MAX_UNDER_WAY = 64;

/**
 * A plain forwarder: it knows of the protocol only what HTTP must repeat in headers, so that
 * every revision that the hub speaks is spoken over stdio as well. A call that is cut off is
 * sent again, which every call of the hub allows.
 */
export function createBridge(parts: BridgeParts): Bridge {
  const { send, log, clock } = parts;
  const fetchFn = parts.fetch ?? fetch;
  const closed = new AbortController();
  const underWay = new Map<Promise<void>, { message: Message; abort: AbortController }>();
  /** What a client of the 2025 revisions has negotiated. */
  let negotiated: string | undefined;

  /** One attempt. False when the hub was not there or went away before it had answered. */
  async function post(message: Message | Message[], signal: AbortSignal, listens: boolean): Promise<boolean> {
    const hub = parts.hub();
    if (hub === undefined) return false;
    let response: Response;
    try {
      const body = JSON.stringify(message);
      response = await fetchFn(hub.url, {
        method: "POST",
        headers: headersFor(message, hub),
        body,
        signal,
        redirect: "error",
      });
    } catch (error) {
      if (!signal.aborted) log.warn({ error: messageOf(error) }, "the hub does not answer");
      return false;
    }
    if (response.status === 503 || response.status === 502) return false;
    try {
      return await deliver(message, response, listens);
    } catch (error) {
      if (!signal.aborted) log.warn({ error: messageOf(error) }, "an answer was cut off");
      return false;
    }
  }

  function headersFor(message: Message | Message[], hub: HubAddress): Record<string, string> {
    const headers: Record<string, string> = {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      authorization: `Bearer ${hub.token}`,
    };
    const single = Array.isArray(message) ? {} : message;
    const version = single.params?._meta?.[PROTOCOL_KEY];
    if (typeof version === "string") {
      headers["mcp-protocol-version"] = headerValue(version);
      headers["mcp-method"] = headerValue(single.method ?? "");
      const subject = single.params?.name ?? single.params?.uri;
      if (typeof subject === "string") headers["mcp-name"] = headerValue(subject);
    } else if (negotiated !== undefined && single.method !== "initialize") {
      headers["mcp-protocol-version"] = negotiated;
    }
    return headers;
  }

  /** Hands the answer on. True when it was whole. */
  async function deliver(message: Message | Message[], response: Response, listens: boolean): Promise<boolean> {
    if (response.headers.get("content-type")?.startsWith("text/event-stream") === true) {
      let answered = false;
      for await (const event of eventsIn(response)) {
        answered ||= isAnswer(event);
        remember(message, event);
        // A stream that is opened again for the client acknowledges again: it was told already.
        if (!(listens && repeats(message, event))) send(event);
      }
      return answered || idsOf(message).length === 0;
    }
    const text = await response.text();
    const answer = text === "" ? undefined : (JSON.parse(text) as unknown);
    if (response.ok && answer !== undefined) {
      remember(message, answer);
      send(answer);
    } else if (!response.ok) refuse(message, response.status, answer);
    return true;
  }

  const acknowledged = new Set<string | number>();
  function repeats(message: Message | Message[], event: unknown): boolean {
    const id = Array.isArray(message) ? undefined : message.id;
    if ((event as Message).method !== "notifications/subscriptions/acknowledged" || id === undefined || id === null)
      return false;
    if (acknowledged.has(id)) return true;
    acknowledged.add(id);
    return false;
  }

  function remember(message: Message | Message[], answer: unknown): void {
    if (Array.isArray(message) || message.method !== "initialize") return;
    const version = (answer as { result?: { protocolVersion?: unknown } }).result?.protocolVersion;
    if (typeof version === "string") negotiated = version;
  }

  /** An HTTP error as an answer to each request: over stdio there is no status. */
  function refuse(message: Message | Message[], status: number, answer: unknown): void {
    const known = (answer as { error?: { code?: unknown; message?: unknown; data?: unknown } } | undefined)?.error;
    const words =
      status === 401
        ? "the hub does not know this token: it is wrong, expired, or its session has ended. Stop, or use a new one in CTO_TOKEN"
        : typeof known?.message === "string"
          ? known.message
          : `the hub answered ${status}`;
    const error = { ...(typeof known?.code === "number" ? known : { code: -32_000 }), message: words };
    for (const id of idsOf(message)) send({ jsonrpc: "2.0", id, error });
  }

  async function carry(message: Message | Message[], signal: AbortSignal): Promise<void> {
    const listens = !Array.isArray(message) && message.method === "subscriptions/listen";
    const until = clock.monotonic() + PATIENCE_MS;
    while (!signal.aborted && !(await post(message, signal, listens))) {
      // Somebody who listens does so until told otherwise, however long the hub is away.
      if (!listens && clock.monotonic() > until) return refuse(message, 503, NOT_RUNNING);
      await clock.sleep(listens ? LISTEN_RETRY_MS : RETRY_MS, signal);
    }
  }

  function take(line: string): void {
    let message: Message | Message[];
    try {
      message = JSON.parse(line) as Message | Message[];
    } catch {
      return send({ jsonrpc: "2.0", id: null, error: { code: -32_700, message: "the line is not valid JSON" } });
    }
    if (typeof message !== "object" || message === null)
      return send({ jsonrpc: "2.0", id: null, error: { code: -32_600, message: "the line is not a message" } });
    // Over HTTP a call is cancelled by letting go of its answer, not by a message.
    if (!Array.isArray(message) && message.method === "notifications/cancelled")
      return cancel(message.params?.requestId);
    const abort = new AbortController();
    const work = carry(message, AbortSignal.any([abort.signal, closed.signal])).finally(() => underWay.delete(work));
    underWay.set(work, { message: Array.isArray(message) ? {} : message, abort });
  }

  function cancel(id: unknown): void {
    for (const { message, abort } of underWay.values()) if (message.id === id) abort.abort();
  }

  return {
    async run(input) {
      for await (const line of linesIn(input, MAX_LINE)) {
        if (closed.signal.aborted) break;
        if (line === TOO_LONG)
          send({ jsonrpc: "2.0", id: null, error: { code: -32_600, message: "the line is too long" } });
        else if (line.trim() !== "") take(line);
        while (underWay.size >= MAX_UNDER_WAY) await Promise.race(underWay.keys());
      }
      for (const { message, abort } of underWay.values()) if (message.method === "subscriptions/listen") abort.abort();
      const over = new AbortController();
      const farewell = clock.sleep(FAREWELL_MS, AbortSignal.any([over.signal, closed.signal]));
      await Promise.race([Promise.all(underWay.keys()), farewell]);
      over.abort();
      closed.abort();
    },
    close: () => closed.abort(),
  };
}

const NOT_RUNNING = { error: { code: -32_000, message: "CTO Sidekick is not running. Start it with: cto up" } };

function idsOf(message: Message | Message[]): (string | number)[] {
  const all = Array.isArray(message) ? message : [message];
  return all.flatMap((each) =>
    each.method !== undefined && each.id !== undefined && each.id !== null ? [each.id] : [],
  );
}

function isAnswer(event: unknown): boolean {
  return typeof event === "object" && event !== null && ("result" in event || "error" in event);
}

/** As the protocol writes what a header cannot hold. */
function headerValue(text: string): string {
  return /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text)
    ? text
    : `=?base64?${Buffer.from(text).toString("base64")}?=`;
}

const TOO_LONG = Symbol("too long");

async function* linesIn(
  input: AsyncIterable<Buffer | string>,
  maxChars: number,
): AsyncGenerator<string | typeof TOO_LONG> {
  const decoder = new TextDecoder();
  let rest = "";
  let skipping = false;
  for await (const chunk of input) {
    const lines = (rest + (typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true }))).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!skipping) yield line.length > maxChars ? TOO_LONG : line;
      skipping = false;
    }
    if (rest.length <= maxChars && !skipping) continue;
    if (!skipping) yield TOO_LONG;
    [rest, skipping] = ["", true];
  }
  if (rest !== "" && !skipping) yield rest;
}

/** The messages of a stream of server-sent events. */
async function* eventsIn(response: Response): AsyncGenerator {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of response.body ?? []) {
    const events = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n\r?\n/);
    rest = events.pop() ?? "";
    for (const event of events) {
      const data = event
        .split(/\r?\n/)
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trim())
        .join("\n");
      if (data !== "") yield JSON.parse(data) as unknown;
    }
  }
}
