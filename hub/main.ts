import { readFileSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createDashboard } from "../dashboard/dashboard.ts";
import { claudeCodeAgent } from "../supervisor/agents/claude-code.ts";
import { commandAgent } from "../supervisor/agents/command.ts";
import { createNativeMachine, endLeftCommands } from "../supervisor/machines/native.ts";
import { createSupervisor } from "../supervisor/supervisor.ts";
import { createWorkspaces } from "../supervisor/workspaces/create-workspaces.ts";
import { createLogins } from "./access/logins.ts";
import { createTokens } from "./access/tokens.ts";
import { createApi } from "./api.ts";
import { SECOND, systemClock, type Clock } from "./base/clock.ts";
import { renderContinuation } from "./base/continuation-text.ts";
import { ConfigurationError, messageOf } from "./base/errors.ts";
import type { EventKind } from "./base/event.ts";
import type { Home } from "./base/home.ts";
import { newSessionId } from "./base/ids.ts";
import type { Log } from "./base/log.ts";
import type { Service } from "./base/service.ts";
import { SUPERVISOR, type Principal } from "./base/session.ts";
import { readStop, releaseStop, setStop } from "./base/stop-file.ts";
import { isStartable, whyNotStartable, type Config } from "./config.ts";
import { createHooks } from "./hooks.ts";
import { createHttp, type Http } from "./http.ts";
import { makeHomeFolders } from "./home-folders.ts";
import { lockHome } from "./lock.ts";
import { createMcp, type StopControl } from "./mcp.ts";
import { createLeases } from "./queue/leases.ts";
import { announce, keepAdminToken, rememberPort, wantedPort, withdraw } from "./run-files.ts";
import { makeSample, sampleConfig } from "./sample.ts";
import { createCsvSheet } from "./sheets/csv.ts";
import { createSheetSync, type SheetSync } from "./sheets/sync.ts";
import { createCheckpoints } from "./stores/checkpoints.ts";
import { openSqliteStore } from "./stores/sqlite.ts";
import type { Store } from "./stores/store.ts";

export interface HubOptions {
  home: Home;
  /** Undefined when there is no configuration: then the sample comes up. */
  config: Config | undefined;
  env: NodeJS.ProcessEnv;
  log: Log;
  clock?: Clock;
}

export interface Hub {
  /** Where the page and `/mcp` are, without a slash at the end. */
  url: string;
  /** Logs one browser in, once. */
  loginLink: string;
  /** Resolves when the hub has ended, whoever asked for it. */
  stopped: Promise<void>;
  /** Ends the hub. Sessions keep running and are found again at the next start. */
  stop(): Promise<void>;
}

const VERSION = readVersion();
const AGENT_KINDS = new Map([commandAgent, claudeCodeAgent].map((agent) => [agent.cli, agent]));
/** What an agent's hooks run: our own Node, since the one in PATH may be too old. */
const HOOK_COMMAND = [process.execPath, fileURLToPath(new URL("commands/hook.ts", import.meta.url))];

/**
 * Puts the hub together and starts it. This and the command line are the only places that
 * know every adapter. Throws `ConfigurationError` in one line when it cannot start; nothing is
 * left running then.
 */
export async function startHub({ home, config: given, env, log, clock = systemClock }: HubOptions): Promise<Hub> {
  makeHomeFolders(home);
  const cleanUp: (() => void | Promise<void>)[] = [];
  const undo = async () => {
    for (const step of cleanUp.toReversed()) await step();
    cleanUp.length = 0;
  };
  try {
    cleanUp.push(lockHome(home.lockFile));
    // Checks and git commands of a hub that was killed; its sessions stay, and are adopted.
    await endLeftCommands(home);
    const config = given ?? sampleConfig();
    if (given === undefined) await makeSample(home);
    const store = openSqliteStore({ path: home.database, backups: home.backups, now: clock.now() });
    cleanUp.push(() => store.close());
    return await compose({ home, config, sample: given === undefined, env, log, clock, store, cleanUp, undo });
  } catch (error) {
    await undo();
    throw error;
  }
}

interface Composition {
  home: Home;
  config: Config;
  sample: boolean;
  env: NodeJS.ProcessEnv;
  log: Log;
  clock: Clock;
  store: Store;
  cleanUp: (() => void | Promise<void>)[];
  undo: () => Promise<void>;
}

async function compose({ home, config, sample, env, log, clock, store, cleanUp, undo }: Composition): Promise<Hub> {
  const startedAt = new Date(clock.now()).toISOString();
  const tokens = createTokens(store, clock);
  const logins = createLogins(tokens, clock);
  const stop = stopControl(home, store, clock);
  const leases = createLeases(store, clock, log);
  const mcp = createMcp({ store, clock, log, stop, leases, version: VERSION });
  const hooks = createHooks({
    store,
    log,
    leases,
    tasksPerSession: config.scheduler.tasks_per_session,
    contextOf: mcp.contextOf,
  });
  const transcript = readTranscript(home);
  const ending = new AbortController();
  let url = "";

  const startable = Object.entries(config.agents).filter(([, agent]) => isStartable(agent));
  await store.setAgents(
    startable.map(([name, { model }]) => ({ name, model })),
    clock.now(),
  );

  const sync = createSheetSync({
    sheet: createCsvSheet(config.sheets.folder === "" ? home.sheet : config.sheets.folder),
    store,
    clock,
    log,
    zone: config.timezone,
    intervalMs: config.sheets.sync_interval * SECOND,
    onStop: (by, why) => setStop(home.stopFile, { at: new Date(clock.now()).toISOString(), by, why }),
    stopped: () => stop.read(),
    agents: () =>
      Object.entries(config.agents).map(([name, agent]) => ({
        name,
        type: agent.model === "" ? agent.cli : agent.model,
        enabled: isStartable(agent),
      })),
  });
  cleanUp.push(showSoon(store, sync, clock));
  const supervisor = createSupervisor({
    store,
    clock,
    log,
    home,
    config: { ...config, agents: Object.fromEntries(startable) },
    machines: new Map([["native", createNativeMachine(home)]]),
    agents: AGENT_KINDS,
    workspaces: createWorkspaces(home, config.projects_dir === "" ? {} : { projectsFolder: config.projects_dir }),
    mcpUrl: () => `${url}/mcp`,
    issueSessionToken: async (sessionId, projectId, ttlMs) =>
      (await tokens.issue(SUPERVISOR, { role: "agent", sessionId, projectId, label: `session ${sessionId}`, ttlMs }))
        .token,
    hookCommand: HOOK_COMMAND,
    renderContinuation,
    newId: newSessionId,
  });
  const page = createDashboard({
    store,
    logins,
    clock,
    zone: config.timezone,
    log,
    signal: ending.signal,
    live: {
      sheet: () => sync.state(),
      stopped: () => stop.read(),
      stop: (why) => stop.set({ ...SUPERVISOR, role: "human", name: "page" }, why),
      release: () => stop.release({ ...SUPERVISOR, role: "human", name: "page" }),
      transcript,
    },
  });
  const api = createApi({
    store,
    clock,
    log,
    stop,
    tokens,
    logins,
    sheet: () => sync.state(),
    transcript,
    agents: Object.entries(config.agents).map(([name, agent]) => ({
      name,
      cli: agent.cli,
      model: agent.model,
      enabled: agent.enabled,
      why: whyNotStartable(agent),
    })),
    about: {
      version: VERSION,
      pid: process.pid,
      startedAt,
      home: home.root,
      sample,
      get url() {
        return url;
      },
    },
    warnings: config.warnings,
  });
  const http = createHttp({
    mcp,
    hooks,
    tokens,
    clock,
    log,
    allowedHosts: config.dashboard.allowed_hosts,
    api,
    ...(config.dashboard.enabled && { page }),
    healthy: async () => (await store.lastSeq()) >= 0,
  });
  cleanUp.push(() => http.stop());

  url = await listen(http, home, config.dashboard.port, env["CTO_PORT"]);
  await keepAdminToken(home, tokens);
  await store.note(SUPERVISOR, { kind: "hub_started", data: { version: VERSION, url } }, clock.now());

  const services: Service[] = [leases, sync, supervisor, createCheckpoints(store, home.database, clock, log)];
  const running = services.map((service) =>
    service
      .run()
      .catch((error: unknown) =>
        log.error({ service: service.id, error: messageOf(error) }, "a service ended by itself"),
      ),
  );
  await announce(home, { pid: process.pid, url, startedAt });
  log.info({ url, version: VERSION }, "ready");

  let end: Promise<void> | undefined;
  let ended: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => (ended = resolve));
  const stopHub = () =>
    (end ??= (async () => {
      withdraw(home);
      ending.abort();
      await http.stop();
      await Promise.all(services.map((service) => service.stop()));
      await Promise.all(running);
      await store.note(SUPERVISOR, { kind: "hub_stopped", data: {} }, clock.now());
      await undo();
      ended();
    })());
  return { url, loginLink: `${url}/login#${logins.newCode()}`, stopped, stop: stopHub };
}

async function listen(http: Http, home: Home, configured: number, env: string | undefined): Promise<string> {
  const { port, fallback } = wantedPort(home, configured, env);
  const heard = await http.listen(port).catch((error: unknown) => {
    // The port of the last start was only a wish; one that the person named is not.
    if (fallback && error instanceof ConfigurationError) return http.listen(0);
    throw error;
  });
  await rememberPort(home, heard.port);
  return heard.url;
}

/** Events that change a Status cell. */
const SHOWN_AT_ONCE: ReadonlySet<EventKind> = new Set([
  "task_added",
  "task_claimed",
  "task_blocked",
  "task_waiting",
  "task_done",
  "task_failed",
  "question_asked",
  "question_answered",
  "stop_set",
  "stop_released",
]);
/** What happens together is written together. */
const SHOW_AFTER_MS = 150;

/** A local sheet costs nothing to write: what a person waits to see does not wait for the next look. */
function showSoon(store: Store, sync: SheetSync, clock: Clock): () => void {
  const ended = new AbortController();
  let due = false;
  const forget = store.onEvents((events) => {
    if (due || !events.some(({ kind }) => SHOWN_AT_ONCE.has(kind))) return;
    due = true;
    void clock.sleep(SHOW_AFTER_MS, ended.signal).then(() => {
      due = false;
      return ended.signal.aborted ? undefined : sync.syncNow();
    });
  });
  return () => {
    forget();
    ended.abort();
  };
}

/** STOP for everybody who may set it. The file is the truth; the log says who did it. */
function stopControl(home: Home, store: Store, clock: Clock): StopControl {
  return {
    async set(by: Principal, why: string) {
      setStop(home.stopFile, { at: new Date(clock.now()).toISOString(), by: by.name, why });
      await store.note(by, { kind: "stop_set", data: { why } }, clock.now());
    },
    async release(by: Principal) {
      const released = releaseStop(home.stopFile);
      if (released) await store.note(by, { kind: "stop_released", data: {} }, clock.now());
      return released;
    },
    read: () => readStop(home.stopFile),
  };
}

/** A session's output as text, from its run folder. */
function readTranscript(home: Home) {
  return async (
    sessionId: string,
    offset: number,
    max: number,
  ): Promise<{ text: string; next: number; total: number }> => {
    if (!/^[a-z0-9-]{1,64}$/.test(sessionId)) return { text: "", next: 0, total: 0 };
    const path = join(home.runs, sessionId, "stdout");
    const total = await stat(path).then(
      ({ size }) => size,
      () => 0,
    );
    if (offset >= total) return { text: "", next: offset, total };
    const file = await open(path, "r");
    try {
      const buffer = Buffer.alloc(Math.min(max, total - offset));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
      return { text: buffer.subarray(0, bytesRead).toString("utf8"), next: offset + bytesRead, total };
    } finally {
      await file.close();
    }
  };
}

function readVersion(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
