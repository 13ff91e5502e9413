import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, readFile, realpath, rm, writeFile, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { homeAt, type Home } from "../../hub/base/home.ts";
import { endAllRuns } from "../../supervisor/machines/native.ts";

/** The launcher that a person runs. */
export const CTO = fileURLToPath(new URL("../../hub/cto", import.meta.url));

/** The whole product as a process of its own over a home of its own: what a person has after `npm start`. */
export interface HubProcess {
  home: Home;
  /** What it printed when it was ready. */
  printed(): string;
  url(): string;
  /** GET or POST on the API with the command line's own token. */
  api<Answer>(path: string, body?: object): Promise<Answer>;
  /** Runs a `cto` command against it. Rejects when it fails. */
  cto(...args: string[]): Promise<string>;
  pid(): number;
  /** `kill -9`, and resolves when it is gone. */
  kill(): Promise<void>;
  /** Ctrl-C. */
  interrupt(): Promise<void>;
  start(): Promise<void>;
}

/** Runs `tell` with a started hub; ends it and every session of it afterwards, and removes its home. */
export async function withHub(
  options: { config?: object; sheet?: Record<string, string> },
  tell: (hub: HubProcess) => Promise<void>,
): Promise<void> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "cto-hub-")));
  const home = homeAt(join(root, "home"));
  await mkdir(home.sheet, { recursive: true });
  // YAML is a superset of JSON.
  if (options.config !== undefined) await writeFile(home.config, JSON.stringify(options.config));
  for (const [name, text] of Object.entries(options.sheet ?? {})) await writeFile(join(home.sheet, name), text);
  const env = { PATH: process.env["PATH"] ?? "", HOME: root, LANG: "C.UTF-8", CTO_HOME: home.root, CTO_PORT: "0" };
  let child: ChildProcess | undefined;
  let printed = "";

  const hub: HubProcess = {
    home,
    printed: () => printed,
    url: () => /ready at (\S+)/.exec(printed)?.[1] ?? "",
    pid: () => child?.pid ?? 0,
    async api<Answer>(path: string, body?: object) {
      const token = (await readFile(home.adminTokenFile, "utf8")).trim();
      const response = await fetch(`${hub.url()}/api${path}`, {
        method: body === undefined ? "GET" : "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as Answer;
    },
    cto: async (...args) => (await promisify(execFile)(CTO, args, { env })).stdout,
    async start() {
      printed = "";
      const started = spawn(CTO, ["up"], { env, stdio: ["ignore", "pipe", "pipe"] });
      child = started;
      let errors = "";
      started.stderr.on("data", (data: Buffer) => (errors = (errors + data.toString()).slice(-4_000)));
      await new Promise<void>((resolve, reject) => {
        started.once("exit", (code, signal) =>
          reject(new Error(`the hub ended before it was ready (${code ?? signal}): ${errors}`)),
        );
        started.stdout.on("data", (data: Buffer) => {
          printed += data.toString();
          if (/Log in .*\n/.test(printed)) resolve();
        });
      });
    },
    async kill() {
      await ended(child, "SIGKILL");
    },
    async interrupt() {
      await ended(child, "SIGINT");
    },
  };
  try {
    await hub.start();
    await tell(hub);
  } finally {
    await hub.kill();
    await endAllRuns(home);
    await rm(root, { recursive: true, force: true });
  }
}

/** Sends the signal and waits for the end; nothing to do when it has ended already. */
function ended(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  return new Promise((resolve) => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once("exit", () => resolve());
    child.kill(signal);
  });
}
