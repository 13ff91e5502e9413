/**
 * The hub's core as a process of its own, to be killed: database, MCP, leases. What the
 * supervisor would do with a machine is done here in a line each, so that thousands of claims
 * take a minute: every claim gets a workspace, every completed task is finished.
 *
 * Arguments: database, port, lease in milliseconds, workers. Prints one JSON line when it is ready.
 */
import { createTokens } from "../../hub/access/tokens.ts";
import { systemClock } from "../../hub/base/clock.ts";
import { sha256 } from "../../hub/base/ids.ts";
import { silentLog } from "../../hub/base/log.ts";
import { SUPERVISOR } from "../../hub/base/session.ts";
import { createHttp } from "../../hub/http.ts";
import { createMcp } from "../../hub/mcp.ts";
import { createLeases } from "../../hub/queue/leases.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";

const [path = "", port = "0", leaseMs = "1000", workers = "4"] = process.argv.slice(2);
const clock = systemClock;
const store = openSqliteStore({ path });
await store.setAgents([], clock.now());
const tokens = createTokens(store, clock);
for (let n = 0; n < Number(workers); n++) {
  // A worker's tokens are derived from its name, so that it knows them through every restart.
  const hash = sha256(workerToken(n));
  if ((await store.principalOf(hash, clock.now())) !== undefined) continue;
  await store.issueToken(
    SUPERVISOR,
    hash,
    { role: "agent", sessionId: null, projectId: null, label: `worker ${n}`, expiresAt: null },
    clock.now(),
  );
}
const leases = createLeases(store, clock, silentLog, Number(leaseMs));
const stop = { set: async () => undefined, release: async () => false, read: () => undefined };
const mcp = createMcp({ store, clock, log: silentLog, stop, leases, version: "0" });
const http = createHttp({ mcp, tokens, clock, log: silentLog, rate: { burst: 1e6, perSecond: 1e6 }, maxStreams: 100 });

async function serve(): Promise<void> {
  for (const task of await store.tasks({ states: ["running"] })) {
    if (task.workspace === null)
      await store.recordWorkspace(task.id, task.fence, { path: "/w", base: "b" }, clock.now());
  }
  for (const task of await store.tasks({ states: ["checking"] })) {
    await store.finish(task.id, task.fence, { integratedCommit: "c", checked: "passed", review: null }, clock.now());
  }
}

let serving = false;
let again = false;
async function serveSoon(): Promise<void> {
  again = true;
  if (serving) return;
  serving = true;
  while (again) {
    again = false;
    await serve();
  }
  serving = false;
}

store.onEvents((events) => {
  if (events.some(({ kind }) => kind === "task_claimed" || kind === "task_completed")) void serveSoon();
});
await serveSoon();
const expiring = setInterval(() => void leases.expire(), Number(leaseMs) / 4);
expiring.unref();
const heard = await http.listen(Number(port));
process.stdout.write(`${JSON.stringify({ port: heard.port })}\n`);

/** A token of the right form that the test and the hub both know. */
export function workerToken(n: number): string {
  return `cto_${sha256(`worker ${n}`).slice(0, 43)}`;
}
