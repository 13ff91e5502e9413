/**
 * The sample's agent: the smallest program that does honest work through the hub.
 *
 * It speaks MCP over HTTP with the public client and knows nothing else of the hub. What it can
 * do is little and real: it reads the expectations in a project's check, such as
 * `expect 212 fahrenheit 100`, finds the straight line through them, writes the function that
 * the check wants, and runs the check before it says that it is finished.
 */
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

/** What claim_next_task hands out, as far as it is used here. */
interface Claimed {
  status: "task" | "preparing" | "nothing";
  say: string;
  task: string;
  fence: number;
  workspace: string;
  description: string;
  check?: string;
}

interface Result {
  status: "working" | "checking" | "findings" | "done" | "waiting" | "blocked" | "ended";
  say: string;
  fence?: number;
}

type Call = <Answer>(tool: string, args: object) => Promise<Answer>;

/** Expectations that no straight line meets need more than this program: a person is asked. */
class CannotDo extends Error {}

class Refused extends Error {}

const MAX_ROUNDS = 3;
const WAIT_S = 40;
const PATIENCE_MS = 60_000;

const { CTO_MCP_URL: url, CTO_TOKEN: token } = process.env;
if (url === undefined || token === undefined) throw new Error("CTO_MCP_URL and CTO_TOKEN must be in the environment");

const client = new Client({ name: "sample-agent", version: "1.0.0" });
const headers = { Authorization: `Bearer ${token}` };
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
try {
  await workThroughTheQueue(call);
} finally {
  await client.close();
}

/**
 * Calls a tool. A refusal is an error whose words say what to do. A hub that is being restarted
 * does not answer for a moment: every call may be repeated, so it is, for a minute.
 */
async function call<Answer>(tool: string, args: object): Promise<Answer> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      const result = await client.callTool({ name: tool, arguments: { ...args } });
      if (result.isError === true) throw new Refused(`${tool}: ${JSON.stringify(result.content)}`);
      return result.structuredContent as Answer;
    } catch (error) {
      if (error instanceof Refused || performance.now() > deadline) throw error;
      await pause(500);
    }
  }
}

async function workThroughTheQueue(call: Call): Promise<void> {
  for (;;) {
    const claimed = await call<Claimed>("claim_next_task", {});
    say(claimed.say);
    if (claimed.status === "nothing") return;
    if (claimed.status === "task") await workOn(claimed, call);
  }
}

async function workOn(claimed: Claimed, call: Call): Promise<void> {
  let fence = claimed.fence;
  const hold = () => ({ task: claimed.task, fence });
  for (let round = 1; round <= MAX_ROUNDS; round += 1) {
    const { directive } = await call<{ directive: string }>("report_progress", {
      ...hold(),
      progress: round === 1 ? "Reading what the check expects" : `Mending what the check found (round ${round})`,
    });
    if (directive === "stop") return;
    let summary: string;
    try {
      summary = await doTheWork(claimed);
    } catch (error) {
      if (!(error instanceof CannotDo)) throw error;
      await call("block_task", {
        ...hold(),
        question: error.message,
        options: ["Assign it to another agent", "Cancel it"],
      });
      return;
    }
    say(summary);
    await call("report_progress", { ...hold(), progress: summary });
    await call("write_continuation", { ...hold(), ...continuation(claimed, summary) });
    await call("complete_task", { ...hold(), summary });
    const result = await waitForResult(claimed.task, call);
    say(result.say);
    if (result.status !== "findings") return;
    // Findings come with a new fence: the old one is refused from now on.
    fence = result.fence ?? fence;
  }
  await call("block_task", {
    ...hold(),
    question: `The check of ${claimed.task} fails after ${MAX_ROUNDS} rounds. What now?`,
  });
}

async function waitForResult(task: string, call: Call): Promise<Result> {
  for (;;) {
    const result = await call<Result>("get_result", { task, wait_s: WAIT_S });
    if (result.status !== "checking") return result;
  }
}

/** Writes the function that the check wants and answers what was done, in a sentence. */
async function doTheWork({ workspace, check = "" }: Claimed): Promise<string> {
  const wanted = expectationsIn(await readFile(join(workspace, "check.sh"), "utf8").catch(() => ""));
  if (wanted === undefined)
    throw new CannotDo(
      "I only know projects with a check.sh that expects numbers of one function. Who should do this?",
    );
  const { file, name, points } = wanted;
  const { from, rise, run } = lineThrough(points);
  const formula = `($1 - ${paren(from.x)}) * ${paren(rise)} / ${paren(run)} + ${paren(from.y)}`;
  const text = `# ${name} NUMBER: prints the value for a whole number.\n${name}() {\n  echo $((${formula}))\n}\n`;
  if ((await readFile(join(workspace, file), "utf8").catch(() => "")) === text)
    throw new CannotDo(`${file} does what the check expects already, and that is all I know. Who should do this?`);
  await writeFile(join(workspace, file), text);
  const { code, output } = await runCheck(check === "" ? "sh check.sh" : check, workspace);
  if (code !== 0) throw new CannotDo(`I wrote ${file}, and the check still fails: ${output.slice(-500)}`);
  return `Wrote ${file} with ${name}() from ${points.length} expectations; the check passes here.`;
}

interface Point {
  x: number;
  y: number;
}

/** The file that a check reads and what it expects of the function in it. */
function expectationsIn(check: string): { file: string; name: string; points: Point[] } | undefined {
  const file = /^\. \.\/([a-z][a-z0-9-]*\.sh)$/m.exec(check)?.[1];
  const lines = [...check.matchAll(/^expect (-?\d+) ([a-z][a-z_]*) (-?\d+)$/gm)];
  const name = lines[0]?.[2];
  if (file === undefined || name === undefined || lines.some((line) => line[2] !== name)) return undefined;
  return { file, name, points: lines.map((line) => ({ x: Number(line[3]), y: Number(line[1]) })) };
}

function lineThrough(points: Point[]): { from: Point; rise: number; run: number } {
  const [from, ...others] = points;
  const to = others.find((point) => point.x !== from?.x);
  if (from === undefined || to === undefined)
    throw new CannotDo("The check expects too few values to tell the formula.");
  const [rise, run] = [to.y - from.y, to.x - from.x];
  if (others.some((point) => (point.x - from.x) * rise !== (point.y - from.y) * run))
    throw new CannotDo("The values that the check expects are not on a straight line. Which formula do you want?");
  const shared = divisor(Math.abs(rise), Math.abs(run));
  return { from, rise: rise / shared, run: run / shared };
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}

/** A shell reads `- -40` as it should only when the sign is in brackets. */
function paren(n: number): string {
  return n < 0 ? `(${n})` : String(n);
}

function runCheck(command: string, cwd: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn("sh", ["-c", command], { cwd, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (data: Buffer) => (output += data.toString()));
    child.stderr.on("data", (data: Buffer) => (output += data.toString()));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}

/** The text itself: what people wrote arrives between two lines that mark it as data. */
function unfenced(text: string): string {
  return text
    .split("\n")
    .filter((line) => !/^<<<(DATA|END) /.test(line))
    .join("\n");
}

function continuation({ task, description }: Claimed, summary: string): object {
  return {
    current_task: `${task}: ${unfenced(description).slice(0, 500)}`,
    progress: [{ done: true, text: summary }],
    context: "The check reads one file and expects values of the function in it.",
    key_decisions: ["Whole numbers only: the shell has no others."],
    next_action: "Add an expectation to check.sh, with a task for it in the sheet.",
    references: ["check.sh"],
  };
}

/** What is printed is the session's transcript. */
function say(words: string): void {
  process.stdout.write(`${words}\n`);
}
