import { spawn } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { newSessionId } from "../../hub/base/ids.ts";
import { claudeCodeAgent } from "../../supervisor/agents/claude-code.ts";
import { CLAUDE_VERSION, claudeCode, claudeEnvironment } from "../helpers/claude-code.ts";
import { withMcpHub } from "../helpers/mcp-hub.ts";
import { hubTool, limitHeaders, REFUSALS, startMessagesApi, type Model } from "../helpers/messages-api.ts";

/**
 * Records what the real Claude Code prints in each case that the parser must tell apart, into
 * test/fixtures/claude-code/. Run it again with a newer client:
 *
 *   CTO_TEST_CLAUDE=/path/to/claude node test/agents/record-claude-code.ts [case…]
 */
const FOLDER = fileURLToPath(new URL("../fixtures/claude-code/", import.meta.url));
const LATER = Date.UTC(2030, 0, 1);

interface Case {
  model: Model;
  credential?: "token" | "key" | "none";
  hub?: "down" | "refuses";
  /** Ends the client when it has asked the model this often. */
  signal?: { name: NodeJS.Signals; atTurn: number };
  env?: Record<string, string>;
}

const claim: Model = ({ turn }) =>
  turn === 0 ? { say: "Claiming.", calls: [hubTool("claim_next_task")] } : { say: "All done." };

const CASES: Record<string, Case> = {
  happy: { model: claim },
  warning: {
    model: async (request) => ({ ...(await claim(request)), headers: limitHeaders("allowed_warning", LATER) }),
  },
  "limit-five-hour": { model: (request) => (request.turn === 0 ? claim(request) : REFUSALS.limit(LATER)) },
  "limit-weekly": { model: () => REFUSALS.limit(LATER, "seven_day") },
  "limit-without-reset": { model: () => REFUSALS.limit(undefined) },
  overage: {
    model: async (request) => ({
      ...(await claim(request)),
      headers: {
        ...limitHeaders("rejected", LATER),
        "anthropic-ratelimit-unified-status": "allowed",
        "anthropic-ratelimit-unified-overage-status": "allowed",
        "anthropic-ratelimit-unified-overage-in-use": "true",
      },
    }),
  },
  "key-limit": { model: () => REFUSALS.keyLimit, credential: "key" },
  overloaded: { model: () => REFUSALS.overloaded, env: { CLAUDE_CODE_MAX_RETRIES: "2" } },
  unauthorized: { model: () => REFUSALS.unauthorized },
  "not-logged-in": { model: claim, credential: "none" },
  billing: { model: () => REFUSALS.billing },
  "no-such-model": { model: () => REFUSALS.model },
  "no-network": { model: claim, env: { ANTHROPIC_BASE_URL: "http://127.0.0.1:9", CLAUDE_CODE_MAX_RETRIES: "1" } },
  denied: {
    model: ({ turn }) =>
      turn === 0
        ? {
            calls: [
              { name: "Bash", input: { command: "npm  publish" } },
              { name: "Write", input: { file_path: "/nowhere/outside.txt", content: "x" } },
            ],
          }
        : { say: "I may not." },
  },
  "hub-down": { model: claim, hub: "down" },
  "hub-refuses": { model: claim, hub: "refuses" },
  sigterm: { model: () => ({ hang: true }), signal: { name: "SIGTERM", atTurn: 1 } },
  sigint: { model: () => ({ hang: true }), signal: { name: "SIGINT", atTurn: 1 } },
};

const wanted = process.argv.slice(2);
await mkdir(FOLDER, { recursive: true });
for (const [name, one] of Object.entries(CASES)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const { output, exit } = await record(one);
  await writeFile(join(FOLDER, `${name}.jsonl`), output);
  await writeFile(join(FOLDER, `${name}.json`), `${JSON.stringify({ version: CLAUDE_VERSION, exit })}\n`);
  process.stdout.write(`${name}: exit ${exit ?? "none"}, ${output.split("\n").length - 1} lines\n`);
}

async function record(one: Case): Promise<{ output: string; exit: number | null }> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "cto-record-")));
  const api = await startMessagesApi(one.model);
  try {
    return await withMcpHub(async (hub) => {
      const session = await hub.session(await hub.project("sample"));
      const workspace = join(root, "workspaces", "T1");
      const folders = ["run", "home", "workspaces/T1"].map((name) => mkdir(join(root, name), { recursive: true }));
      await Promise.all(folders);
      const launch = claudeCodeAgent.launch({
        sessionId: newSessionId(),
        command: await claudeCode(),
        args: [],
        env: { ...claudeEnvironment(api.url, join(root, "home"), one.credential), ...one.env },
        model: "",
        mcpUrl: one.hub === "down" ? "http://127.0.0.1:9/mcp" : `${hub.url}/mcp`,
        token: one.hub === "refuses" ? "nobody" : session.token,
        workspace,
        runFolder: join(root, "run"),
        project: { check: "true", instructions: "", workspaces: dirname(workspace) },
      });
      for (const file of launch.files) await writeFile(file.path, file.data, { mode: file.mode });
      const [program = "", ...args] = launch.argv;
      const env = { PATH: process.env["PATH"] ?? "", ...launch.env };
      const child = spawn(program, args, { cwd: workspace, env, stdio: ["ignore", "pipe", "ignore"] });
      let output = "";
      child.stdout.on("data", (data: Buffer) => (output += data.toString()));
      const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
      if (one.signal !== undefined) {
        while (api.requests.length < one.signal.atTurn) await sleep(20);
        child.kill(one.signal.name);
      }
      const exit = await ended;
      return { output: anonymous(output, root), exit };
    });
  } finally {
    await api.close();
    await rm(root, { recursive: true, force: true });
  }
}

/** Without the paths and the numbers that differ from run to run. */
function anonymous(output: string, root: string): string {
  return output
    .replaceAll(root, "/home/me")
    .replaceAll(root.replaceAll("/", "-"), "-home-me")
    .replace(/"(?:\/[^"]*)?\/\.cc-socks\/[^"]*"/g, '"/home/me/socket"');
}
