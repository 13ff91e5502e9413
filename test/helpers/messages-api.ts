import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { randomId } from "../../hub/base/ids.ts";

/**
 * A stand-in of the Anthropic Messages API on loopback, for the real Claude Code: a script takes
 * the model's place. It speaks server-sent events with tool use, usage and the unified limit
 * headers, and refuses in the shapes that the client knows.
 */
export interface MessagesApi {
  /** For ANTHROPIC_BASE_URL. */
  url: string;
  /** Every request for a message that a session of work made, in order. */
  requests: ModelRequest[];
  close(): Promise<void>;
}

export interface ModelRequest {
  /** Times that the model has answered in this conversation. */
  turn: number;
  model: string;
  system: string;
  /** All text of the conversation, results of tools too. */
  text: string;
  /** What the last message holds: results of tools, or what the user or a hook said. */
  last: string;
  tools: string[];
  /** `authorization` or `x-api-key`, as it was sent. */
  credential: string;
}

/** What the stand-in answers: blocks of a message, or a refusal. */
export type ModelReply =
  | { say?: string; calls?: ToolCall[]; headers?: Record<string, string>; usage?: Partial<Usage> }
  | { status: number; type: string; message: string; headers?: Record<string, string> }
  /** The connection is cut after the first bytes of an answer. */
  | { cut: true }
  /** No answer until the client gives up. */
  | { hang: true };

export interface ToolCall {
  name: string;
  input: object;
}

interface Usage {
  input_tokens: number;
  output_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
}

export type Model = (request: ModelRequest) => ModelReply | Promise<ModelReply>;

/** Tools of the hub as the client names them. */
export function hubTool(name: string, input: object = {}): ToolCall {
  return { name: `mcp__cto__${name}`, input };
}

/** Starts a stand-in in which `model` answers. */
export async function startMessagesApi(model: Model): Promise<MessagesApi> {
  const requests: ModelRequest[] = [];
  const server = createServer((request, response) => {
    void serve(request, response, model, requests).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500, { "content-type": "application/json" });
      response.end(JSON.stringify({ type: "error", error: { type: "api_error", message: String(error) } }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function serve(request: IncomingMessage, response: ServerResponse, model: Model, requests: ModelRequest[]) {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const path = (request.url ?? "").split("?", 1)[0];
  if (request.method !== "POST" || path !== "/v1/messages") {
    const found = path === "/v1/messages/count_tokens";
    response.writeHead(found ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(found ? { input_tokens: 100 } : { type: "error", error: { type: "not_found_error" } }));
    return;
  }
  const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Body;
  const asked = requestOf(body, request);
  // The client asks little things besides: a title, whether there is quota. No tools, no work.
  const aside = asked.tools.length === 0;
  if (!aside) requests.push(asked);
  const reply = aside ? { say: "ok" } : await model(asked);
  if ("hang" in reply) return;
  if ("cut" in reply) {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("event: message_start\n");
    response.destroy();
    return;
  }
  if ("status" in reply) return refuse(response, reply);
  if (body.stream === true) stream(response, body, reply);
  else whole(response, body, reply);
}

interface Body {
  model: string;
  stream?: boolean;
  system?: string | { text?: string }[];
  messages: { role: string; content: string | Block[] }[];
  tools?: { name: string }[];
}

interface Block {
  type: string;
  text?: string;
  content?: string | Block[];
}

function requestOf(body: Body, request: IncomingMessage): ModelRequest {
  const last = body.messages.at(-1);
  const system = body.system ?? "";
  return {
    turn: body.messages.filter(({ role }) => role === "assistant").length,
    model: body.model,
    system: typeof system === "string" ? system : system.map(({ text }) => text ?? "").join("\n"),
    text: body.messages.map(({ content }) => textOf(content)).join("\n"),
    last: last === undefined ? "" : textOf(last.content),
    tools: (body.tools ?? []).map(({ name }) => name),
    credential: request.headers.authorization ?? String(request.headers["x-api-key"] ?? ""),
  };
}

function textOf(content: string | Block[] | undefined): string {
  if (content === undefined) return "";
  if (typeof content === "string") return content;
  return content.map((block) => block.text ?? textOf(block.content)).join("\n");
}

type Message = Extract<ModelReply, { say?: string }>;

function refuse(response: ServerResponse, reply: Extract<ModelReply, { status: number }>): void {
  const requestId = `req_${randomId(9)}`;
  response.writeHead(reply.status, { "content-type": "application/json", "request-id": requestId, ...reply.headers });
  const error = { type: reply.type, message: reply.message };
  response.end(JSON.stringify({ type: "error", error, request_id: requestId }));
}

function usageOf(reply: Message): Usage {
  const nothing = { cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
  return { input_tokens: 100, output_tokens: 20, ...nothing, ...reply.usage };
}

function blocksOf({ say, calls = [] }: Message) {
  const text = say === undefined && calls.length > 0 ? [] : [{ type: "text", text: say ?? "" }];
  return [...text, ...calls.map(({ name, input }) => ({ type: "tool_use", id: `toolu_${randomId(12)}`, name, input }))];
}

function startOf(body: Body, reply: Message) {
  const usage = { ...usageOf(reply), output_tokens: 1 };
  const { model } = body;
  return { id: `msg_${randomId(12)}`, type: "message", role: "assistant", model, content: [], usage };
}

function whole(response: ServerResponse, body: Body, reply: Message): void {
  const stop_reason = (reply.calls ?? []).length > 0 ? "tool_use" : "end_turn";
  response.writeHead(200, { "content-type": "application/json", ...reply.headers });
  response.end(
    JSON.stringify({
      ...startOf(body, reply),
      content: blocksOf(reply),
      stop_reason,
      stop_sequence: null,
      usage: usageOf(reply),
    }),
  );
}

function stream(response: ServerResponse, body: Body, reply: Message): void {
  const requestId = `req_${randomId(9)}`;
  response.writeHead(200, { "content-type": "text/event-stream", "request-id": requestId, ...reply.headers });
  const send = (event: { type: string } & Record<string, unknown>) =>
    response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  send({ type: "message_start", message: { ...startOf(body, reply), stop_reason: null, stop_sequence: null } });
  for (const [index, block] of blocksOf(reply).entries()) {
    if ("input" in block) {
      send({ type: "content_block_start", index, content_block: { ...block, input: {} } });
      const delta = { type: "input_json_delta", partial_json: JSON.stringify(block.input) };
      send({ type: "content_block_delta", index, delta });
    } else {
      send({ type: "content_block_start", index, content_block: { type: "text", text: "" } });
      send({
        type: "content_block_delta",
        index,
        delta: { type: "text_delta", text: "text" in block ? block.text : "" },
      });
    }
    send({ type: "content_block_stop", index });
  }
  const stop_reason = (reply.calls ?? []).length > 0 ? "tool_use" : "end_turn";
  send({ type: "message_delta", delta: { stop_reason, stop_sequence: null }, usage: usageOf(reply) });
  send({ type: "message_stop" });
  response.end();
}

/** The refusals of the service, as its clients see them. */
export const REFUSALS = {
  /** `resetsAt` in epoch ms. */
  limit: (resetsAt: number | undefined, window: "five_hour" | "seven_day" = "five_hour"): ModelReply => ({
    status: 429,
    type: "rate_limit_error",
    message: "This request would exceed your account's rate limit. Please try again later.",
    headers: { ...limitHeaders("rejected", resetsAt, window), "retry-after": "7200", "x-should-retry": "false" },
  }),
  overloaded: { status: 529, type: "overloaded_error", message: "Overloaded" } as ModelReply,
  unauthorized: { status: 401, type: "authentication_error", message: "OAuth token has expired." } as ModelReply,
  billing: {
    status: 400,
    type: "invalid_request_error",
    message: "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
  } as ModelReply,
  keyLimit: {
    status: 429,
    type: "rate_limit_error",
    message: "This request would exceed your account's rate limit. Please try again later.",
    headers: { "x-should-retry": "false" },
  } as ModelReply,
  model: { status: 404, type: "not_found_error", message: "model: nosuch" } as ModelReply,
};

/** The headers that tell of the usage windows; `resetsAt` in epoch ms, none when it is not said. */
export function limitHeaders(
  status: "allowed" | "allowed_warning" | "rejected",
  resetsAt: number | undefined,
  window: "five_hour" | "seven_day" = "five_hour",
): Record<string, string> {
  const short = window === "five_hour" ? "5h" : "7d";
  const other = window === "five_hour" ? "7d" : "5h";
  const prefix = "anthropic-ratelimit-unified";
  const reset = resetsAt === undefined ? undefined : String(Math.floor(resetsAt / 1_000));
  return {
    [`${prefix}-status`]: status,
    [`${prefix}-${short}-status`]: status,
    [`${prefix}-${short}-utilization`]: status === "rejected" ? "1.0" : "0.92",
    [`${prefix}-${other}-status`]: "allowed",
    [`${prefix}-${other}-utilization`]: "0.31",
    [`${prefix}-representative-claim`]: window,
    [`${prefix}-overage-status`]: "rejected",
    [`${prefix}-overage-disabled-reason`]: "org_level_disabled",
    ...(reset !== undefined && { [`${prefix}-reset`]: reset, [`${prefix}-${short}-reset`]: reset }),
  };
}
