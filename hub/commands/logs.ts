import { closeSync, openSync, readSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { createNativeMachine } from "../../supervisor/machines/native.ts";
import type { Home } from "../base/home.ts";
import { parseTaskName } from "../base/ids.ts";
import { hubLogFile } from "../log-file.ts";
import { readArguments, switchOption } from "./arguments.ts";
import { CommandError, type Command, type Io } from "./command.ts";
import { findHub, homeOf, needHub, type HubClient } from "./hub-client.ts";
import { plain } from "./words.ts";

const LOOK_MS = 300;
const CHUNK_BYTES = 256 * 1024;
/** How much of the hub's own log is shown before it is followed. */
const TAIL_BYTES = 16 * 1024;

export const command: Command = {
  name: "logs",
  summary: "print the transcript of a task or session, or the hub's own log",
  usage: `Usage: cto logs [T12 | SESSION] [-f] [--json]

Without a name it prints the end of the hub's own log. With a task it prints the transcript of
the session that worked on it last; with a session (cto status names them) that session's.

  -f, --follow   keep printing what comes, until the session ends or Ctrl-C
  --json         the hub's log as it is, a JSON object a line; a transcript as one JSON object

Example: cto logs T12 -f
`,
  async run(args, io) {
    const parsed = readArguments(args, { follow: { type: "boolean", short: "f" }, json: { type: "boolean" } }, 1);
    const [follow, json] = [switchOption(parsed, "follow"), switchOption(parsed, "json")];
    const [target] = parsed.positionals;
    const home = homeOf(io);
    const stopped = new AbortController();
    const forget = io.signals.on(() => stopped.abort());
    try {
      if (target === undefined) await printHubLog(home, io, follow, json, stopped.signal);
      else await printTranscript(await transcriptOf(home, target), io, follow, json, stopped.signal);
    } finally {
      forget();
    }
    return 0;
  },
};

interface Transcript {
  session: string;
  read(offset: number): Promise<{ text: string; next: number; total: number; ended: boolean }>;
}

async function transcriptOf(home: Home, target: string): Promise<Transcript> {
  const isTask = parseTaskName(target) !== undefined;
  const hub = isTask ? await needHub(home) : await findHub(home);
  if (hub === undefined) return ofRunFolder(home, target);
  const session = isTask || !target.startsWith("s-") ? await lastSession(hub, target) : target;
  const path = `/sessions/${encodeURIComponent(session)}/log`;
  return { session, read: (offset) => hub.get(`${path}?offset=${offset}`) };
}

async function lastSession(hub: HubClient, task: string): Promise<string> {
  const { sessions } = await hub.get<{ sessions: string[] }>(`/tasks/${encodeURIComponent(task)}`);
  if (sessions[0] !== undefined) return sessions[0];
  throw new CommandError(`No session has worked on ${task} yet. Why: cto status`);
}

/** With the hub down, what a session of this machine left is still there to read. */
async function ofRunFolder(home: Home, session: string): Promise<Transcript> {
  const machine = createNativeMachine(home);
  if ((await machine.observe(session)).state === "missing")
    throw new CommandError(`There is no session "${session}" in ${home.runs}, and the hub is not running: cto up`);
  return {
    session,
    async read(offset) {
      const seen = await machine.observe(session);
      const total = seen.state === "missing" ? offset : seen.outputBytes;
      const bytes = await machine.read(session, "stdout", offset, CHUNK_BYTES);
      const text = new TextDecoder().decode(bytes);
      return { text, next: offset + bytes.length, total, ended: seen.state !== "running" && bytes.length === 0 };
    },
  };
}

async function printTranscript(
  transcript: Transcript,
  io: Io,
  follow: boolean,
  json: boolean,
  signal: AbortSignal,
): Promise<void> {
  let [offset, all] = [0, ""];
  for (;;) {
    const { text, next, ended } = await transcript.read(offset);
    if (json) all += text;
    else io.stdout.write(plain(text));
    const more = next > offset;
    offset = next;
    if (signal.aborted || ended || (!more && !follow)) break;
    if (!more) await pause(signal);
  }
  if (json) io.stdout.write(`${JSON.stringify({ session: transcript.session, bytes: offset, text: all })}\n`);
}

async function printHubLog(home: Home, io: Io, follow: boolean, json: boolean, signal: AbortSignal): Promise<void> {
  const file = hubLogFile(home);
  const size = statSync(file, { throwIfNoEntry: false })?.size;
  if (size === undefined && !follow)
    throw new CommandError(`There is no log yet in ${home.logs}. Start the hub: cto up`);
  let offset = Math.max(0, (size ?? 0) - TAIL_BYTES);
  let skipsFirst = offset > 0;
  let rest = "";
  for (;;) {
    const now = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    // It was moved aside and begun anew.
    if (now < offset) [offset, rest] = [0, ""];
    const bytes = now > offset ? readAt(file, offset, Math.min(now - offset, CHUNK_BYTES)) : Buffer.alloc(0);
    offset += bytes.length;
    const lines = (rest + bytes.toString("utf8")).split("\n");
    rest = lines.pop() ?? "";
    if (skipsFirst) lines.shift();
    skipsFirst = false;
    for (const line of lines) io.stdout.write(`${json ? line : readable(line)}\n`);
    if (signal.aborted || (!follow && bytes.length === 0)) return;
    if (bytes.length === 0) await pause(signal);
  }
}

function readAt(file: string, offset: number, length: number): Buffer {
  const fd = openSync(file, "r");
  try {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
  } finally {
    closeSync(fd);
  }
}

const LEVELS: Record<number, string> = { 20: "debug", 30: "info", 40: "WARN", 50: "ERROR", 60: "FATAL" };

/** A line of JSON as a person reads it: time, level, words, and the rest behind. */
function readable(line: string): string {
  try {
    const { time, level, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
    const facts = Object.entries(rest).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
    const words = [time, LEVELS[Number(level)] ?? level, msg].filter((word) => word !== undefined).map(String);
    return plain([...words, ...facts].join(" "));
  } catch {
    return plain(line);
  }
}

async function pause(signal: AbortSignal): Promise<void> {
  await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
}
