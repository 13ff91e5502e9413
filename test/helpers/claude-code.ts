import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { needs } from "./needs.ts";

const run = promisify(execFile);

/** The version that the facts and the recorded events come from. */
export const CLAUDE_VERSION = "2.1.330";
const INSTALL_MS = 5 * 60_000;

let found: Promise<string | Error> | undefined;

/**
 * The real Claude Code: the program that CTO_TEST_CLAUDE names, or this version from npm in a
 * folder of the user's cache, beside the product and never a dependency of it.
 */
export async function claudeCode(): Promise<string> {
  const program = await (found ??= find().catch((error: unknown) =>
    error instanceof Error ? error : new Error(String(error)),
  ));
  if (program instanceof Error) throw program;
  return program;
}

/** Why tests with the real Claude Code are skipped, for `{ skip: … }`; false when they run. */
export async function needsClaudeCode(): Promise<string | false> {
  return claudeCode().then(
    () => false,
    (error: unknown) => needs(`there is no Claude Code ${CLAUDE_VERSION}: ${String(error).slice(0, 200)}`),
  );
}

async function find(): Promise<string> {
  const named = process.env["CTO_TEST_CLAUDE"];
  if (named !== undefined && named !== "") return checked(named);
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "cto-sidekick-test");
  const folder = join(cache, `claude-code-${CLAUDE_VERSION}`);
  const program = join(folder, "node_modules", ".bin", "claude");
  const there = await stat(program).then(
    () => true,
    () => false,
  );
  if (!there) await install(cache, folder);
  return checked(program);
}

/** Made aside and moved into place, so that a run that is cut off leaves nothing half there. */
async function install(cache: string, folder: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  const aside = await mkdtemp(join(cache, "installing-"));
  try {
    await writeFile(join(aside, "package.json"), '{"private":true}\n');
    const args = [
      "install",
      "--no-audit",
      "--no-fund",
      "--ignore-scripts",
      `@anthropic-ai/claude-code@${CLAUDE_VERSION}`,
    ];
    await run("npm", args, { cwd: aside, timeout: INSTALL_MS });
    // Puts the program of this platform into place; npm runs no scripts of packages here.
    const script = join(aside, "node_modules", "@anthropic-ai", "claude-code", "install.cjs");
    await run(process.execPath, [script], { cwd: aside, timeout: INSTALL_MS });
    await rename(aside, folder).catch(async (error: unknown) => {
      // Another run was faster.
      if ((await stat(folder).catch(() => undefined)) === undefined) throw error;
    });
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function checked(program: string): Promise<string> {
  const { stdout } = await run(program, ["--version"], { timeout: 30_000 });
  if (stdout.startsWith(CLAUDE_VERSION)) return program;
  throw new Error(`${program} is version ${stdout.trim()}`);
}

/**
 * The environment of a Claude Code that talks to nobody but the stand-in at `url`: a home and a
 * configuration of its own in `folder`, dummy credentials, nothing that is not essential.
 */
export function claudeEnvironment(url: string, folder: string, credential: "token" | "key" | "none" = "token") {
  return {
    HOME: folder,
    CLAUDE_CONFIG_DIR: join(folder, ".claude"),
    ANTHROPIC_BASE_URL: url,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    ...(credential === "token" && { CLAUDE_CODE_OAUTH_TOKEN: "sk-ant-oat01-dummy" }),
    ...(credential === "key" && { ANTHROPIC_API_KEY: "sk-ant-dummy" }),
  };
}
