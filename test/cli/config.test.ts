import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ConfigurationError } from "../../hub/base/errors.ts";
import { isStartable, parseConfig, readConfig, whyNotStartable } from "../../hub/config.ts";

const BRIEF = readFileSync(new URL("../fixtures/brief-config.yaml", import.meta.url), "utf8");

function refusal(text: string, env: NodeJS.ProcessEnv = {}): string {
  let message = "";
  assert.throws(
    () => parseConfig(text, "config.yaml", env),
    (error) => {
      assert.ok(error instanceof ConfigurationError);
      message = error.message;
      return true;
    },
  );
  assert.ok(!message.includes("\n"), "one line");
  return message;
}

test("the brief's whole configuration is accepted under its own names", () => {
  const config = parseConfig(BRIEF, "config.yaml", {});
  assert.equal(config.scheduler.check_interval, 60);
  assert.equal(config.scheduler.max_concurrent_tasks, 3);
  assert.deepEqual(config.scheduler.routing, {
    planning: "claude",
    implementation: "qwen",
    testing: "qwen",
    review: "gemini",
    documentation: "qwen",
  });
  assert.equal(config.agents["claude"]?.credit_threshold, 5);
  assert.equal(config.agents["claude"]?.cli, "claude-code");
  assert.equal(config.agents["qwen"]?.cli, "qwen-code");
  assert.equal(config.agents["gemini"]?.daily_limit, 500);
  assert.equal(config.vms?.qwen_vm?.ram, 32768);
  assert.equal(config.database?.password, "changeme");
  assert.equal(config.monitoring.metrics_retention_days, 90);
  assert.equal(config.monitoring.log_level, "info");
  assert.equal(config.dashboard.port, 5000);
});

test("the brief's configuration says what of it is not used yet", () => {
  const { warnings } = parseConfig(BRIEF, "config.yaml", {});
  assert.deepEqual(warnings, [
    "dashboard.host is 0.0.0.0, but the hub listens on 127.0.0.1 only: reach it from elsewhere through " +
      "`tailscale serve` or `ssh -L`, and put the name that you use into dashboard.allowed_hosts",
    "not started, because there is no adapter yet: qwen (qwen-code), gemini (gemini-cli)",
    "not used yet: sheets.credentials, sheets.spreadsheet_name, sheets.sync_interval, database, vms, " +
      "agents.claude.runner, agents.claude.image, agents.claude.credit_threshold, agents.qwen.endpoint, " +
      "agents.gemini.api_key_env, agents.gemini.daily_limit, scheduler.routing, notifications",
  ]);
});

test("whatever host is asked for, the hub listens on loopback", () => {
  assert.equal(parseConfig(BRIEF, "config.yaml", {}).dashboard.host, "127.0.0.1");
  assert.equal(parseConfig("dashboard: { host: localhost }", "config.yaml", {}).dashboard.host, "localhost");
});

test("a Google sheet's interval is not the local sheet's", () => {
  assert.equal(parseConfig(BRIEF, "config.yaml", {}).sheets.sync_interval, 2);
  assert.equal(parseConfig("sheets: { sync_interval: 7 }", "config.yaml", {}).sheets.sync_interval, 7);
  assert.equal(parseConfig("", "config.yaml", {}).sheets.sync_interval, 2);
});

test("a misspelt key is refused by name, with the nearest", () => {
  assert.equal(
    refusal("scheduler: { max_concurent_tasks: 2 }"),
    'config.yaml: there is no key "scheduler.max_concurent_tasks". Did you mean "max_concurrent_tasks"? Correct it and start again.',
  );
  assert.match(refusal("agents: { a: { cli: command, command: /bin/true, modle: x } }"), /agents\.a\.modle.*"model"/);
  assert.match(refusal("vms: { qwen_vm: { vcpu: 1 } }"), /vms\.qwen_vm\.vcpu.*"vcpus"/);
  assert.match(refusal("shets: {}"), /there is no key "shets"\. Did you mean "sheets"\?/);
  assert.match(refusal("zzz: 1"), /there is no key "zzz"\. Correct it/);
});

test("a wrong value is refused by its key", () => {
  assert.match(refusal("scheduler: { max_concurrent_tasks: many }"), /"scheduler\.max_concurrent_tasks"/);
  assert.match(refusal("timezone: Mars/Base"), /"timezone" is not a time zone/);
  assert.match(refusal("agents: { 'A b': { cli: command, command: x } }"), /lower-case letters/);
  assert.match(refusal("a: [1"), /not valid YAML/);
  assert.match(refusal("version: 2"), /"version"/);
  assert.match(refusal("- a"), /section with keys/);
  const said = (text: string) => refusal(text).replace(/^config\.yaml: (.*) Correct it and start again\.$/, "$1");
  assert.deepEqual(
    [
      "scheduler: { check_interval: 0 }",
      "scheduler: { task_time_limit: 0 }",
      "scheduler: { max_concurrent_tasks: 51 }",
      "scheduler: { max_concurrent_tasks: 1.5 }",
      "dashboard: { port: 5e9 }",
      "dashboard: { enabled: maybe }",
      "monitoring: { log_level: loud }",
      "agents: { a: { cli: x } }",
      "agents: { a: { command: x, daily_limit: -1 } }",
      "sheets: 5",
    ].map(said),
    [
      '"scheduler.check_interval" is 0, and must be from 0.05 to 3600.',
      '"scheduler.task_time_limit" is 0, and must be more than 0, up to 1440.',
      '"scheduler.max_concurrent_tasks" is 51, and must be from 1 to 50.',
      '"scheduler.max_concurrent_tasks" is 1.5, and must be a whole number.',
      '"dashboard.port" is 5000000000, and must be from 0 to 65535.',
      '"dashboard.enabled" is "maybe", and must be true or false.',
      '"monitoring.log_level" is "loud", and must be one of debug, info, warn, warning, error, critical.',
      '"agents.a.cli" is "x", and must be one of claude-code, qwen-code, gemini-cli, codex, command.',
      '"agents.a.daily_limit" is -1, and must be 0 or more.',
      '"sheets" is 5, and must be a section with keys.',
    ],
  );
});

test("an agent must be understood, and a command agent must have a command", () => {
  assert.match(refusal("agents: { worker: { enabled: true } }"), /"agents\.worker" does not say what it is.*command/);
  assert.match(refusal("agents: { worker: { cli: command } }"), /has no command/);
  const config = parseConfig("agents: { worker: { command: /bin/true } }", "config.yaml", {});
  assert.equal(config.agents["worker"]?.cli, "command");
});

test("only enabled agents that there is an adapter for are started", () => {
  const config = parseConfig(
    "agents: { a: { command: /bin/a }, b: { command: /bin/b, enabled: false }, claude: {}, qwen: {} }",
    "config.yaml",
    {},
  );
  const startable = Object.entries(config.agents).filter(([, agent]) => isStartable(agent));
  assert.deepEqual(
    startable.map(([name]) => name),
    ["a", "claude"],
  );
});

test("${VAR} in an agent's env comes from the hub's environment", () => {
  const text = "agents: { a: { command: /bin/a, env: { KEY: 'x-${MY_KEY}-y', PORT: 8000, PLAIN: $HOME } } }";
  assert.deepEqual(parseConfig(text, "config.yaml", { MY_KEY: "k" }).agents["a"]?.env, {
    KEY: "x-k-y",
    PORT: "8000",
    PLAIN: "$HOME",
  });
  assert.equal(
    refusal(text),
    'config.yaml: "agents.a.env.KEY" needs ${MY_KEY}, which is not in the hub\'s environment. Set it and start again.',
  );
  const off = "agents: { a: { command: /bin/a, enabled: false, env: { KEY: '${MY_KEY}' } } }";
  assert.doesNotThrow(() => parseConfig(off, "config.yaml", {}));
});

test("a section with everything commented out is as good as absent", () => {
  assert.deepEqual(parseConfig("scheduler:\nnotifications:\n", "c", {}), parseConfig("", "c", {}));
});

test("no file is the sample's business, an unreadable one is an error", () => {
  assert.equal(readConfig("/nonexistent/config.yaml"), undefined);
  assert.throws(() => readConfig("/"), ConfigurationError);
});

test("an agent whose program is not there is not started, and a warning says so", async () => {
  const root = await mkdtemp(join(tmpdir(), "cto-config-"));
  try {
    await writeFile(join(root, "tool"), "#!/bin/sh\n", { mode: 0o755 });
    await writeFile(join(root, "text"), "");
    const file = join(root, "config.yaml");
    const agents = {
      there: { command: join(root, "tool") },
      found: { command: "tool" },
      own: { command: "./bin/agent" },
      lost: { command: "/nope/agent" },
      text: { command: join(root, "text") },
      bare: { command: "no-such-tool" },
      off: { command: "/nope/agent", enabled: false },
    };
    await writeFile(file, JSON.stringify({ agents, sheets: { folder: join(root, "new") } }));
    const config = readConfig(file, { PATH: `/nowhere:${root}` });
    assert.deepEqual(
      Object.entries(config?.agents ?? {}).map(([name, agent]) => `${name}: ${whyNotStartable(agent)}`),
      [
        "there: ",
        "found: ",
        "own: ",
        "lost: its program /nope/agent is not there",
        `text: its program ${root}/text cannot be executed`,
        "bare: its program no-such-tool is not in PATH",
        "off: switched off",
      ],
    );
    assert.deepEqual(config?.warnings, [
      "agent lost is not started: its program /nope/agent is not there",
      `agent text is not started: its program ${root}/text cannot be executed`,
      "agent bare is not started: its program no-such-tool is not in PATH",
      `sheets.folder ${root}/new is not there: it is made`,
    ]);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
