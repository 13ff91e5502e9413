import { setTimeout as sleep } from "node:timers/promises";

/**
 * What an agent's client runs as a hook: asks the hub about one event and prints its answer.
 * A program of its own, and not a `cto` command, since it is started many times: it imports
 * nothing of ours. It tries again while the hub is being restarted, and whatever goes wrong, it
 * never stands in the client's way: then it says nothing.
 *
 *   hook.ts <event>      with CTO_MCP_URL and CTO_TOKEN of the session in the environment
 */

/** How long each event tries, under the time that the client gives its hook. */
const PATIENCE_MS: Record<string, number> = { Stop: 3_500_000, SessionStart: 10_000 };
const OTHERWISE_MS = 1_000;
const ANSWER_MS = 40_000;
const PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;

const [event = ""] = process.argv.slice(2);
process.stdin.resume();
const answer = await ask(event, process.env["CTO_MCP_URL"] ?? "", process.env["CTO_TOKEN"] ?? "");
// The client may still be writing what it has to say; nobody here wants to hear it.
process.stdout.write(answer, () => process.exit());

async function ask(name: string, mcpUrl: string, token: string): Promise<string> {
  if (mcpUrl === "" || !/^[A-Za-z]+$/.test(name)) return "";
  const url = mcpUrl.replace(/\/mcp$/, `/hooks/${name}`);
  const until = performance.now() + (PATIENCE_MS[name] ?? OTHERWISE_MS);
  for (let pause = PAUSE_MS; ; pause = Math.min(LONGEST_PAUSE_MS, pause * 2)) {
    const text = await once(url, token);
    if (text === "again") pause = PAUSE_MS;
    else if (text !== undefined) return text;
    if (performance.now() > until) return "";
    if (text === undefined) await sleep(pause);
  }
}

/** The hub's words; `again` when it has none yet; undefined when it cannot be asked now. */
async function once(url: string, token: string): Promise<string | undefined> {
  try {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(url, { method: "POST", headers, body: "{}", signal, redirect: "error" });
    const text = await response.text();
    if (response.ok) return (JSON.parse(text) as { wait?: boolean }).wait === true ? "again" : text;
    // 503: it is stopping. Anything else will not change: the session has ended, say.
    return response.status === 503 ? undefined : "";
  } catch {
    return undefined;
  }
}
