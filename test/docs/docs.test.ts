import assert from "node:assert/strict";
import { existsSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { COMMANDS } from "../../hub/cli.ts";
import { parseConfig } from "../../hub/config.ts";
import { PROMPTS } from "../../tools/prompts.ts";
import { TOOLS } from "../../tools/index.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const guides = [
  "README.md",
  "AGENTS.md",
  "CHANGELOG.md",
  ...["docs", "docs/decisions"].flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith(".md"))
      .map((name) => `${folder}/${name}`),
  ),
];

test("every file and link that the docs name is there", () => {
  for (const guide of guides) {
    const text = read(guide);
    const links = [...text.matchAll(/\]\(([^)#]+)\)/g)].map((match) => match[1] ?? "");
    for (const link of links.filter((each) => !/^https?:/.test(each)))
      assert.ok(existsSync(join(ROOT, dirname(guide), link)), `${guide}: ${link}`);
    const paths = [...text.matchAll(/`((?:hub|tools|supervisor|dashboard|test|docs)\/[\w./-]+)`/g)];
    // `tools/call` is a method of MCP, not a file of ours.
    for (const [, path = ""] of paths.filter(([, path]) => !/^tools\/(call|list)$/.test(path ?? "")))
      assert.ok(existsSync(join(ROOT, path)), `${guide}: ${path}`);
  }
});

test("the commands in the README are the commands there are", () => {
  const named = [...read("README.md").matchAll(/^\| `cto ([a-z-]+)/gm)].map((match) => match[1]);
  assert.deepEqual(
    named,
    COMMANDS.map(({ name }) => name),
  );
});

test("tools and prompts that the docs name exist", () => {
  const tools = new Set(TOOLS.map(({ name }) => name));
  const named = [...read("docs/command-agent.md").matchAll(/`([a-z]+_[a-z_]+)`/g)].map((match) => match[1] ?? "");
  const others = new Set(["wait_s"]);
  const unknown = named.filter((name) => !tools.has(name) && !others.has(name));
  assert.deepEqual(unknown, []);
  for (const [, name] of read("README.md").matchAll(/\/mcp__cto__([a-z]+)/g))
    assert.ok(
      PROMPTS.some((prompt) => prompt.name === name),
      name,
    );
});

test("the configuration guide's file is accepted as it stands, and names every key", () => {
  const text = read("docs/configuration.md");
  const yaml = /```yaml\n([^]*?)```/.exec(text)?.[1] ?? "";
  const config = parseConfig(yaml, "config.yaml", { KEY: "k" });
  assert.deepEqual(config.warnings, []);
  const { agents: _, ...defaults } = parseConfig("", "config.yaml", {});
  const { agents: __, ...shown } = config;
  assert.deepEqual(shown, defaults, "the guide shows the defaults");
  const guide = /```yaml\n([^]*?)```/.exec(read("docs/command-agent.md"))?.[1] ?? "";
  assert.equal(parseConfig(guide, "config.yaml", { MY_KEY: "k" }).agents["notes"]?.cli, "command");
});

test("CLAUDE.md is AGENTS.md, and the licence is the one that package.json names", () => {
  assert.ok(lstatSync(join(ROOT, "CLAUDE.md")).isSymbolicLink());
  assert.equal(read("CLAUDE.md"), read("AGENTS.md"));
  assert.equal((JSON.parse(read("package.json")) as { license: string }).license, "Apache-2.0");
  assert.match(read("LICENSE"), /Apache License\s+Version 2\.0, January 2004/);
});

test("the documents are finished", () => {
  for (const guide of guides) assert.doesNotMatch(read(guide), /TODO|FIXME/, guide);
});
