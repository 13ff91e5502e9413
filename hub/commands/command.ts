/**
 * One `cto` command. Its file is named after it and exports it as `command`.
 *
 * Everything that a command touches outside itself comes in through `io`, so that a test can
 * run it without a process of its own.
 */
export interface Command {
  /** The word, or words, after `cto`. */
  name: string;
  /** One line for the list of commands. */
  summary: string;
  /** The whole text of `--help`, with an example. */
  usage: string;
  /** Resolves with the exit code: 0 ok, 1 the operation failed, 2 wrong usage. May throw; the boundary in cli.ts tells it. */
  run(args: string[], io: Io): Promise<number>;
}

/** What a command may touch. */
export interface Io {
  stdin: NodeJS.ReadableStream;
  stdout: Output;
  stderr: Output;
  env: Record<string, string | undefined>;
  cwd: string;
  signals: Signals;
}

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
}

/** SIGINT and SIGTERM. */
export interface Signals {
  /** Calls `listener` at each signal. Returns the way to stop listening. */
  on(listener: (signal: NodeJS.Signals) => void): () => void;
  /** Ends the process at once. */
  exit(code: number): void;
}

/** The command line was used wrongly: told with a hint at `--help`, exit code 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** The operation could not be done: told as it is, exit code 1. */
export class CommandError extends Error {
  override name = "CommandError";
}
