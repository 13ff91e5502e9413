import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import type { ExecResult } from "./machine.ts";
import { endTree, identityOf } from "./processes.ts";

export interface Command {
  argv: readonly string[];
  cwd: string;
  /** The whole environment. */
  env: Record<string, string>;
  /** An entry of `env` that nothing else carries: what the command left behind is found by it. */
  marker: string;
  timeoutMs: number;
  /** Of each stream; output beyond this is dropped from the front. */
  maxBytes: number;
  signal?: AbortSignal | undefined;
  /** Whether the kernel ends the command's descendants with it, so that nobody need look for them. */
  isolated: boolean;
}

const GRACE_MS = 300;
const CLOSE_MS = 1_000;

/**
 * Runs a command to its end and ends whatever it left behind. A program that cannot be started
 * answers 127 as in a shell. Rejects with the signal's reason when it aborts.
 */
export async function runCommand(command: Command): Promise<ExecResult> {
  command.signal?.throwIfAborted();
  const [program = "", ...args] = command.argv;
  const child = spawn(program, args, {
    cwd: command.cwd,
    env: command.env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stdout = collect(child.stdout, command.maxBytes);
  const stderr = collect(child.stderr, command.maxBytes);
  const root = child.pid === undefined ? undefined : identityOf(child.pid);
  const end = () => endTree({ roots: root ? [root] : [], markers: new Set([command.marker]) }, GRACE_MS);
  const ended = new Promise<number | null>((resolve) => {
    child.once("exit", (code) => resolve(code));
    child.once("error", () => resolve(127));
  });
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));

  const limit = limitOf(command);
  const first = await Promise.race([ended, limit.reached]);
  limit.clear();
  const cut = first === "timeout" || first === "abort" ? first : undefined;
  if (cut !== undefined || !command.isolated) await end();
  const code = await ended;
  await waitAtMost(closed, CLOSE_MS);
  child.stdout.destroy();
  child.stderr.destroy();
  if (cut === "abort") command.signal?.throwIfAborted();
  const words = child.pid === undefined ? `${program}: cannot be started\n` : stderr();
  return { code: cut ? null : code, stdout: stdout(), stderr: words, timedOut: cut === "timeout" };
}

function limitOf(command: Command): { reached: Promise<"timeout" | "abort">; clear(): void } {
  const { promise, resolve } = Promise.withResolvers<"timeout" | "abort">();
  const timer = setTimeout(() => resolve("timeout"), command.timeoutMs);
  const abort = () => resolve("abort");
  command.signal?.addEventListener("abort", abort, { once: true });
  const clear = () => {
    clearTimeout(timer);
    command.signal?.removeEventListener("abort", abort);
  };
  return { reached: promise, clear };
}

async function waitAtMost(promise: Promise<void>, ms: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([promise, late]);
  clearTimeout(timer);
}

/** Keeps the last `maxBytes` of a stream; the answer gives them as text. */
function collect(stream: Readable, maxBytes: number): () => string {
  let chunks: Buffer[] = [];
  let size = 0;
  stream.on("error", () => undefined);
  stream.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.length;
    if (size > 2 * maxBytes) {
      chunks = [lastOf(chunks, maxBytes)];
      size = maxBytes;
    }
  });
  return () => lastOf(chunks, maxBytes).toString("utf8");
}

/** The last bytes, from the start of a character. */
function lastOf(chunks: Buffer[], maxBytes: number): Buffer {
  const all = Buffer.concat(chunks);
  if (all.length <= maxBytes) return all;
  let start = all.length - maxBytes;
  while (start < all.length && ((all[start] ?? 0) & 0xc0) === 0x80) start += 1;
  return all.subarray(start);
}
