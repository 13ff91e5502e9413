import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { HOUR } from "../../hub/base/clock.ts";
import { SUPERVISOR } from "../../hub/base/session.ts";
import type { Task } from "../../hub/base/task.ts";
import { makeSample, sampleConfig } from "../../hub/sample.ts";
import { withHub, type Hub } from "../cli/hub.ts";
import { until } from "../helpers/until.ts";

const SESSION = "s-0123456789ab";
const example = (name: string) => fileURLToPath(new URL(`../../docs/examples/${name}`, import.meta.url));

interface Started {
  task: Task;
  workspace: string;
  /** The program's output once it has ended with code 0. */
  ended: Promise<string>;
}

/** Does by hand what the supervisor does: a task, a session that holds it, a workspace, the program. */
async function start(hub: Hub, argv: string[], description: string): Promise<Started> {
  const { store, home } = hub;
  const now = Date.now();
  const project = await store.addProject(SUPERVISOR, { name: "P", check: "sh check.sh", machine: "native" }, now);
  await store.addTask(SUPERVISOR, { projectId: project.id, description, origin: "command" }, now);
  await store.setAgents([{ name: "worker", model: "" }], now);
  await store.openSession(
    { id: SESSION, agent: "worker", projectId: project.id, kind: "supervised", machine: "native" },
    now,
  );
  await store.sessionRuns(SESSION, "h", now);
  const claim = await store.claim(SESSION, now);
  assert.ok(claim);
  const workspace = join(home.workspaces, "T1");
  await mkdir(home.workspaces);
  await makeSample(home);
  await promisify(execFile)("git", ["clone", "-q", join(home.projects, "sample"), workspace]);
  await store.recordWorkspace(claim.task.id, claim.task.fence, { path: workspace, base: "0".repeat(40) }, now);
  const grant = { role: "agent" as const, sessionId: SESSION, projectId: project.id, label: "t", ttlMs: HOUR };
  const { token } = await hub.tokens.issue(SUPERVISOR, grant);
  const env = { PATH: process.env["PATH"] ?? "", CTO_MCP_URL: `${hub.url}/mcp`, CTO_TOKEN: token };
  return { task: claim.task, workspace, ended: run(argv, workspace, env) };
}

async function run([command = "", ...args]: string[], cwd: string, env: Record<string, string>): Promise<string> {
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.on("data", (data: Buffer) => (out += data.toString()));
  child.stderr.on("data", (data: Buffer) => (err += data.toString()));
  const code = await new Promise((resolve, reject) => child.on("error", reject).on("close", resolve));
  assert.equal(code, 0, `${command} ended with ${String(code)}: ${err}${out}`);
  return out;
}

async function checking(hub: Hub, id: number): Promise<Task> {
  return until("the task is completed", async () => {
    const task = await hub.store.task(id);
    return task?.state === "checking" && task;
  });
}

async function check(workspace: string): Promise<number | null> {
  const child = spawn("sh", ["check.sh"], { cwd: workspace, stdio: "ignore" });
  return new Promise((resolve) => child.on("close", resolve));
}

test("the sample's agent does the work, mends findings, hands over and ends", async () => {
  await withHub(async (hub) => {
    const { command = "", args = [] } = sampleConfig().agents["sample"] ?? {};
    assert.equal(command, process.execPath);
    const { task, workspace, ended } = await start(hub, [command, ...args], "Make the check pass");

    const first = await checking(hub, task.id);
    assert.equal(await check(workspace), 0);
    assert.match(await readFile(join(workspace, "temperature.sh"), "utf8"), /^fahrenheit\(\) \{$/m);
    // Somebody else's merge took it away again: that is what is to be mended.
    await rm(join(workspace, "temperature.sh"));
    await hub.store.returnFindings(task.id, first.fence, { source: "check", text: "try again" }, true, Date.now());

    const second = await checking(hub, task.id);
    assert.ok(second.fence > first.fence);
    assert.equal(await check(workspace), 0);
    assert.match(second.summary ?? "", /4 expectations/);
    const done = { integratedCommit: null, checked: "passed" as const, review: null };
    assert.ok(await hub.store.finish(task.id, second.fence, done, Date.now()));

    assert.match(await ended, /T1 is done[^]*[Nn]othing to do/);
    const left = await hub.store.latestContinuation(task.projectId);
    assert.equal(left?.author, "agent");
    assert.match(left?.nextAction ?? "", /check\.sh/);
  });
});

test("the sample is red before the work, and makes itself once only", async () => {
  await withHub(async ({ home }) => {
    await makeSample(home);
    assert.notEqual(await check(join(home.projects, "sample")), 0);
    const sheet = await readFile(join(home.sheet, "Projects.csv"), "utf8");
    assert.match(
      sheet,
      /^Project,Priority,Status,Agent,Last Update,Next Action,Deadline,[^\n]*\nSample,1,Queued,,,Write /,
    );
    await makeSample(home);
    assert.equal(await readFile(join(home.sheet, "Projects.csv"), "utf8"), sheet);
  });
});

test("the sample's agent imports nothing of the hub", async () => {
  const source = await readFile(example("sample-agent.ts"), "utf8");
  const imports = [...source.matchAll(/from "([^"]+)"/g)].map((match) => match[1]);
  assert.ok(imports.length > 2);
  assert.deepEqual(
    imports.filter((from) => !/^(node:|@modelcontextprotocol\/client$)/.test(from ?? "")),
    [],
  );
});

test("what it cannot do, the sample's agent asks the person", async () => {
  await withHub(async (hub) => {
    const { task, ended } = await start(
      hub,
      ["sh", "-c", `rm check.sh; exec "$0" "$1"`, process.execPath, example("sample-agent.ts")],
      "Do it",
    );
    await ended;
    assert.equal((await hub.store.task(task.id))?.state, "blocked");
    const [question] = await hub.store.openQuestions();
    assert.match(question?.text ?? "", /check\.sh/);
  });
});

for (const [name, tools] of [
  ["agent.sh", ["curl", "jq"]],
  ["agent.py", ["python3"]],
] as const) {
  const missing = tools.filter((tool) => !installed(tool));
  const skip = missing.length > 0 && `needs ${missing.join(" and ")}`;
  test(`the guide's ${name} claims, works and completes`, { skip }, async () => {
    await withHub(async (hub) => {
      const { task, workspace, ended } = await start(hub, [example(name)], "Write down 'this'; $(do not run it)");
      assert.match(await ended, /checking: stop here/);
      const now = await hub.store.task(task.id);
      assert.deepEqual([now?.state, now?.output, now?.progress], ["checking", "NOTES.md", "Writing the notes"]);
      const notes = await readFile(join(workspace, "NOTES.md"), "utf8");
      assert.equal(notes, "Write down 'this'; $(do not run it)\n", "the text itself, without the hub's marks");
    });
  });
  test(`the guide shows ${name} as it is`, async () => {
    const guide = await readFile(new URL("../../docs/command-agent.md", import.meta.url), "utf8");
    assert.ok(guide.includes(await readFile(example(name), "utf8")), "docs/command-agent.md and the file differ");
  });
}

function installed(tool: string): boolean {
  return (process.env["PATH"] ?? "").split(":").some((folder) => existsSync(join(folder, tool)));
}
