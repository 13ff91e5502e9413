import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { stringify } from "csv-stringify/sync";
import { ConfigurationError, messageOf } from "./base/errors.ts";
import type { Home } from "./base/home.ts";
import { parseConfig, type Config } from "./config.ts";
import { COLUMNS } from "./sheets/columns.ts";

/**
 * What a hub without a configuration comes up with: one small project whose check is red, and an
 * agent of kind `command` that can mend it.
 */

const AGENT = fileURLToPath(new URL("../docs/examples/sample-agent.ts", import.meta.url));

const FILES = {
  "README.md": `# Sample

A project for trying things out: \`check.sh\` says what it must be able to do, and nothing does it
yet. The agent that comes with CTO Sidekick writes the missing file.
`,
  "check.sh": `# Proves the work: run it with "sh check.sh" in this folder. The code is 0 when all is well.
failed=0

expect() {
  wanted=$1
  shift
  got=$("$@")
  if [ "$got" = "$wanted" ]; then
    echo "ok: $* is $got"
  else
    echo "not ok: $* is '$got', expected $wanted"
    failed=1
  fi
}

. ./temperature.sh

expect 32 fahrenheit 0
expect 212 fahrenheit 100
expect 68 fahrenheit 20
expect -40 fahrenheit -40

exit $failed
`,
};

/** The row of the Projects tab, as a person would have typed it. */
const ROW = {
  Project: "Sample",
  Priority: "1",
  Status: "Queued",
  "Next Action": "Write temperature.sh so that check.sh passes: fahrenheit N prints N degrees Celsius in Fahrenheit",
  Check: "sh check.sh",
  // It runs as the person's own user, which is what a person says who trusts a project.
  Machine: "native",
};

/** The sample's configuration: the defaults, and its one agent run by the Node that runs the hub. */
export function sampleConfig(execPath: string = process.execPath): Config {
  const agents = { sample: { cli: "command", command: execPath, args: [AGENT] } };
  return parseConfig(JSON.stringify({ agents }), "the sample's configuration", {});
}

/**
 * Makes the sample's repository (`projects/sample` in the home) and its row in `Projects.csv`
 * where they are not there yet; whatever is there stays as it is. Safe to run again after it was
 * cut off at any point.
 */
export async function makeSample(home: Home): Promise<void> {
  const sheet = join(home.sheet, "Projects.csv");
  if (await exists(sheet)) return;
  const repo = join(home.projects, "sample");
  if (!(await exists(repo))) await makeRepository(home.projects, repo);
  await mkdir(home.sheet, { recursive: true, mode: 0o700 });
  // All that can be typed is there to be seen; the hub's own columns come to the right.
  const columns = COLUMNS.Projects.filter((column) => !column.always).map((column) => column.name);
  const rows = stringify([{ ...ROW, Repo: repo }], { header: true, columns });
  await writeFile(sheet, rows, { flag: "wx", mode: 0o600 });
}

async function makeRepository(parent: string, repo: string): Promise<void> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  const fresh = await mkdtemp(join(parent, ".sample-"));
  try {
    for (const [name, text] of Object.entries(FILES)) await writeFile(join(fresh, name), text);
    await git(fresh, ["init", "-q", "-b", "main"]);
    await git(fresh, ["add", "--", ...Object.keys(FILES)]);
    await git(fresh, ["commit", "-q", "--no-verify", "-m", "Say what the sample must be able to do"]);
    await rename(fresh, repo);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** The person's own git configuration may sign, ask, or run hooks: none of it is wanted here. */
async function git(cwd: string, args: string[]): Promise<void> {
  const who = { NAME: "CTO Sidekick", EMAIL: "cto-sidekick@localhost" };
  const env = {
    ...process.env,
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_AUTHOR_NAME: who.NAME,
    GIT_AUTHOR_EMAIL: who.EMAIL,
    GIT_COMMITTER_NAME: who.NAME,
    GIT_COMMITTER_EMAIL: who.EMAIL,
  };
  try {
    await promisify(execFile)("git", args, { cwd, env, timeout: 60_000 });
  } catch (error) {
    throw new ConfigurationError(`The sample's repository cannot be made, is git there? ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
