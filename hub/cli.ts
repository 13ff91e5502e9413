import { once } from "node:events";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { ConfigurationError, messageOf, ProviderError, UserInputError } from "./base/errors.ts";
import { command as add } from "./commands/add.ts";
import { command as answer } from "./commands/answer.ts";
import { CommandError, UsageError, type Command, type Io, type Signals } from "./commands/command.ts";
import { command as logs } from "./commands/logs.ts";
import { command as mcpJson } from "./commands/mcp-json.ts";
import { command as mcp } from "./commands/mcp.ts";
import { command as next } from "./commands/next.ts";
import { command as release } from "./commands/release.ts";
import { command as status } from "./commands/status.ts";
import { command as steer } from "./commands/steer.ts";
import { command as stop } from "./commands/stop.ts";
import { command as token } from "./commands/token.ts";
import { command as up } from "./commands/up.ts";
import { didYouMean } from "./nearest.ts";

/** In the order in which a person meets them. */
export const COMMANDS: readonly Command[] = [
  up,
  status,
  next,
  add,
  answer,
  steer,
  stop,
  release,
  logs,
  token,
  mcpJson,
  mcp,
];

/**
 * Runs the command that `args` names and answers the exit code: 0 ok, 1 the operation failed,
 * 2 wrong usage. Never throws: whatever a command throws is told on stderr.
 */
export async function runCli(args: string[], io: Io): Promise<number> {
  const [word, ...rest] = args;
  if (word === undefined) {
    io.stderr.write(overview());
    return 2;
  }
  if (word === "--version" || word === "-V") {
    io.stdout.write(`${version()}\n`);
    return 0;
  }
  if (word === "--help" || word === "-h" || word === "help") return help(rest[0], io);
  const command = COMMANDS.find((each) => each.name === word);
  if (command === undefined) return unknown(word, io);
  if (asksForHelp(rest)) {
    io.stdout.write(command.usage);
    return 0;
  }
  try {
    return await command.run(rest, io);
  } catch (error) {
    return told(error, command, io);
  }
}

function help(name: string | undefined, io: Io): number {
  const command = COMMANDS.find((each) => each.name === name);
  if (name !== undefined && command === undefined) return unknown(name, io);
  io.stdout.write(command?.usage ?? overview());
  return 0;
}

function unknown(word: string, io: Io): number {
  const names = COMMANDS.map((each) => each.name);
  io.stderr.write(`cto: there is no command "${word}".${didYouMean(word, names)} All of them: cto --help\n`);
  return 2;
}

/** `--help` as an option, not as the text of a task behind `--`. */
function asksForHelp(args: string[]): boolean {
  const { values } = parseArgs({
    args,
    options: { help: { type: "boolean", short: "h" } },
    allowPositionals: true,
    strict: false,
  });
  return values.help === true;
}

function overview(): string {
  const width = Math.max(...COMMANDS.map((each) => each.name.length));
  const lines = COMMANDS.map((each) => `  ${each.name.padEnd(width)}   ${each.summary}`);
  return `Usage: cto COMMAND [options]

CTO Sidekick lets coding agents work through your projects, by priority.

${lines.join("\n")}

Each has --help with an example. Exit codes: 0 ok, 1 the operation failed, 2 wrong usage.

Example: cto up
`;
}

function told(error: unknown, command: Command, io: Io): number {
  if (error instanceof UsageError) {
    // Words that end in an example have no full stop of their own.
    const words = /[.!?…]$/.test(error.message) ? error.message : `${error.message}.`;
    io.stderr.write(`cto ${command.name}: ${words} More: cto ${command.name} --help\n`);
    return 2;
  }
  const ours =
    error instanceof CommandError ||
    error instanceof ConfigurationError ||
    error instanceof ProviderError ||
    error instanceof UserInputError;
  if (ours) io.stderr.write(`cto: ${error.message}\n`);
  else if (isRefusedPath(error))
    io.stderr.write(`cto: ${error.path} cannot be used (${error.code}). Look at its permissions, or at CTO_HOME.\n`);
  else io.stderr.write(`cto: this should not happen: ${messageOf(error)}\n${stackOf(error)}`);
  return 1;
}

/** The system, not we, keeps it from a file: no fault of ours that somebody has to look for. */
function isRefusedPath(error: unknown): error is NodeJS.ErrnoException & { path: string } {
  const { code, path } = error as NodeJS.ErrnoException;
  return path !== undefined && ["EACCES", "EPERM", "EROFS", "ENOTDIR", "ENOSPC", "EDQUOT"].includes(code ?? "");
}

/** Whoever reports a fault of ours needs to know where it was. */
function stackOf(error: unknown): string {
  return error instanceof Error && error.stack !== undefined ? `${error.stack}\n` : "";
}

/** The version in package.json. */
export function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

const signals: Signals = {
  on(listener) {
    const both = ["SIGINT", "SIGTERM"] as const;
    for (const signal of both) process.on(signal, listener);
    return () => both.forEach((signal) => process.off(signal, listener));
  },
  exit: (code) => process.exit(code),
};

/** A reader that has seen enough (`cto logs | head`) is no fault. */
function quitOnClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
}

if (import.meta.main) {
  process.stdout.on("error", quitOnClosedPipe);
  process.stderr.on("error", quitOnClosedPipe);
  const io = {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    signals,
  };
  process.exitCode = await runCli(process.argv.slice(2), io);
  // Idle connections would hold the process for seconds; what was printed into a pipe goes out first.
  if (process.stdout.writableNeedDrain) await once(process.stdout, "drain");
  process.stdout.write("", () => process.exit());
}
