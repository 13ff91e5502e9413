/**
 * A machine: where sessions, checks and setup commands run.
 *
 * One adapter per kind. An adapter knows nothing of tasks. All its methods are safe to call
 * again after a crash; `start` with the id of a run that exists already returns without
 * starting a second one.
 */
export interface Machine {
  readonly kind: string;

  /** Whether it can be used now, and if not, why and what to do, in one sentence. */
  health(): Promise<{ ok: true } | { ok: false; why: string }>;

  /** Makes sure that there is a machine for a project, and answers its name. */
  ensure(projectSlug: string): Promise<string>;

  /** The folder inside machine `name` where a task's workspace is (or will be), absolute. */
  workspacePath(name: string, projectSlug: string, taskName: string): string;

  /** Something the host's git can fetch a repository from that is inside the machine at `path`. */
  repositoryUrl(name: string, path: string): string;

  /** Writes a file, making its folders. Mode such as 0o600. The replacement is atomic. */
  put(name: string, path: string, data: string | Uint8Array, mode: number): Promise<void>;

  /**
   * Starts a long-running program that outlives this process, with `CTO_SESSION_ID=<id>` in
   * its environment, stdin from nowhere and output to files that are cut off at `maxLogBytes`.
   */
  start(name: string, spec: RunSpec): Promise<void>;

  /** What is known of run `id` now. Never throws for an unknown id: that is `missing`. */
  observe(id: string): Promise<RunObservation>;

  /** At most `max` bytes of a run's output from `offset`. */
  read(id: string, stream: "stdout" | "stderr", offset: number, max: number): Promise<Uint8Array>;

  /** Runs a short command to its end. Never through a shell. */
  exec(name: string, argv: string[], options: ExecOptions): Promise<ExecResult>;

  /** Ends run `id` with all its descendants, wherever they moved to. Resolves when none is left. */
  kill(id: string, graceMs: number): Promise<void>;

  /** Every run that it knows of, living or not, whoever started it. */
  list(): Promise<string[]>;

  /** What run `id` uses; undefined when it is not running. */
  figures(id: string): Promise<{ processes: number; rssBytes: number; cpuMs: number } | undefined>;

  /** Forgets a run that has ended and removes its files. */
  remove(id: string): Promise<void>;
}

export interface RunSpec {
  /** Lower-case letters, digits and dashes; unique for ever. */
  id: string;
  argv: string[];
  cwd: string;
  /** The whole environment of the program, but for what the machine must add. */
  env: Record<string, string>;
  maxLogBytes: number;
}

export type RunObservation =
  | { state: "missing" }
  | { state: "running"; startedAt: number; outputBytes: number }
  /** `code` is null when it ended without leaving one: killed, or the host went down. */
  | {
      state: "exited";
      code: number | null;
      outputBytes: number;
      /** Set when STOP ended it, also while no hub was there to see. */
      stopped?: true;
    };

export interface ExecOptions {
  cwd: string;
  env?: Record<string, string>;
  timeoutMs: number;
  /** Output beyond this is dropped from the front. Default 1 MiB. */
  maxBytes?: number;
  signal?: AbortSignal;
}

export interface ExecResult {
  /** Null when it was ended by a signal or by the time limit. */
  code: number | null;
  stdout: string;
  stderr: string;
  timedOut: boolean;
}
