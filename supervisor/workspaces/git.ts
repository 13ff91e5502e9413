import { spawn } from "node:child_process";
import { ConfigurationError, ProviderError } from "../../hub/base/errors.ts";

/** Settings that hold for every git command of ours, whoever wrote the repository's own. */
export const SAFE_SETTINGS = [
  "-c",
  "core.hooksPath=/dev/null",
  "-c",
  "core.fsmonitor=false",
  "-c",
  "protocol.ext.allow=never",
  "-c",
  "core.filesRefLockTimeout=2000",
  "-c",
  "core.packedRefsTimeout=2000",
];

/** Environment that keeps out every setting that is not ours. */
export const SAFE_ENVIRONMENT: Record<string, string> = {
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_ATTR_NOSYSTEM: "1",
  GIT_TERMINAL_PROMPT: "0",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_NO_LAZY_FETCH: "1",
  GIT_NO_REPLACE_OBJECTS: "1",
  GIT_LITERAL_PATHSPECS: "1",
  GIT_ALLOW_PROTOCOL: "file:git:http:https:ssh",
  LC_ALL: "C",
};

const NEEDED_VERSION = [2, 39] as const;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 60_000;
/** How long a process that was asked to end may take before it is ended. */
const END_GRACE_MS = 2_000;

export interface GitOptions {
  /** The bare repository that the command is about; none for commands about a URL or a version. */
  repository?: string;
  input?: string;
  timeoutMs?: number;
  /** Use the person's own git configuration and credentials: for the person's remote, nothing else. */
  asPerson?: boolean;
  /** Exit codes that are answers. Default: 0. */
  codes?: readonly number[];
  env?: Record<string, string>;
}

export interface GitResult {
  code: number;
  stdout: string;
}

/** Runs git on the host. Nothing else in the hub does. */
export type Git = (args: readonly string[], options?: GitOptions) => Promise<GitResult>;

/** A git command that ended otherwise than hoped; `code` is null when it was cut off. */
export class GitError extends ProviderError {
  override name = "GitError";
  readonly code: number | null;
  readonly stderr: string;
  constructor(message: string, code: number | null, stderr: string) {
    super(message);
    this.code = code;
    this.stderr = stderr;
  }
}

/**
 * The host's git, run with argument arrays only, without a terminal, with a time limit and a
 * cap on its output. Throws `ConfigurationError` when git is missing or too old, `GitError`
 * (with git's own words, credentials removed) when a command fails.
 */
export function createGit(program = "git", baseEnvironment: NodeJS.ProcessEnv = process.env): Git {
  let version: Promise<void> | undefined;
  const git: Git = async (args, options = {}) => {
    version ??= checkVersion(program, baseEnvironment);
    await version;
    return run(program, args, options, baseEnvironment);
  };
  return git;
}

async function checkVersion(program: string, baseEnvironment: NodeJS.ProcessEnv): Promise<void> {
  const { stdout } = await run(program, ["--version"], {}, baseEnvironment);
  const [, major = "0", minor = "0"] = /(\d+)\.(\d+)/.exec(stdout) ?? [];
  const [needMajor, needMinor] = NEEDED_VERSION;
  if (Number(major) > needMajor || (Number(major) === needMajor && Number(minor) >= needMinor)) return;
  throw new ConfigurationError(
    `git ${NEEDED_VERSION.join(".")} or newer is needed (this one is ${major}.${minor}): install it and start again.`,
  );
}

function run(
  program: string,
  args: readonly string[],
  options: GitOptions,
  baseEnvironment: NodeJS.ProcessEnv,
): Promise<GitResult> {
  const where = options.repository === undefined ? [] : [`--git-dir=${options.repository}`];
  const environment = environmentOf(options, baseEnvironment);
  return new Promise((resolve, reject) => {
    // A process group of its own: it has no terminal to ask at, and ends whole.
    const child = spawn(program, [...SAFE_SETTINGS, ...where, ...args], {
      cwd: "/",
      env: environment,
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    const end = (signal: NodeJS.Signals) => {
      if (child.pid !== undefined && child.exitCode === null) killGroup(child.pid, signal);
    };
    let cut: string | undefined;
    let hardEnd: NodeJS.Timeout | undefined;
    const cutOff = (why: string) => {
      cut ??= why;
      end("SIGTERM");
      hardEnd ??= setTimeout(end, END_GRACE_MS, "SIGKILL");
    };
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const timer = setTimeout(cutOff, timeoutMs, `took longer than ${Math.round(timeoutMs / 1000)} s`);
    const stdout = collect(child.stdout, MAX_OUTPUT_BYTES, () => cutOff("gave more output than can be taken"));
    const stderr = collect(child.stderr, 256 * 1024, () => undefined);
    child.stdin.on("error", () => undefined); // It may end without reading; its exit code says why.
    child.stdin.end(options.input ?? "");
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(missing(program, error));
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      clearTimeout(hardEnd);
      if (code !== null && cut === undefined && (options.codes ?? [0]).includes(code)) {
        return resolve({ code, stdout: stdout() });
      }
      reject(failure(args, code, cut, withoutCredentials(stderr())));
    });
  });
}

function environmentOf(options: GitOptions, base: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  // What the hub was started with must not point its git somewhere else (GIT_DIR and its kin).
  const clean = Object.fromEntries(Object.entries(base).filter(([name]) => !name.startsWith("GIT_")));
  const safe = { ...SAFE_ENVIRONMENT };
  if (options.asPerson === true) {
    delete safe["GIT_CONFIG_NOSYSTEM"];
    delete safe["GIT_CONFIG_GLOBAL"];
    for (const [name, value] of Object.entries(base)) {
      if (/^GIT_(SSH|ASKPASS|CONFIG_GLOBAL|CONFIG_SYSTEM|CONFIG_NOSYSTEM|SSL|PROXY)/.test(name))
        safe[name] = value ?? "";
    }
  }
  return { ...clean, ...safe, ...options.env };
}

function collect(stream: NodeJS.ReadableStream, maxBytes: number, tooMuch: () => void): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= maxBytes) chunks.push(chunk);
    else tooMuch();
  });
  return () => Buffer.concat(chunks).toString("utf8");
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}

function missing(program: string, error: Error): Error {
  if ("code" in error && error.code === "ENOENT") {
    return new ConfigurationError(`${program} is not there: install git and start again.`, { cause: error });
  }
  return error;
}

function failure(args: readonly string[], code: number | null, cut: string | undefined, stderr: string): GitError {
  const words = stderr.trim().split("\n").slice(-3).join(" ").slice(0, 500);
  const how = cut ?? (words === "" ? `ended with exit code ${code}` : words);
  return new GitError(`git ${args[0] ?? ""}: ${how}`, cut === undefined ? code : null, stderr);
}

/** A URL's user and password never reach a message. */
export function withoutCredentials(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)[^/\s@'"]*@/gi, "$1");
}
