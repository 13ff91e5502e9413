import { readFileSync, rmSync } from "node:fs";
import { writeFile, rename } from "node:fs/promises";
import type { Tokens } from "./access/tokens.ts";
import type { Home } from "./base/home.ts";
import { ConfigurationError } from "./base/errors.ts";
import { randomId } from "./base/ids.ts";
import { SUPERVISOR } from "./base/session.ts";

/** What the hub leaves in `run/` for the command line and for its own next start. */

/** Replaces a file whole, readable by its owner only. */
async function replace(path: string, text: string): Promise<void> {
  const fresh = `${path}.${randomId(6)}`;
  await writeFile(fresh, text, { mode: 0o600, flag: "wx" });
  await rename(fresh, path);
}

/** Says where the hub is; removed at a clean stop. */
export async function announce(home: Home, about: { pid: number; url: string; startedAt: string }): Promise<void> {
  await replace(home.hubFile, `${JSON.stringify(about)}\n`);
}

export function withdraw(home: Home): void {
  rmSync(home.hubFile, { force: true });
}

/** The command line's own token: kept while it is good, made anew when it is not. */
export async function keepAdminToken(home: Home, tokens: Tokens): Promise<void> {
  const known = readOptional(home.adminTokenFile)?.trim();
  if (known !== undefined && (await tokens.principalOf(known)) !== undefined) return;
  const { token } = await tokens.issue(SUPERVISOR, { role: "admin", label: "command line", ttlMs: null });
  await replace(home.adminTokenFile, `${token}\n`);
}

/**
 * The port to listen on. 0 asks for a free one: then the one of the last start comes first, so
 * that sessions that still run find the hub again. `fallback` says whether another may be taken.
 */
export function wantedPort(
  home: Home,
  configured: number,
  env: string | undefined,
): { port: number; fallback: boolean } {
  const asked = env === undefined || env === "" ? configured : Number(env);
  if (!Number.isInteger(asked) || asked < 0 || asked > 65_535) {
    throw new ConfigurationError(`CTO_PORT is "${env ?? configured}": it must be a whole number from 0 to 65535.`);
  }
  const last = asked === 0 ? Number(readOptional(home.portFile)) : Number.NaN;
  return Number.isInteger(last) && last > 0 && last < 65_536
    ? { port: last, fallback: true }
    : { port: asked, fallback: false };
}

export async function rememberPort(home: Home, port: number): Promise<void> {
  await replace(home.portFile, `${port}\n`);
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
