import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { claudeCode, claudeEnvironment, needsClaudeCode } from "../helpers/claude-code.ts";
import { withHub, type HubProcess } from "../helpers/hub-process.ts";
import { hubTool, startMessagesApi, type Model } from "../helpers/messages-api.ts";
import { until } from "../helpers/until.ts";
import { movableClock } from "../supervisor/world.ts";
import { claims, completes, handed, inOrder, withClaude, writes } from "./world.ts";

const skip = await needsClaudeCode();
const run = promisify(execFile);
const CHECK = "sleep 4; test -e work.txt";

interface Status {
  tasks: { id: string; state: string; why: string; failures?: number }[];
  sessions: { id: string }[];
}

/** The whole product with the agent `claude`, one project and one task, and a model in which `kill` may be called. */
async function withProduct(model: Model, tell: (hub: HubProcess) => Promise<void>, ready: (hub: HubProcess) => void) {
  const root = await realpath(await mkdtemp(join(tmpdir(), "cto-claude-kill-")));
  const api = await startMessagesApi(model);
  try {
    const repo = join(root, "repo");
    await mkdir(repo);
    const git = (...args: string[]) =>
      run("git", ["-C", repo, "-c", "user.name=Ada", "-c", "user.email=a@example.org", ...args]);
    await git("init", "-q", "-b", "main");
    await writeFile(join(repo, "README.md"), "alpha\n");
    await git("add", ".");
    await git("commit", "-q", "-m", "First");
    await mkdir(join(root, "claude"));
    const env = claudeEnvironment(api.url, join(root, "claude"));
    const config = {
      agents: { claude: { cli: "claude-code", command: await claudeCode(), env } },
      scheduler: { check_interval: 1 },
    };
    const sheet = {
      "Projects.csv": `Project,Priority,Status,Repo,Check,Machine\nalpha,1,Queued,${repo},${CHECK},native\n`,
      "Task Queue.csv": "Project,Description\nalpha,do it\n",
    };
    await withHub({ config, sheet }, async (hub) => {
      ready(hub);
      await tell(hub);
    });
  } finally {
    await api.close();
    await rm(root, { recursive: true, force: true });
  }
}

async function done(hub: HubProcess): Promise<Status["tasks"][number]> {
  let last: unknown;
  return until(
    "T1 is done",
    async () => {
      const { tasks } = await hub.api<Status>("/tasks").catch(() => ({ tasks: [] }));
      last = tasks[0] ?? last;
      return tasks.find(({ state }) => state === "done");
    },
    90_000,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; ${JSON.stringify(last)}`, { cause: error });
  });
}

test(
  "law 7: restart-proof: kill -9 of the hub in the middle of a tool call: the session goes on and its next call just works",
  { skip },
  async () => {
    let hub: HubProcess | undefined;
    let killed = false;
    const model: Model = (request) => {
      const steps = [claims, () => writes(request, "work.txt", "done\n"), () => completes(request)];
      const step = steps[request.turn];
      if (step !== undefined) return step();
      if (/"status":"done"/.test(request.last)) return { say: "It is done." };
      const { task } = handed(request);
      // The check takes seconds: the call waits for it when the hub is killed.
      if (!killed) {
        killed = true;
        setTimeout(() => void hub?.kill().then(() => hub?.start()), 1_000);
      }
      return { calls: [hubTool("get_result", { task, wait_s: 45 })] };
    };
    await withProduct(
      model,
      async (product) => {
        await done(product);
        const { sessions } = await product.api<Status>("/sessions");
        assert.equal(sessions.length, 1, "the same session went on");
      },
      (product) => void (hub = product),
    );
    assert.equal(killed, true);
  },
);

test("law 7: restart-proof: kill -9 of the hub while a session is held at the end of its turn", { skip }, async () => {
  let hub: HubProcess | undefined;
  let killed = false;
  const model: Model = (request) => {
    const steps = [claims, () => writes(request, "work.txt", "done\n"), () => completes(request)];
    const step = steps[request.turn];
    if (step !== undefined) return step();
    if (!killed) {
      killed = true;
      setTimeout(() => void hub?.kill().then(() => hub?.start()), 1_500);
    }
    return { say: "I completed it." };
  };
  await withProduct(
    model,
    async (product) => {
      await done(product);
      const { sessions } = await product.api<Status>("/sessions");
      assert.equal(sessions.length, 1);
    },
    (product) => void (hub = product),
  );
  assert.equal(killed, true);
});

for (const signal of ["SIGKILL", "SIGTERM"] as const) {
  test(
    `law 7: a session that is ended by ${signal} in the middle of its work loses nothing: the next goes on from what it left`,
    { skip },
    async () => {
      const clock = movableClock();
      let first = true;
      const model: Model = inOrder(
        claims,
        (request) => (first ? writes(request, "half.txt", "half\n") : writes(request, "rest.txt", "rest\n")),
        (request) => (first ? { hang: true } : completes(request)),
      );
      await withClaude(model, { hub: { clock } }, async (world) => {
        const task = await world.task(await world.project("alpha"), "do it");
        await until("it is at work", () => world.api.requests.some(({ turn }) => turn === 2), 30_000);
        const [session] = await world.store.liveSessions();
        const pid = await clientOf(session?.id ?? "");
        first = false;
        process.kill(pid, signal);
        const waiting = await world.reaches(task, "waiting", 30_000);
        assert.equal(waiting.waitReason, "backoff");
        clock.pass(16 * 60_000);
        world.hub.supervisor.wake();
        await world.reaches(task, "done", 60_000);
        const shown = await world.mirror("alpha", "show", "--stat", "--format=", "cto/T1");
        assert.match(
          `${shown}\n${await world.mirror("alpha", "ls-tree", "--name-only", "cto/T1")}`,
          /half\.txt[\s\S]*rest\.txt/,
        );
      });
    },
  );
}

/** The process of the client itself, inside whatever a session is wrapped in. */
async function clientOf(sessionId: string): Promise<number> {
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    const [program = "", first] = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    const ours = environment.includes(`CTO_SESSION_ID=${sessionId}\0`);
    if (ours && program.endsWith("claude") && first === "-p") return Number(pid);
  }
  throw new Error(`there is no client of session ${sessionId}`);
}
