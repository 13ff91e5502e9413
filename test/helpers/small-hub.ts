import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { createTokens, type Tokens } from "../../hub/access/tokens.ts";
import { systemClock, type Clock } from "../../hub/base/clock.ts";
import { homeAt, type Home } from "../../hub/base/home.ts";
import { silentLog, type Log } from "../../hub/base/log.ts";
import { SUPERVISOR } from "../../hub/base/session.ts";
import { readStop, releaseStop, setStop } from "../../hub/base/stop-file.ts";
import { parseConfig, type Config } from "../../hub/config.ts";
import { createHooks } from "../../hub/hooks.ts";
import { createHttp } from "../../hub/http.ts";
import { createMcp } from "../../hub/mcp.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";
import type { Store } from "../../hub/stores/store.ts";
import { claudeCodeAgent } from "../../supervisor/agents/claude-code.ts";
import { commandAgent } from "../../supervisor/agents/command.ts";
import type { Machine } from "../../supervisor/machines/machine.ts";
import { createNativeMachine, endLeftCommands } from "../../supervisor/machines/native.ts";
import { createSupervisor, type Supervisor } from "../../supervisor/supervisor.ts";
import { createWorkspaces } from "../../supervisor/workspaces/create-workspaces.ts";
import type { Workspaces } from "../../supervisor/workspaces/workspaces.ts";

const AGENT = fileURLToPath(new URL("scripted-agent.ts", import.meta.url));

const HOOK = fileURLToPath(new URL("../../hub/commands/hook.ts", import.meta.url));

/** The hub's line from the store to the agents: everything real, but no sheet and no page. */
export interface SmallHub {
  home: Home;
  store: Store;
  tokens: Tokens;
  machine: Machine;
  supervisor: Supervisor;
  url: string;
  /** As a clean stop: sessions keep running. */
  stop(): Promise<void>;
  /** As if it were killed, for a supervisor whose calls do not return any more. */
  abandon(): Promise<void>;
}

export interface SmallHubOptions {
  /** The first argument of the scripted agent; see there. */
  agent?: string;
  scheduler?: Partial<Config["scheduler"]>;
  agents?: Config["agents"];
  clock?: Clock;
  log?: Log;
  machines?: (machine: Machine) => Map<string, Machine>;
  workspaces?: (workspaces: Workspaces) => Workspaces;
  /** The store as the supervisor sees it; agents always reach the real one. */
  store?: (store: Store) => Store;
}

/** The configuration with one agent, `worker`, that is the scripted one. */
export function scriptedConfig(argument = "", maxSessions = 2): Config {
  const config = parseConfig("", "config.yaml");
  const worker = {
    cli: "command" as const,
    command: process.execPath,
    args: [AGENT, ...(argument === "" ? [] : [argument])],
  };
  return {
    ...config,
    agents: { worker: { ...worker, env: {}, model: "", enabled: true, allow: [], max_sessions: maxSessions } },
    // Far apart, so that what happens in a test is noticed by itself and not by looking again.
    scheduler: { ...config.scheduler, check_interval: 60 },
  };
}

/** Starts a small hub over the home at `root`, on the port that it had before. */
export async function startSmallHub(root: string, options: SmallHubOptions = {}): Promise<SmallHub> {
  const { clock = systemClock, log = silentLog } = options;
  const home = homeAt(root);
  for (const folder of [home.root, home.run, home.runs, home.artefacts]) await mkdir(folder, { recursive: true });
  const store = openSqliteStore({ path: home.database });
  const base = scriptedConfig(options.agent);
  const config = {
    ...base,
    agents: options.agents ?? base.agents,
    scheduler: { ...base.scheduler, ...options.scheduler },
  };
  const agents = Object.entries(config.agents).map(([name, { model }]) => ({ name, model }));
  await store.setAgents(agents, clock.now());
  const tokens = createTokens(store, clock);
  const stop = {
    set: async (by: { name: string }, why: string) => setStop(home.stopFile, { at: "", by: by.name, why }),
    release: async () => releaseStop(home.stopFile),
    read: () => readStop(home.stopFile),
  };
  const mcp = createMcp({ store, clock, log, version: "0.0.0", stop });
  const hooks = createHooks({
    store,
    log,
    tasksPerSession: config.scheduler.tasks_per_session,
    contextOf: mcp.contextOf,
  });
  const http = createHttp({ mcp, hooks, tokens, clock, log });
  const { port, url } = await http.listen(await lastPort(home));
  await writeFile(home.portFile, String(port));
  await endLeftCommands(home);
  const machine = createNativeMachine(home);
  const workspaces = createWorkspaces(home, { staleLockMs: 300 });
  const supervisor = createSupervisor({
    store: options.store?.(store) ?? store,
    clock,
    log,
    home,
    config,
    machines: options.machines?.(machine) ?? new Map([["native", machine]]),
    agents: new Map([commandAgent, claudeCodeAgent].map((agent) => [agent.cli, agent])),
    hookCommand: [process.execPath, HOOK],
    workspaces: options.workspaces?.(workspaces) ?? workspaces,
    mcpUrl: () => `${url}/mcp`,
    issueSessionToken: async (sessionId, projectId, ttlMs) =>
      (await tokens.issue(SUPERVISOR, { role: "agent", sessionId, projectId, label: sessionId, ttlMs })).token,
  });
  const running = supervisor.run();
  return {
    home,
    store,
    tokens,
    machine,
    supervisor,
    url,
    async stop() {
      await http.stop();
      await supervisor.stop();
      await running;
      store.close();
    },
    async abandon() {
      await http.stop();
      store.close();
    },
  };
}

async function lastPort(home: Home): Promise<number> {
  return Number(await readFile(home.portFile, "utf8").catch(() => "0"));
}
