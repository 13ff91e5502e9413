import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/** A server in a process of its own, asked over its channel. */
export interface Child {
  pid: number;
  port: number;
  /** µs of processor time since its start, all threads. */
  cpu(): Promise<number>;
  /** Bytes of heap in use after collecting garbage. */
  heap(): Promise<number>;
  /** Anything that this server does besides. */
  ask<Reply>(question: object): Promise<Reply>;
  stop(): Promise<void>;
}

const LONGEST_REPLY_MS = 120_000;

/** Starts `servers/<name>.ts` with `options` and resolves when it listens. */
export async function startServer(name: string, options: object = {}): Promise<Child> {
  const file = fileURLToPath(new URL(`../servers/${name}.ts`, import.meta.url));
  const child = fork(file, [JSON.stringify(options)], {
    execArgv: ["--expose-gc", ...profiling(name)],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const waiting = new Map<number, { resolve(reply: unknown): void; reject(error: Error): void }>();
  let asked = 0;
  child.on("message", (message: { id: number; reply?: unknown; error?: string }) => {
    const one = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error === undefined) one?.resolve(message.reply);
    else one?.reject(new Error(`${name}: ${message.error}`));
  });
  const gone = new Promise<void>((resolve) => {
    child.once("exit", () => {
      for (const { reject } of waiting.values()) reject(new Error(`the ${name} server ended`));
      resolve();
    });
  });

  function ask<Reply>(question: object): Promise<Reply> {
    asked += 1;
    const id = asked;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the ${name} server does not answer`)), LONGEST_REPLY_MS);
      waiting.set(id, {
        resolve: (reply) => (clearTimeout(timer), resolve(reply as Reply)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      });
      child.send({ id, question });
    });
  }

  const { port } = await ask<{ port: number }>({ is: "port" });
  return {
    pid: child.pid ?? 0,
    port,
    cpu: () => ask({ is: "cpu" }),
    heap: () => ask({ is: "heap" }),
    ask,
    async stop() {
      if (child.connected) child.disconnect();
      const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
      await gone;
      clearTimeout(timer);
    },
  };
}

/** `BENCH_PROFILE=<folder>` leaves a processor profile of each server there. */
function profiling(name: string): string[] {
  const folder = process.env["BENCH_PROFILE"];
  return folder === undefined
    ? []
    : ["--cpu-prof", `--cpu-prof-dir=${folder}`, `--cpu-prof-name=${name}-${Date.now()}.cpuprofile`];
}
