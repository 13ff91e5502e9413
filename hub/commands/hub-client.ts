import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { homeAt, type Home } from "../base/home.ts";
import { CommandError, type Io } from "./command.ts";

/** The running hub, as a command talks to it. */
export interface HubClient {
  url: string;
  pid: number;
  get<Answer>(path: string): Promise<Answer>;
  post<Answer>(path: string, body: object): Promise<Answer>;
}

/** A hub that hangs is told from one that is busy. */
const ANSWER_MS = 10_000;

/** The home that the environment names: `CTO_HOME`, else `~/.cto-sidekick`. */
export function homeOf(io: Pick<Io, "env" | "cwd">): Home {
  const named = io.env["CTO_HOME"];
  if (named !== undefined && named !== "") return homeAt(resolve(io.cwd, named));
  return homeAt(join(io.env["HOME"] ?? homedir(), ".cto-sidekick"));
}

/** The hub of `home`; undefined when it is not running. Throws `CommandError` when it runs and cannot be talked to. */
export async function findHub(home: Home): Promise<HubClient | undefined> {
  const hub = hubFile(home);
  if (hub === undefined || !(await isUp(hub.url))) return undefined;
  return { ...hub, ...talk(hub.url, adminToken(home)) };
}

/** The hub of `home`. Throws `CommandError` that says what to run when it is not there. */
export async function needHub(home: Home): Promise<HubClient> {
  const hub = await findHub(home);
  if (hub !== undefined) return hub;
  throw new CommandError(`CTO Sidekick is not running (home ${home.root}). Start it with: cto up`);
}

function hubFile(home: Home): { url: string; pid: number } | undefined {
  try {
    const { url, pid } = JSON.parse(readFileSync(home.hubFile, "utf8")) as { url?: unknown; pid?: unknown };
    return typeof url === "string" && typeof pid === "number" ? { url, pid } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a hub answers. The file may be a dead hub's, and its port somebody else's by now. */
async function isUp(url: string): Promise<boolean> {
  try {
    const response = await fetch(new URL("/healthz", url), {
      signal: AbortSignal.timeout(ANSWER_MS),
      redirect: "error",
    });
    await response.arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

function adminToken(home: Home): string {
  try {
    return readFileSync(home.adminTokenFile, "utf8").trim();
  } catch (error) {
    throw new CommandError(
      `The hub runs, but its token in ${home.adminTokenFile} cannot be read. Use the user that started it, or start it again.`,
      { cause: error },
    );
  }
}

function talk(url: string, token: string): Pick<HubClient, "get" | "post"> {
  async function call<Answer>(path: string, init: RequestInit): Promise<Answer> {
    let response: Response;
    try {
      response = await fetch(new URL(`/api${path}`, url), {
        ...init,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        signal: AbortSignal.timeout(ANSWER_MS),
        redirect: "error",
      });
    } catch (error) {
      throw new CommandError(`The hub at ${url} does not answer. Look with: cto status`, { cause: error });
    }
    const answer = (await response.json().catch(() => undefined)) as Answer & { error?: string | { message?: string } };
    if (response.ok) return answer;
    if (response.status === 401)
      throw new CommandError(`The hub at ${url} does not know our token: it is another hub's. Look at CTO_HOME.`);
    const why = typeof answer?.error === "string" ? answer.error : answer?.error?.message;
    throw new CommandError(why ?? `The hub answered ${response.status}. Look with: cto logs`);
  }
  return {
    get: (path) => call(path, { method: "GET" }),
    post: (path, body) => call(path, { method: "POST", body: JSON.stringify(body) }),
  };
}
