/**
 * An agent for tests: a small program that does what its task's description says, through
 * the hub's MCP endpoint like any other agent. `do:work` in a description (the default)
 * writes a file and completes; the other words are below. Words before a claim come as the
 * first argument: `nothing` ends well at once, `crash` ends badly at once.
 *
 * A hub that is not there is called again for a while: tests kill it.
 */
import { appendFile, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

interface Claim {
  status: string;
  task: string;
  fence: number;
  workspace: string;
  description: string;
  answers?: string[];
  messages?: string[];
}
interface Result {
  status: string;
  fence?: number;
}
class Refused extends Error {}

const PATIENCE_MS = 30_000;
const { CTO_MCP_URL: url = "", CTO_TOKEN: token = "", CTO_SESSION_ID: session = "" } = process.env;
const argument = process.argv[2] ?? "";

if (argument === "nothing") process.exit(0);
if (argument === "crash") {
  process.stdout.write("cannot go on\n");
  process.exit(3);
}
for (;;) {
  const claim = await call<Claim>("claim_next_task", {});
  if (claim.status === "nothing") break;
  if (claim.status === "task") await workOn(claim);
}

async function workOn(claim: Claim): Promise<void> {
  const what = /do:([a-z-]+)/.exec(claim.description)?.[1] ?? "work";
  process.stdout.write(`${claim.task} ${what}\n`);
  if (what === "sleep") return sleep(600_000);
  if (what === "leave") process.exit(0);
  if (what === "hold") await untilTold(claim);
  if (what === "ask" && claim.answers === undefined) {
    const question = { question: "Which colour?", answers: ["Blue", "Green"] };
    await call("ask_human", { task: claim.task, fence: claim.fence, ...question });
    return;
  }
  const file = join(claim.workspace, `work-${claim.task}.txt`);
  if (what !== "empty") await write(file, `${claim.task}\n${(claim.answers ?? []).join("\n")}`);
  if (what === "die") process.exit(4);
  if (what === "write-and-sleep") return sleep(600_000);
  if (what === "mend" || what === "spoil" || what === "mend-later") await write(join(claim.workspace, "BROKEN"), "x");
  const complete = (fence: number) =>
    call("complete_task", { task: claim.task, fence, summary: `did ${claim.task}`, next_action: "" });
  await complete(claim.fence);
  if (what === "mend-later") process.exit(0);
  for (;;) {
    const result = await call<Result>("get_result", { task: claim.task, wait_s: 20 });
    if (result.status === "checking") continue;
    if (result.status !== "findings") return;
    if (what === "mend") await rm(join(claim.workspace, "BROKEN"), { force: true });
    else if (what !== "empty") await appendFile(file, "again\n");
    await complete(result.fence ?? 0);
  }
}

/** Reports again and again until the person says something. */
async function untilTold({ task, fence, messages = [] }: Claim): Promise<void> {
  // What was said before the claim came with it.
  if (messages.some((text) => text.includes("go on"))) return;
  for (let n = 0; ; n++) {
    const answer = await call<{ said?: string[] }>("report_progress", { task, fence, progress: `waiting ${n}` });
    if (JSON.stringify(answer).includes("go on")) return;
    await sleep(50);
  }
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, text);
}

async function call<Answer>(name: string, args: object): Promise<Answer> {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await callOnce<Answer>(name, args);
    } catch (error) {
      if (error instanceof Refused || Date.now() > until) {
        process.stderr.write(`${session} ${name}: ${String(error)}\n`);
        process.exit(error instanceof Refused ? 5 : 6);
      }
      await sleep(50);
    }
  }
}

async function callOnce<Answer>(name: string, args: object): Promise<Answer> {
  const version = "2026-07-28";
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": version,
      "mcp-method": "tools/call",
      "mcp-name": name,
      authorization: `Bearer ${token}`,
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: {
        name,
        arguments: args,
        _meta: {
          "io.modelcontextprotocol/protocolVersion": version,
          "io.modelcontextprotocol/clientInfo": { name: "scripted-agent", version: "1.0.0" },
          "io.modelcontextprotocol/clientCapabilities": {},
        },
      },
    }),
  });
  if (response.status === 401 || response.status === 403) throw new Refused(`answered ${response.status}`);
  const answer = (await response.json()) as {
    result?: { structuredContent?: Answer; isError?: boolean; content?: unknown };
    error?: { message: string };
  };
  if (answer.result?.isError === true) throw new Refused(JSON.stringify(answer.result.content));
  if (answer.result?.structuredContent === undefined)
    throw new Error(answer.error?.message ?? `answered ${response.status}`);
  return answer.result.structuredContent;
}
