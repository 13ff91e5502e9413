import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogins } from "../../hub/access/logins.ts";
import { createTokens, type Tokens } from "../../hub/access/tokens.ts";
import { createApi } from "../../hub/api.ts";
import { systemClock, HOUR } from "../../hub/base/clock.ts";
import { homeAt, type Home } from "../../hub/base/home.ts";
import { silentLog } from "../../hub/base/log.ts";
import { SUPERVISOR, type Role } from "../../hub/base/session.ts";
import { readStop, releaseStop, setStop } from "../../hub/base/stop-file.ts";
import { runCli } from "../../hub/cli.ts";
import { createDashboard } from "../../dashboard/dashboard.ts";
import { createHttp } from "../../hub/http.ts";
import { createMcp, type StopControl } from "../../hub/mcp.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";
import type { Store } from "../../hub/stores/store.ts";

/** What a command printed and how it ended. */
export interface Ran {
  code: number;
  out: string;
  err: string;
}

export interface Place {
  home: Home;
  /** Runs `cto …` with the home in its environment. */
  cto(...args: string[]): Promise<Ran>;
  /** Calls every listener that the command set, as a signal would. */
  signal(name: NodeJS.Signals): void;
  exits: number[];
}

/** A home in a temporary folder, and the command line in it. */
export async function withHome(tell: (place: Place) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "cto-cli-"));
  const listeners = new Set<(signal: NodeJS.Signals) => void>();
  const exits: number[] = [];
  const env = { ...process.env, CTO_HOME: root };
  try {
    await tell({
      home: homeAt(root),
      exits,
      signal: (name) => listeners.forEach((listener) => listener(name)),
      async cto(...args) {
        const ran = { out: "", err: "" };
        const code = await runCli(args, {
          stdin: process.stdin,
          stdout: { write: (text) => (ran.out += text) },
          stderr: { write: (text) => (ran.err += text) },
          env,
          cwd: root,
          signals: {
            on(listener) {
              listeners.add(listener);
              return () => listeners.delete(listener);
            },
            exit: (code) => void exits.push(code),
          },
        });
        return { code, ...ran };
      },
    });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

export interface Hub extends Place {
  store: Store;
  tokens: Tokens;
  url: string;
  /** Calls the API as a role, or with a token; `body` makes it a POST. */
  call(who: string, path: string, body?: unknown): Promise<{ status: number; answer: never }>;
}

/** A hub without a supervisor: the real store, access, API and MCP endpoint on a port of loopback. */
export async function withHub(tell: (hub: Hub) => Promise<void>): Promise<void> {
  await withHome(async (place) => {
    const { home } = place;
    await Promise.all([home.run, home.logs].map((folder) => mkdir(folder, { recursive: true })));
    const store = openSqliteStore({ path: home.database });
    const tokens = createTokens(store, systemClock);
    const logins = createLogins(tokens, systemClock);
    const stop: StopControl = {
      set: async (by, why) => setStop(home.stopFile, { at: new Date().toISOString(), by: by.name, why }),
      release: async () => releaseStop(home.stopFile),
      read: () => readStop(home.stopFile),
    };
    const parts = { store, tokens, clock: systemClock, log: silentLog, stop };
    const mcp = createMcp({ ...parts, version: "0.0.0" });
    const sheet = () => ({ ok: true, words: "in step" });
    const transcript = (id: string, offset: number, max: number) => transcriptIn(home, id, offset, max);
    const about = { version: "0.0.0", url: "", pid: process.pid, startedAt: "", home: home.root, sample: false };
    const api = createApi({
      ...parts,
      logins,
      about,
      sheet,
      transcript,
      agents: [{ name: "worker", cli: "command", model: "", enabled: true, why: "" }],
      warnings: [],
    });
    const ending = new AbortController();
    const page = createDashboard({
      ...parts,
      logins,
      zone: "UTC",
      signal: ending.signal,
      live: {
        sheet,
        transcript,
        stopped: () => stop.read(),
        stop: (why) => stop.set(SUPERVISOR, why),
        release: () => stop.release(SUPERVISOR),
      },
    });
    const http = createHttp({ ...parts, mcp, api, page });
    try {
      about.url = (await http.listen(0)).url;
      const mint = (role: Role) => tokens.issue(SUPERVISOR, { role, label: "test", ttlMs: HOUR });
      const roles = { admin: await mint("admin"), human: await mint("human"), agent: await mint("agent") };
      await writeFile(home.adminTokenFile, `${roles.admin.token}\n`, { mode: 0o600 });
      await writeFile(home.hubFile, JSON.stringify({ pid: process.pid, url: about.url, startedAt: "" }));
      const tokenOf = (role: string) => (role in roles ? roles[role as Role].token : role);
      await tell({
        ...place,
        store,
        tokens,
        url: about.url,
        async call(who, path, body) {
          const response = await fetch(`${about.url}/api${path}`, {
            method: body === undefined ? "GET" : "POST",
            headers: { authorization: `Bearer ${tokenOf(who)}`, "content-type": "application/json" },
            ...(body !== undefined && { body: JSON.stringify(body) }),
          });
          return { status: response.status, answer: (await response.json()) as never };
        },
      });
    } finally {
      ending.abort();
      await http.stop();
      store.close();
    }
  });
}

async function transcriptIn(home: Home, id: string, offset: number, max: number) {
  const all = await readFile(join(home.runs, id, "stdout")).catch(() => Buffer.alloc(0));
  const bytes = all.subarray(offset, offset + max);
  return { text: bytes.toString(), next: offset + bytes.length, total: all.length };
}
