import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import { Hono, type Context, type MiddlewareHandler } from "hono";
import type { Server } from "node:http";
import { addressesOf } from "./access/addresses.ts";
import { readJsonBody, readText } from "./access/json-body.ts";
import { createRateLimit, type Rate } from "./access/rate-limit.ts";
import { bearerOf, type Tokens } from "./access/tokens.ts";
import { SECOND, type Clock } from "./base/clock.ts";
import { ConfigurationError, messageOf, ProviderError, UserInputError } from "./base/errors.ts";
import { randomId } from "./base/ids.ts";
import type { Log } from "./base/log.ts";
import type { Principal, Role } from "./base/session.ts";
import { HOOK_EVENTS, type Hooks } from "./hooks.ts";
import type { Mcp } from "./mcp.ts";

interface HubEnv {
  Bindings: Partial<HttpBindings>;
  Variables: { principal: Principal };
}

export interface HttpOptions {
  mcp: Mcp;
  /** What the hooks of agents' clients ask; without it `/hooks/…` is nowhere. */
  hooks?: Hooks;
  tokens: Tokens;
  clock: Clock;
  log: Log;
  /** Names besides loopback under which the hub may be reached. */
  allowedHosts?: readonly string[];
  /** Mounted under `/api`. Its callers bear a token of the role `human` or `admin`; it finds whose in `principal`. */
  api?: Hono<{ Variables: { principal: Principal } }>;
  /** Mounted at `/`: everything else. It asks for its login itself. */
  page?: Hono;
  /** Whether the hub can do its work; a rejection counts as no. */
  healthy?: () => Promise<boolean> | boolean;
  /** JSON-RPC messages of one token. */
  rate?: Rate;
  /** Streams that one token may hold open on `/mcp`. */
  maxStreams?: number;
  /** How long a stop waits for what is under way, milliseconds. */
  drainMs?: number;
}

export interface Http {
  /** Listens; port 0 takes a free one. Rejects with `ConfigurationError` when the port is taken. */
  listen(port: number, host?: string): Promise<{ port: number; url: string }>;
  /** Takes no more requests, lets those under way finish, closes streams. Takes less than 10 s. */
  stop(): Promise<void>;
}

/** Streams of agents and pages included. */
const MAX_CONNECTIONS = 4_096;
const MAX_BODY_BYTES = 256 * 1024;
/** JSON-RPC messages in one request. */
const MAX_BATCH = 50;
const DEFAULT_RATE: Rate = { burst: 1_000, perSecond: 100 };
const DEFAULT_MAX_STREAMS = 16;
const DEFAULT_DRAIN_MS = 5 * SECOND;
const FAREWELL_MS = 2 * SECOND;

/** On every answer that does not set its own. Nothing that is served here is shown in a browser but the page, which sets its own. */
const SECURE_HEADERS = [
  ["Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"],
  ["X-Content-Type-Options", "nosniff"],
  ["X-Frame-Options", "DENY"],
  ["Referrer-Policy", "no-referrer"],
  ["Cross-Origin-Opener-Policy", "same-origin"],
  ["Cross-Origin-Resource-Policy", "same-origin"],
  ["Cache-Control", "no-store"],
] as const;

/**
 * The hub's web server: who may call what is decided here, at the root and by exact paths, before
 * any part sees a request.
 */
export function createHttp(options: HttpOptions): Http {
  const { log } = options;
  const draining = new AbortController();
  const underWay = createCount();
  let addresses = addressesOf(options.allowedHosts ?? [], 0);
  let server: Server | undefined;

  const app = new Hono<HubEnv>();
  app.use("*", underWay.middleware);
  app.use("*", secureHeaders);
  app.use("*", async (c, next) => {
    if (draining.signal.aborted) {
      c.header("Connection", "close");
      return refuse(c, 503, "the hub is stopping; try again in a few seconds", { "Retry-After": "2" });
    }
    if (!addresses.host(c.req.header("host"))) return refuse(c, 403, "this host name is not allowed");
    if (!addresses.origin(c.req.header("origin"))) return refuse(c, 403, "this origin is not allowed");
    if (isOddPath(c)) return refuse(c, 404, "there is nothing here");
    return next();
  });
  app.get("/healthz", async (c) => ((await isHealthy(options)) ? c.json({ ok: true }) : c.json({ ok: false }, 503)));
  app.all("/.well-known/*", (c) => refuse(c, 404, "there is nothing here"));

  app.all("/mcp", bearer(options.tokens), mcpRoute(options, draining.signal));

  app.post("/hooks/:event", bearer(options.tokens), hookRoute(options.hooks));

  app.use("/api/*", bearer(options.tokens), onlyRoles("human", "admin"), bodyLimit);
  if (options.api !== undefined) app.route("/api", options.api);
  app.all("/api/*", (c) => refuse(c, 404, "there is no such path in the API"));

  if (options.page !== undefined) app.route("/", options.page);
  app.notFound((c) => refuse(c, 404, "there is nothing here"));
  app.onError((error, c) => {
    if (error instanceof UserInputError) return refuse(c, 400, error.message);
    if (error instanceof ConfigurationError || error instanceof ProviderError) return refuse(c, 503, error.message);
    const reference = randomId(6);
    log.error({ reference, path: c.req.path, error: messageOf(error), stack: error.stack }, "bug");
    return refuse(c, 500, `something went wrong inside the hub (reference ${reference})`);
  });

  return {
    async listen(port, host = "127.0.0.1") {
      server = await listening(app, port, host);
      server.on("error", (error) => log.error({ error: error.message }, "the web server"));
      const address = server.address();
      const taken = typeof address === "object" && address !== null ? address.port : port;
      addresses = addressesOf(options.allowedHosts ?? [], taken);
      return { port: taken, url: `http://${host.includes(":") ? `[${host}]` : host}:${taken}` };
    },
    async stop() {
      draining.abort();
      options.mcp.drain();
      const closed = closing(server);
      await underWay.none(options.clock, options.drainMs ?? DEFAULT_DRAIN_MS);
      await options.mcp.close();
      await farewell(server, closed, options.clock);
    },
  };
}

function listening(app: Hono<HubEnv>, port: number, host: string): Promise<Server> {
  // Times in which a request must have arrived, against callers that send a byte a minute.
  const serverOptions = {
    headersTimeout: 10 * SECOND,
    requestTimeout: 30 * SECOND,
    connectionsCheckingInterval: 5 * SECOND,
    keepAliveTimeout: 60 * SECOND,
  };
  const server = createAdaptorServer({ fetch: app.fetch, serverOptions, overrideGlobalObjects: false }) as Server;
  server.maxConnections = MAX_CONNECTIONS;
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(
        new ConfigurationError(
          error.code === "EADDRINUSE"
            ? `Port ${port} is taken by another program. Set CTO_PORT or dashboard.port to another one, or end that program.`
            : `The hub cannot listen on ${host}:${port}: ${error.message}.`,
          { cause: error },
        ),
      );
    });
    server.listen(port, host, () => resolve(server));
  });
}

function closing(server: Server | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (server === undefined) return resolve();
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}

/** An answer that was made is not yet sent: connections go when they are idle, and only then by force. */
async function farewell(server: Server | undefined, closed: Promise<void>, clock: Clock): Promise<void> {
  const gone = new AbortController();
  void closed.then(() => gone.abort());
  const until = clock.monotonic() + FAREWELL_MS;
  while (!gone.signal.aborted && clock.monotonic() < until) {
    await clock.sleep(20, gone.signal);
    server?.closeIdleConnections();
  }
  server?.closeAllConnections();
  await closed;
}

/** The requests that are being answered; a stream counts until its headers are out. */
function createCount(): { middleware: MiddlewareHandler; none(clock: Clock, ms: number): Promise<void> } {
  let count = 0;
  let whenNone: (() => void) | undefined;
  return {
    async middleware(_c, next) {
      count += 1;
      try {
        await next();
      } finally {
        count -= 1;
        if (count === 0) whenNone?.();
      }
    },
    async none(clock, ms) {
      if (count === 0) return;
      const done = new AbortController();
      whenNone = () => done.abort();
      await clock.sleep(ms, done.signal);
    },
  };
}

const secureHeaders: MiddlewareHandler = async (c, next) => {
  await next();
  const { headers } = c.res;
  for (const [name, value] of SECURE_HEADERS) if (!headers.has(name)) headers.set(name, value);
};

/**
 * Our paths need no escapes, doubled slashes, backslashes or dots as segments. Parts that read a
 * path differently from each other are how checks are passed by, so whatever has them is nowhere.
 */
function isOddPath(c: Context<HubEnv>): boolean {
  const raw = c.env.incoming?.url ?? c.req.url.replace(/^[a-z]+:\/\/[^/]*/i, "");
  const path = raw.split("?", 1)[0] ?? "";
  return !path.startsWith("/") || /%|\\|\/\/|\/\.{1,2}(?:\/|$)|;/.test(path);
}

async function isHealthy(options: HttpOptions): Promise<boolean> {
  try {
    return (await options.healthy?.()) ?? true;
  } catch {
    return false;
  }
}

function refuse(
  c: Context,
  status: 400 | 401 | 403 | 404 | 413 | 429 | 500 | 503,
  why: string,
  headers: Record<string, string> = {},
): Response {
  return c.json({ error: { message: why } }, status, headers);
}

/** Lets in whoever bears a token that is good. Says nothing of OAuth: tokens come from the command line only. */
function bearer(tokens: Tokens): MiddlewareHandler<HubEnv> {
  return async (c, next) => {
    const token = bearerOf(c.req.header("authorization"));
    const principal = token === undefined ? undefined : await tokens.principalOf(token);
    if (principal === undefined)
      return refuse(c, 401, "a token is needed that is known, not expired, and whose session has not ended", {
        "WWW-Authenticate": "Bearer",
      });
    c.set("principal", principal);
    return next();
  };
}

function onlyRoles(...roles: Role[]): MiddlewareHandler<HubEnv> {
  return async (c, next) => {
    if (roles.includes(c.get("principal").role)) return next();
    return refuse(c, 403, `this needs a token of the role ${roles.join(" or ")}`, {
      "WWW-Authenticate": 'Bearer error="insufficient_scope"',
    });
  };
}

/** Bodies are read here once, within the limit, and handed on as they were. */
const bodyLimit: MiddlewareHandler<HubEnv> = async (c, next) => {
  if (c.req.method === "GET" || c.req.method === "HEAD") return next();
  const text = await readText(c.req.raw, MAX_BODY_BYTES);
  if (text === undefined) return refuse(c, 413, `a body may have at most ${MAX_BODY_BYTES} bytes`);
  const { method, headers, url } = c.req.raw;
  c.req.raw = new Request(url, { method, headers, ...(text !== "" && { body: text }) });
  return next();
};

function mcpRoute(options: HttpOptions, draining: AbortSignal) {
  const { mcp, clock } = options;
  const limit = createRateLimit(options.rate ?? DEFAULT_RATE, clock);
  const streams = createStreams(options.maxStreams ?? DEFAULT_MAX_STREAMS, draining);

  return async (c: Context<HubEnv>): Promise<Response> => {
    const principal = c.get("principal");
    const read = c.req.method === "POST" ? await readJsonBody(c.req.raw, MAX_BODY_BYTES) : NO_BODY;
    if (!read.ok) return rpcError(c, read.status, read.status === 413 ? -32_000 : -32_700, read.why);
    const { value: body } = read;
    if (c.req.method === "POST" && body === undefined) return rpcError(c, 400, -32_700, "the body is empty");
    const messages = Array.isArray(body) ? body.length : 1;
    if (messages > MAX_BATCH) return rpcError(c, 400, -32_600, `a batch may have at most ${MAX_BATCH} messages`);
    const wait = limit(principal.name, Math.max(1, messages));
    if (wait > 0) {
      c.header("Retry-After", String(wait));
      return rpcError(c, 429, -32_000, `too many messages; wait ${wait} s and call again`, idOf(body));
    }
    if (!isListen(body)) return mcp.fetch(c.req.raw, { principal, body });
    if (!streams.mayOpen(principal.name)) return rpcError(c, 200, -32_603, "Subscription limit reached", idOf(body));
    return streams.opened(principal.name, await mcp.fetch(c.req.raw, { principal, body }));
  };
}

/** What a hook says is not looked at, whatever its size: the session's own state answers. */
function hookRoute(hooks: Hooks | undefined) {
  return async (c: Context<HubEnv>): Promise<Response> => {
    for await (const _ of c.req.raw.body ?? []);
    const event = HOOK_EVENTS.find((one) => one === c.req.param("event"));
    if (hooks === undefined || event === undefined) return refuse(c, 404, "there is nothing here");
    return c.json(await hooks.answer(event, c.get("principal"), c.req.raw.signal));
  };
}

const NO_BODY = { ok: true as const, value: undefined };

function rpcError(
  c: Context,
  status: 200 | 400 | 413 | 429,
  code: number,
  message: string,
  id: string | number | null = null,
) {
  return c.json({ jsonrpc: "2.0", error: { code, message }, id }, status);
}

function isListen(body: unknown): boolean {
  return (body as { method?: unknown } | null | undefined)?.method === "subscriptions/listen";
}

function idOf(body: unknown): string | number | null {
  const id = (body as { id?: unknown } | null | undefined)?.id;
  return typeof id === "string" || typeof id === "number" ? id : null;
}

/** The streams that tokens hold open: so many each, all ended when the hub stops. */
function createStreams(max: number, draining: AbortSignal) {
  const open = new Map<string, number>();
  const count = (name: string, by: 1 | -1) => {
    const now = (open.get(name) ?? 0) + by;
    if (now > 0) open.set(name, now);
    else open.delete(name);
  };
  return {
    mayOpen: (name: string) => (open.get(name) ?? 0) < max,
    opened(name: string, response: Response): Response {
      const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
      if (!isStream || response.body === null) return response;
      count(name, 1);
      return new Response(
        endingWith(response.body, draining, () => count(name, -1)),
        response,
      );
    },
  };
}

/** The same stream, which ends when `signal` aborts; `ended` is called once, however it ends. */
function endingWith(
  source: ReadableStream<Uint8Array>,
  signal: AbortSignal,
  ended: () => void,
): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  let open = true;
  const end = () => {
    if (!open) return;
    open = false;
    signal.removeEventListener("abort", stop);
    ended();
  };
  const stop = () => void reader.cancel().catch(() => undefined);
  signal.addEventListener("abort", stop, { once: true });
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        end();
        controller.close();
      } catch (error) {
        end();
        controller.error(error);
      }
    },
    async cancel(reason) {
      end();
      await reader.cancel(reason);
    },
  });
}
