import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { homeAt, type Home } from "../../../hub/base/home.ts";
import { openConnection } from "./connection.ts";
import { check, toolCall } from "./requests.ts";

const CTO = fileURLToPath(new URL("../../../hub/cto", import.meta.url));
const LONGEST_START_MS = 120_000;

/** A started process, and how long it took until it was of use. */
export interface Started {
  /** From spawn to the first answer, ms. */
  wallMs: number;
  /** Resident memory now, bytes. */
  rss(): Promise<number>;
  /** Processor time so far, all threads, in clock ticks. */
  ticks(): Promise<number>;
  stop(): Promise<void>;
}

/** A home with a configuration that starts nothing: no agents, and an empty sheet. */
export async function emptyHome(root: string): Promise<Home> {
  const home = homeAt(root);
  await mkdir(home.root, { recursive: true });
  await writeFile(home.config, "agents: {}\n");
  return home;
}

/** `cto up` as a person starts it, up to the answer to its first tool call. */
export async function startHub(home: Home): Promise<Started> {
  const from = performance.now();
  const env = { PATH: process.env["PATH"] ?? "", HOME: home.root, CTO_HOME: home.root, CTO_PORT: "0" };
  const child = spawn(CTO, ["up"], { env, stdio: ["ignore", "pipe", "pipe"] });
  const printed = await output(child, /ready at \S+:(\d+)/);
  const port = Number(printed[1]);
  const token = (await readFile(home.adminTokenFile, "utf8")).trim();
  const connection = await openConnection(port);
  check(await connection.send(toolCall({ port, token }, "whats_next", {})));
  connection.close();
  return started(child, performance.now() - from);
}

/** The floor: a Node that has nothing to do, up to its first word. */
export async function startBareNode(): Promise<Started> {
  const from = performance.now();
  const script = "setInterval(() => {}, 1e6); process.stdout.write('ready')";
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "pipe"] });
  await output(child, /ready/);
  return started(child, performance.now() - from);
}

/** Resolves when the process has printed what matches; rejects when it ends or takes too long. */
function output(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
  const kill = () => void child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.off("exit", kill));
  let printed = "";
  let errors = "";
  child.stderr?.on("data", (data: Buffer) => (errors = (errors + data.toString()).slice(-2_000)));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => (kill(), reject(new Error(`not ready in time: ${errors}`))), LONGEST_START_MS);
    child.once("exit", (code) => reject(new Error(`it ended with ${code}: ${errors}`)));
    child.stdout?.on("data", (data: Buffer) => {
      printed += data.toString();
      const match = pattern.exec(printed);
      if (match === null) return;
      clearTimeout(timer);
      resolve(match);
    });
  });
}

function started(child: ChildProcess, wallMs: number): Started {
  const proc = (file: string) => readFile(`/proc/${child.pid}/${file}`, "utf8");
  return {
    wallMs,
    rss: async () => Number(/VmRSS:\s+(\d+) kB/.exec(await proc("status"))?.[1] ?? Number.NaN) * 1_024,
    async ticks() {
      const fields = (await proc("stat")).split(") ").at(-1)?.split(" ") ?? [];
      return Number(fields[11]) + Number(fields[12]);
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await ended;
      clearTimeout(timer);
    },
  };
}
