import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";
import { ConfigurationError, messageOf } from "./base/errors.ts";

/**
 * `config.yaml`: the keys of the user's brief under their own names, with the design's
 * defaults. Unknown keys are refused by name, so that a misspelt one is not silently ignored;
 * keys of parts that are not there yet are accepted where the brief has them.
 */
const agentSchema = z.looseObject({
  cli: z.enum(["claude-code", "qwen-code", "gemini-cli", "codex", "command"]),
  command: z.string().min(1),
  args: z.array(z.string()).default([]),
  env: z.record(z.string(), z.string()).default({}),
  model: z.string().default(""),
  account: z.string().optional(),
  enabled: z.boolean().default(true),
  /** Sessions of this agent at once. */
  max_sessions: z.int().min(1).max(50).default(1),
});

const AGENT_NAME = /^[a-z][a-z0-9-]{0,30}$/;

const configSchema = z.strictObject({
  version: z.literal(1).default(1),
  agents: z.record(z.string().regex(AGENT_NAME), agentSchema).default({}),
  scheduler: z
    .strictObject({
      /** Seconds between looks when nothing happens. */
      check_interval: z.number().min(0.05).max(3600).default(5),
      max_concurrent_tasks: z.int().min(1).max(50).default(3),
      /** Minutes one session may work on one task. */
      task_time_limit: z
        .number()
        .positive()
        .max(24 * 60)
        .default(240),
      /** Minutes without a sign of life before a session is ended. */
      silence_limit: z
        .number()
        .positive()
        .max(24 * 60)
        .default(30),
      /** Minutes that a check may take. */
      check_time_limit: z
        .number()
        .positive()
        .max(24 * 60)
        .default(15),
      routing: z.record(z.string(), z.string()).default({}),
    })
    .prefault({}),
  sheets: z
    .strictObject({
      /** Seconds between looks at a local sheet. */
      sync_interval: z.number().min(0.1).max(3600).default(2),
      /** Folder of the CSV files; empty for `sheet/` in the home. */
      folder: z.string().default(""),
    })
    .prefault({}),
  dashboard: z
    .strictObject({
      enabled: z.boolean().default(true),
      host: z
        .literal(
          ["127.0.0.1", "localhost", "::1"],
          "the hub listens on loopback only; reach it through Tailscale or an ssh tunnel",
        )
        .default("127.0.0.1"),
      port: z.int().min(0).max(65535).default(5000),
      /** Other names that the page is reached under, such as a Tailscale name. */
      allowed_hosts: z.array(z.string()).default([]),
    })
    .prefault({}),
  projects_dir: z.string().default(""),
  monitoring: z
    .strictObject({
      metrics_retention_days: z.int().min(1).max(3650).default(90),
      log_level: z
        .string()
        .toLowerCase()
        .pipe(z.enum(["debug", "info", "warn", "warning", "error"]))
        .default("info"),
    })
    .prefault({}),
  /** Shown times are in this zone; empty for the host's. */
  timezone: z.string().default(""),
});

export type Config = z.infer<typeof configSchema>;
export type AgentConfig = Config["agents"][string];

/** The configuration in `text`, checked. Throws `ConfigurationError` naming the first wrong key. */
export function parseConfig(text: string, path: string): Config {
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (error) {
    throw new ConfigurationError(`${path} is not valid YAML: ${messageOf(error).split("\n")[0]}`, { cause: error });
  }
  const result = configSchema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const key = issue?.path.join(".") ?? "";
  throw new ConfigurationError(
    `${path}: ${key === "" ? "" : `"${key}": `}${issue?.message ?? "cannot be read"}. Correct it and start again.`,
  );
}

/** Reads the configuration file; undefined when there is none (the sample is used then). */
export function readConfig(path: string): Config | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new ConfigurationError(`${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  return parseConfig(text, path);
}
