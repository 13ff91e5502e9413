import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";
import { codeOf, ConfigurationError, messageOf } from "./base/errors.ts";
import { didYouMean } from "./nearest.ts";
import { hasAdapter, withPathsChecked } from "./programs.ts";

/**
 * `config.yaml`: the keys of the user's brief under their own names, with the design's
 * defaults. Unknown keys are refused by name, so that a misspelt one is not silently ignored.
 * Keys whose part of the product is not there yet are accepted and named in a warning.
 */

const CLIS = ["claude-code", "qwen-code", "gemini-cli", "codex", "command"] as const;

/** An agent that says no `cli` is taken by its name. */
const CLI_BY_NAME: Record<string, (typeof CLIS)[number]> = {
  claude: "claude-code",
  qwen: "qwen-code",
  gemini: "gemini-cli",
  codex: "codex",
};

const agentSchema = z.strictObject({
  cli: z.enum(CLIS).optional(),
  /** The program of a `command` agent; for another the path of its client, when it is not in PATH. */
  command: z.string().default(""),
  args: z.array(z.string()).default([]),
  /** `${VAR}` is taken from the hub's own environment. */
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "is not a name of a variable"), scalarText()).default({}),
  model: z.string().default(""),
  account: z.string().optional(),
  enabled: z.boolean().default(true),
  /** What its sessions may do besides, in the client's own words, such as `Bash(npm run build)`. */
  allow: z.array(z.string().min(1).max(1_000)).max(500).default([]),
  /** Sessions of this agent at once. */
  max_sessions: z.int().min(1).max(50).default(1),
  runner: z.enum(["docker", "vm", "native"]).optional(),
  image: z.string().optional(),
  credit_threshold: z.number().min(0).optional(),
  endpoint: z.string().optional(),
  api_key_env: z.string().optional(),
  daily_limit: z.number().min(0).optional(),
});

const AGENT_NAME = /^[a-z][a-z0-9-]{0,30}$/;
const MINUTES = z
  .number()
  .positive()
  .max(24 * 60);
const SECONDS = z.number().min(0).max(604_800);

const sheetsSchema = z.strictObject({
  /** Seconds between looks at the sheet. With a Google sheet named it is that one's. */
  sync_interval: z.number().min(0.1).max(3600).optional(),
  /** Folder of the CSV files; empty for `sheet/` in the home. */
  folder: z.string().default(""),
  credentials: z.string().optional(),
  spreadsheet_name: z.string().optional(),
});

const schedulerSchema = z.strictObject({
  /** Seconds between looks when nothing happens. */
  check_interval: z.number().min(0.05).max(3600).default(5),
  max_concurrent_tasks: z.int().min(1).max(50).default(3),
  /** Minutes one session may work on one task. */
  task_time_limit: MINUTES.default(240),
  /** Minutes without a sign of life before a session is ended. */
  silence_limit: MINUTES.default(30),
  /** Minutes that a check may take. */
  check_time_limit: MINUTES.default(15),
  /** Tasks of one project that a session may do one after the other before a fresh one takes over. */
  tasks_per_session: z.int().min(1).max(100).default(5),
  routing: z.record(z.string(), z.string()).default({}),
});

const vmsSchema = z.strictObject({
  provider: z.string().optional(),
  template: z.string().optional(),
  max_vms: z.int().min(0).max(1000).optional(),
  idle_shutdown: SECONDS.optional(),
  qwen_vm: z
    .strictObject({
      name: z.string().optional(),
      ram: z.int().min(1).optional(),
      vcpus: z.int().min(1).optional(),
      gpus: z.array(z.int().min(0)).optional(),
      autostart: z.boolean().optional(),
    })
    .optional(),
});

const databaseSchema = z.strictObject({
  host: z.string().optional(),
  port: z.int().min(1).max(65535).optional(),
  name: z.string().optional(),
  user: z.string().optional(),
  password: scalarText().optional(),
});

const notificationsSchema = z.strictObject({
  ntfy: z
    .strictObject({
      enabled: z.boolean().optional(),
      topic: z.string().optional(),
      server: z.string().optional(),
    })
    .optional(),
  email: z
    .strictObject({
      enabled: z.boolean().optional(),
      smtp_host: z.string().optional(),
      from: z.string().optional(),
      to: z.string().optional(),
    })
    .optional(),
});

const LOG_LEVELS = { debug: "debug", info: "info", warn: "warn", warning: "warn", error: "error", critical: "error" };

const configSchema = z.strictObject({
  version: z.literal(1).default(1),
  agents: z
    .record(z.string().regex(AGENT_NAME, "an agent's name is lower-case letters, digits and dashes"), agentSchema)
    .default({}),
  scheduler: schedulerSchema.prefault({}),
  sheets: sheetsSchema.prefault({}),
  dashboard: z
    .strictObject({
      enabled: z.boolean().default(true),
      host: z.string().default("127.0.0.1"),
      port: z.int().min(0).max(65535).default(5000),
      /** Other names that the page is reached under, such as a Tailscale name. */
      allowed_hosts: z.array(z.string()).default([]),
    })
    .prefault({}),
  /** Folder of the repositories that the hub makes; empty for `projects/` in the home. */
  projects_dir: z.string().default(""),
  monitoring: z
    .strictObject({
      metrics_retention_days: z.int().min(1).max(3650).default(90),
      log_level: z
        .string()
        .toLowerCase()
        .pipe(z.literal(Object.keys(LOG_LEVELS) as (keyof typeof LOG_LEVELS)[]))
        .transform((level) => LOG_LEVELS[level] as "debug" | "info" | "warn" | "error")
        .prefault("info"),
    })
    .prefault({}),
  /** Shown times are in this zone; empty for the host's. */
  timezone: z
    .string()
    .refine(isTimezone, { error: "is not a time zone that is known, such as Europe/Berlin" })
    .default(""),
  vms: vmsSchema.optional(),
  database: databaseSchema.optional(),
  notifications: notificationsSchema.optional(),
});

type Parsed = z.output<typeof configSchema>;

export type AgentConfig = Omit<Parsed["agents"][string], "cli"> & {
  cli: (typeof CLIS)[number];
  /** What was found at the start to keep it from being started. */
  why?: string;
};

/** The checked configuration, and what should be said about it at the start. */
export type Config = Omit<Parsed, "agents" | "sheets"> & {
  agents: Record<string, AgentConfig>;
  sheets: Omit<Parsed["sheets"], "sync_interval"> & {
    /** Seconds between looks at the local sheet. */
    sync_interval: number;
  };
  /** Whole sentences for the person; empty when there is nothing to say. */
  warnings: string[];
};

/** Seconds between looks at a local sheet. */
const LOCAL_SYNC_INTERVAL = 2;
const LOOPBACK = ["127.0.0.1", "localhost", "::1"];

/**
 * The configuration in `text`, checked, with `${VAR}` in agents' `env` taken from `env`.
 * Throws `ConfigurationError` naming the wrong key.
 */
export function parseConfig(text: string, path: string, env: NodeJS.ProcessEnv = process.env): Config {
  let value: unknown;
  try {
    value = withoutNulls(parse(text) ?? {});
  } catch (error) {
    throw new ConfigurationError(`${path} is not valid YAML: ${messageOf(error).split("\n")[0]}`, { cause: error });
  }
  const result = configSchema.safeParse(value);
  if (!result.success)
    throw new ConfigurationError(`${path}: ${issueText(result.error.issues[0], value)} Correct it and start again.`);
  return completed(result.data, path, env);
}

/**
 * Reads the configuration file and looks at the paths that it names; undefined when there is none
 * (the sample is used then).
 */
export function readConfig(path: string, env: NodeJS.ProcessEnv = process.env): Config | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    // A home below a file is told by whoever makes its folders.
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error))) return undefined;
    throw new ConfigurationError(`${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  return withPathsChecked(parseConfig(text, path, env), env["PATH"] ?? "");
}

/** Whether the hub can start sessions of this agent. */
export function isStartable(agent: AgentConfig): boolean {
  return whyNotStartable(agent) === "";
}

/** What keeps an agent from being started, in words; empty when nothing does. */
export function whyNotStartable(agent: AgentConfig): string {
  if (!agent.enabled) return "switched off";
  return hasAdapter(agent.cli) ? (agent.why ?? "") : "no adapter for it yet";
}

function completed(parsed: Parsed, path: string, env: NodeJS.ProcessEnv): Config {
  const agents = Object.fromEntries(
    Object.entries(parsed.agents).map(([name, agent]) => [name, completedAgent(name, agent, path, env)]),
  );
  const google = isGoogle(parsed.sheets);
  return {
    ...parsed,
    agents,
    sheets: {
      ...parsed.sheets,
      sync_interval: google ? LOCAL_SYNC_INTERVAL : (parsed.sheets.sync_interval ?? LOCAL_SYNC_INTERVAL),
    },
    dashboard: {
      ...parsed.dashboard,
      host: LOOPBACK.includes(parsed.dashboard.host) ? parsed.dashboard.host : "127.0.0.1",
    },
    warnings: [
      ...hostWarning(parsed.dashboard),
      ...agentWarning(agents),
      ...agentModelWarning(parsed.scheduler.routing, agents),
      ...notUsedWarning(parsed, agents),
    ],
  };
}

function completedAgent(
  name: string,
  agent: Parsed["agents"][string],
  path: string,
  env: NodeJS.ProcessEnv,
): AgentConfig {
  const cli = agent.cli ?? (agent.command === "" ? CLI_BY_NAME[name] : "command");
  if (cli === undefined)
    throw new ConfigurationError(
      `${path}: "agents.${name}" does not say what it is: give it a cli (${CLIS.join(", ")}). Correct it and start again.`,
    );
  if (cli === "command" && agent.command === "")
    throw new ConfigurationError(
      `${path}: "agents.${name}" is of cli "command" and has no command: give it the path of a program. Correct it and start again.`,
    );
  const command = cli === "claude-code" && agent.command === "" ? "claude" : agent.command;
  const filled = agent.enabled && hasAdapter(cli) ? filledEnv(name, agent.env, path, env) : agent.env;
  return { ...agent, cli, command, env: filled };
}

/** Only what will be started has its variables filled: a switched-off agent may name what is not there. */
function filledEnv(name: string, map: Record<string, string>, path: string, env: NodeJS.ProcessEnv) {
  const fill = (key: string, text: string) =>
    text.replace(/\$\{([^}]*)\}/g, (_, variable: string) => {
      const value = env[variable];
      if (value !== undefined) return value;
      throw new ConfigurationError(
        `${path}: "agents.${name}.env.${key}" needs \${${variable}}, which is not in the hub's environment. Set it and start again.`,
      );
    });
  return Object.fromEntries(Object.entries(map).map(([key, text]) => [key, fill(key, text)]));
}

function hostWarning(dashboard: Parsed["dashboard"]): string[] {
  if (LOOPBACK.includes(dashboard.host)) return [];
  return [
    `dashboard.host is ${dashboard.host}, but the hub listens on 127.0.0.1 only: reach it from elsewhere ` +
      "through `tailscale serve` or `ssh -L`, and put the name that you use into dashboard.allowed_hosts",
  ];
}

function agentWarning(agents: Record<string, AgentConfig>): string[] {
  const without = Object.entries(agents).filter(([, agent]) => agent.enabled && !isStartable(agent));
  if (without.length === 0) return [];
  const names = without.map(([name, agent]) => `${name} (${agent.cli})`).join(", ");
  return [`not started, because there is no adapter yet: ${names}`];
}

function agentModelWarning(routing: Record<string, string>, agents: Record<string, AgentConfig>): string[] {
  const unknown = [...new Set(Object.values(routing))].filter((name) => !Object.hasOwn(agents, name));
  if (unknown.length === 0) return [];
  return [`scheduler.routing names agents that are not configured: ${unknown.join(", ")}`];
}

/** One line with every key that was given and whose part of the product is not there yet. */
function notUsedWarning(parsed: Parsed, agents: Record<string, AgentConfig>): string[] {
  const keys = [
    ...given(parsed.sheets, "sheets", ["credentials", "spreadsheet_name"]),
    ...(isGoogle(parsed.sheets) ? given(parsed.sheets, "sheets", ["sync_interval"]) : []),
    ...given(parsed, "", ["database", "vms"]),
    ...Object.entries(agents).flatMap(([name, agent]) =>
      given(agent, `agents.${name}`, ["runner", "image", "credit_threshold", "endpoint", "api_key_env", "daily_limit"]),
    ),
    ...(Object.keys(parsed.scheduler.routing).length > 0 ? ["scheduler.routing"] : []),
    ...given(parsed, "", ["notifications"]),
  ];
  if (keys.length === 0) return [];
  return [`not used yet: ${keys.join(", ")}`];
}

function given<Part extends object>(part: Part, path: string, keys: (keyof Part & string)[]): string[] {
  return keys.filter((key) => part[key] !== undefined).map((key) => (path === "" ? key : `${path}.${key}`));
}

function isGoogle(sheets: Parsed["sheets"]): boolean {
  return sheets.credentials !== undefined || sheets.spreadsheet_name !== undefined;
}

/** Text that a person may have typed so that YAML takes it for a number or a switch. */
function scalarText() {
  return z.union([z.string(), z.number(), z.boolean()]).transform(String);
}

function isTimezone(zone: string): boolean {
  if (zone === "") return true;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

/** A key with nothing under it (all of it commented out, say) is as good as absent. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, child]) => child !== null)
      .map(([key, child]) => [key, withoutNulls(child)]),
  );
}

function issueText(issue: z.core.$ZodIssue | undefined, value: unknown): string {
  if (issue === undefined) return "it cannot be read.";
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0] ?? "";
    return `there is no key "${[...issue.path, key].join(".")}".${didYouMean(key, keysAt(configSchema, issue.path))}`;
  }
  const key = issue.path.join(".");
  return `${key === "" ? "" : `"${key}" `}${reasonOf(issue, valueAt(value, issue.path))}.`;
}

/** What is wrong with a value, such as `is 0, and must be from 0.05 to 3600`. */
function reasonOf(issue: z.core.$ZodIssue, value: unknown): string {
  if (issue.code === "invalid_key") return `cannot be its name: ${issue.issues[0]?.message ?? issue.message}`;
  if (issue.code === "custom") return issue.message;
  const is = `is ${(JSON.stringify(value) ?? "absent").slice(0, 60)}, and must be`;
  if (issue.code === "too_small" || issue.code === "too_big") return `${is} ${rangeOf(issue)}`;
  if (issue.code === "invalid_value")
    return `${is} ${issue.values.length === 1 ? "" : "one of "}${issue.values.join(", ")}`;
  if (issue.code === "invalid_type") return `${is} ${KINDS[issue.expected] ?? issue.expected}`;
  return issue.message.replace(/\.$/, "");
}

/** What the schema expects, in words. */
const KINDS: Record<string, string> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a section with keys",
  record: "a section with keys",
};

/** Both ends, so that a person who corrects one does not meet the other. */
function rangeOf(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const schema = unwrapped(schemaAt(configSchema, issue.path));
  if (schema instanceof z.ZodNumber) {
    const [least, most] = [schema.minValue, schema.maxValue];
    const above =
      least === 0 && issue.code === "too_small" && issue.inclusive !== true ? "more than 0, up to" : undefined;
    if (most !== null && Number.isFinite(most) && most < Number.MAX_SAFE_INTEGER)
      return above === undefined ? `from ${least ?? 0} to ${most}` : `${above} ${most}`;
    return `${least ?? 0} or more`;
  }
  return issue.code === "too_small" ? `at least ${issue.minimum}` : `at most ${issue.maximum}`;
}

function valueAt(value: unknown, path: PropertyKey[]): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | null | undefined)?.[key], value);
}

/** The keys that the schema knows at `path`. */
function keysAt(schema: unknown, path: PropertyKey[]): string[] {
  const inner = unwrapped(schemaAt(schema, path));
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

function schemaAt(schema: unknown, path: PropertyKey[]): unknown {
  const inner = unwrapped(schema);
  const [head, ...rest] = path;
  if (head === undefined) return inner;
  if (inner instanceof z.ZodObject) return schemaAt(inner.shape[String(head)], rest);
  return inner instanceof z.ZodRecord ? schemaAt(inner.valueType, rest) : undefined;
}

function unwrapped(schema: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return unwrapped(schema.unwrap());
  return schema;
}
