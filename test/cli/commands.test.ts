import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { SUPERVISOR } from "../../hub/base/session.ts";
import { COMMANDS } from "../../hub/cli.ts";
import { createHubLog, hubLogFile } from "../../hub/log-file.ts";
import type { Store } from "../../hub/stores/store.ts";
import { createNativeMachine } from "../../supervisor/machines/native.ts";
import { identityOf } from "../../supervisor/machines/processes.ts";
import { until } from "../helpers/until.ts";
import { withHome, withHub } from "./hub.ts";

test("every command is in the overview and has help with an example", async () => {
  await withHome(async ({ cto }) => {
    const overview = await cto("--help");
    assert.equal(overview.code, 0);
    for (const { name, summary } of COMMANDS) {
      assert.ok(overview.out.includes(`  ${name} `) && overview.out.includes(summary), name);
      const help = await cto(name, "--help");
      assert.deepEqual([help.code, help.err], [0, ""], name);
      assert.match(help.out, new RegExp(`^Usage: cto ${name}\\b`), name);
      assert.match(help.out, /^Example\b/m, name);
      assert.equal((await cto("help", name)).out, help.out, name);
    }
    assert.match((await cto("--version")).out, /^\d+\.\d+\.\d+\n$/);
  });
});

test("wrong usage is code 2 and says what was probably meant", async () => {
  await withHome(async ({ cto }) => {
    assert.equal((await cto()).code, 2);
    assert.deepEqual(await cto("staus"), {
      code: 2,
      out: "",
      err: 'cto: there is no command "staus". Did you mean "status"? All of them: cto --help\n',
    });
    assert.equal((await cto("bogus")).err, 'cto: there is no command "bogus". All of them: cto --help\n');
    const wrong: [string[], RegExp][] = [
      [["status", "--jsno"], /no option --jsno\. Did you mean "--json"\?/],
      [["status", "now"], /"now" is one word too many/],
      [["status", "--json=yes"], /--json takes no value/],
      [["add", "--project", "P"], /say what is to be done/],
      [["add", "text"], /for which project/],
      [["add", "text", "--project"], /--project needs a value/],
      [["add", "text", "--project", "--json"], /--project needs a value/],
      [["add", "text", "-p", "P", "--type", "implemention"], /--type .* Did you mean "implementation"\?/],
      [["add", "text", "-p", "P", "--priority", "0"], /number from 1 \(highest\) to 9/],
      [["add", "text", "-p", "P", "--repo", "/x"], /give --new-project as well/],
      [["token"], /cto token create/],
      [["token", "create"], /say for whom: --role/],
      [["token", "create", "--role", "boss"], /must be one of agent, human, admin/],
      [["mcp-json", "--env", "--ttl", "8h"], /--env makes no token/],
      [["mcp-json", "--ttl", "99999d"], /--ttl is "99999d", and the longest is 366d\./],
    ];
    for (const [args, says] of wrong) {
      const { code, out, err } = await cto(...args);
      assert.deepEqual([code, out], [2, ""], args.join(" "));
      assert.match(err, says);
      assert.match(err, /[.!?…] More: cto [a-z -]+ --help\n$/);
    }
  });
});

test("without a hub the commands say so and what to run", async () => {
  await withHome(async ({ cto, home }) => {
    for (const args of [
      ["next"],
      ["add", "x", "-p", "P"],
      ["token", "create", "--role", "human"],
      ["mcp-json"],
      ["logs", "T1"],
    ]) {
      const ran = await cto(...args);
      assert.deepEqual([ran.code, ran.out], [1, ""], args.join(" "));
      assert.equal(ran.err, `cto: CTO Sidekick is not running (home ${home.root}). Start it with: cto up\n`);
    }
    assert.match((await cto("logs")).err, /no log yet .* cto up/);
    assert.match((await cto("logs", "s-1")).err, /no session "s-1"/);
    const status = await cto("status");
    assert.equal(status.code, 1);
    assert.match(status.out, /is not running[^]*cto up/);
    assert.deepEqual(JSON.parse((await cto("status", "--json")).out), {
      running: false,
      home: home.root,
      stopped: null,
      sessions: [],
    });
  });
});

test("a hub file that a killed hub left behind counts as not running", async () => {
  await withHome(async ({ cto, home }) => {
    await mkdir(home.run);
    await writeFile(home.hubFile, JSON.stringify({ pid: 1, url: "http://127.0.0.1:9", startedAt: "" }));
    assert.match((await cto("next")).err, /is not running/);
  });
});

test("law 10: STOP works when the hub is dead and leaves no agent process", async () => {
  await withHome(async ({ cto, home }) => {
    const machine = createNativeMachine(home);
    const script = 'sleep 600 & echo $! > "$CTO_TEST_PID"; setsid sleep 600 & wait';
    const pidFile = join(home.root, "pid");
    await machine.start("native", {
      id: "s-0123456789ab",
      argv: ["/bin/sh", "-c", script],
      cwd: home.root,
      env: { PATH: process.env["PATH"] ?? "", CTO_TEST_PID: pidFile },
      maxLogBytes: 10_000,
    });
    await until("the session has a child", async () => (await readFile(pidFile, "utf8").catch(() => "")) !== "");
    assert.match((await cto("status")).out, /still run: s-0123456789ab/);

    const startedAt = performance.now();
    const stopped = await cto("stop", "--why", "trial");
    assert.ok(performance.now() - startedAt < 10_000);
    assert.equal(stopped.code, 0);
    assert.match(stopped.out, /STOP is set\. Ended: s-0123456789ab\. Nothing starts until: cto release/);
    assert.equal((await machine.observe("s-0123456789ab")).state, "exited");
    assert.match((await cto("status")).out, /STOP is set by cto stop .*\(trial\)/);
    assert.deepEqual(JSON.parse((await cto("stop", "--json")).out), { stopped: true, running: false, ended: [] });

    assert.match((await cto("release")).out, /^Released\. The hub is not running/);
    assert.equal((await cto("release")).out, "STOP was not set.\n");
  });
});

test("add, next and status go through the hub", async () => {
  await withHub(async ({ cto, store, url }) => {
    const none = await cto("add", "Write the parser", "--project", "Compiler");
    assert.equal(none.code, 1);
    assert.match(none.err, /no project "Compiler"\. There is none yet/);

    const added = await cto(
      "add",
      "Write the parser",
      "-p",
      "Compiler",
      "--new-project",
      "--repo",
      "../c",
      "--check",
      "make",
    );
    assert.deepEqual([added.code, added.err], [0, ""]);
    assert.match(added.out, /^T1 is queued in Compiler/);
    const [project] = await store.projects();
    assert.equal(project?.check, "make");
    assert.ok(
      project?.repo.startsWith("/") && project.repo.endsWith("/c"),
      "a path is as seen from the person's folder",
    );

    const second = await cto(
      "add",
      "Test it",
      "-p",
      "comp",
      "--type",
      "testing",
      "--priority",
      "1",
      "--depends-on",
      "T1",
      "--json",
    );
    const task = JSON.parse(second.out) as Record<string, unknown>;
    assert.deepEqual([task["id"], task["type"], task["priority"], task["dependsOn"]], ["T2", "testing", 1, "T1"]);
    assert.match((await cto("add", "x", "-p", "Compilr")).err, /There are: "Compiler"/);
    assert.match((await cto("add", "x", "-p", "Compiler", "--new-project")).err, /a project "Compiler" already/);

    const status = await cto("status");
    assert.equal(status.code, 0);
    assert.match(status.out, /is running at http/);
    assert.match(status.out, /T1 +queued +Compiler +Write the parser/);
    assert.match(status.out, /\/login#[\w-]{32}\n/);
    const whole = JSON.parse((await cto("status", "--json")).out) as { url: string; tasks: { id: string }[] };
    assert.equal(whole.url, url);
    assert.deepEqual(whole.tasks.map(({ id }) => id).toSorted(), ["T1", "T2"]);

    assert.match((await cto("next")).out, /T1/);
    assert.ok(Array.isArray((JSON.parse((await cto("next", "--json")).out) as { next: unknown }).next));
  });
});

test("what others typed cannot move the terminal's cursor", async () => {
  await withHub(async ({ cto, store }) => {
    const project = await store.addProject(SUPERVISOR, { name: "P\u001b[2J\u0007" }, Date.now());
    await store.addTask(
      SUPERVISOR,
      { projectId: project.id, description: "d\u001b]0;x\u0007\rz", origin: "sheet" },
      Date.now(),
    );
    for (const args of [["status"], ["next"]]) {
      const { out } = await cto(...args);
      // oxlint-disable-next-line no-control-regex -- that is what must not be there
      assert.doesNotMatch(out, /[\u0000-\u0009\u000b-\u001f]/, args[0]);
    }
  });
});

test("stop and release with a hub that lives", async () => {
  await withHub(async ({ cto }) => {
    assert.match((await cto("stop", "--why", "enough")).out, /STOP is set\. No session was left running/);
    assert.match((await cto("status")).out, /STOP is set by cto stop/);
    assert.equal((await cto("release")).out, "Released: work starts again.\n");
    assert.doesNotMatch((await cto("status")).out, /STOP/);
  });
});

test("token create prints a token and nothing else", async () => {
  await withHub(async ({ cto, tokens, store }) => {
    const project = await store.addProject(SUPERVISOR, { name: "P" }, Date.now());
    const made = await cto("token", "create", "--role", "agent", "--project", "P", "--ttl", "8h");
    assert.deepEqual([made.code, made.err], [0, ""]);
    assert.match(made.out, /^cto_[\w-]{43}\n$/);
    const principal = await tokens.principalOf(made.out.trim());
    assert.deepEqual([principal?.role, principal?.projectId], ["agent", project.id]);
    assert.match((await cto("token", "create", "--role", "human", "--ttl", "8")).err, /such as 8h/);
    assert.match((await cto("token", "create", "--role", "human", "--ttl", "900d")).err, /the longest is 366d/);
    assert.match((await cto("token", "create", "--role", "agent", "--project", "Q")).err, /There are: "P"/);
  });
});

test("mcp-json prints a file that works as it is, and mcp.json.example is its shape", async () => {
  await withHub(async ({ cto }) => {
    type File = { mcpServers: { cto: { type: string; url: string; headers: Record<string, string> } } };
    const printed = JSON.parse((await cto("mcp-json")).out) as File;
    const { url, headers } = printed.mcpServers.cto;
    const client = new Client({ name: "test", version: "0" });
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
    const { tools } = await client.listTools();
    assert.ok(tools.some((tool) => tool.name === "whats_next"));
    await client.close();

    const example = JSON.parse(await readFile(new URL("../../mcp.json.example", import.meta.url), "utf8")) as File;
    const fromEnv = JSON.parse((await cto("mcp-json", "--env")).out) as File;
    fromEnv.mcpServers.cto.url = example.mcpServers.cto.url;
    assert.deepEqual(fromEnv, example, "with --env it is the example but for the address");
    printed.mcpServers.cto.url = example.mcpServers.cto.url;
    printed.mcpServers.cto.headers = example.mcpServers.cto.headers;
    assert.deepEqual(printed, example, "without it, but for the token as well");
    assert.deepEqual(Object.keys(headers), Object.keys(example.mcpServers.cto.headers));
  });
});

test("logs prints the transcript of a task's session, and of a session", async () => {
  await withHub(async ({ cto, store, home }) => {
    const now = Date.now();
    const project = await store.addProject(SUPERVISOR, { name: "P", machine: "native" }, now);
    const task = await store.addTask(SUPERVISOR, { projectId: project.id, description: "d", origin: "command" }, now);
    assert.match((await cto("logs", "T99")).err, /no such task\. Those there are: cto status/);
    assert.match((await cto("logs", "T1")).err, /No session has worked on T1 yet/);
    const id = "s-0123456789ab";
    await store.setAgents([{ name: "worker", model: "" }], now);
    await store.openSession({ id, agent: "worker", projectId: project.id, kind: "supervised", machine: "native" }, now);
    await store.sessionRuns(id, "h", now);
    assert.equal((await store.claim(id, now))?.task.id, task.id);
    await mkdir(join(home.runs, id), { recursive: true });
    await writeFile(join(home.runs, id, "stdout"), `one\u001b[31m\n${"x".repeat(300_000)}\ntwo\n`);
    const all = `one\n${"x".repeat(300_000)}\ntwo\n`;
    assert.equal((await cto("logs", "T1")).out, all);
    assert.equal((await cto("logs", id)).out, all);
    assert.deepEqual((JSON.parse((await cto("logs", id, "--json")).out) as { session: string }).session, id);
    assert.match((await cto("logs", "s-ffffffffffff")).err, /no such session/i);

    const following = cto("logs", "T1", "-f");
    await store.endSession(id, { outcome: "ended", exitCode: 0 }, now);
    assert.equal((await following).out, all, "following ends with the session");
  });
});

test("logs shows the hub's own log, follows it until a signal, and it stays bounded", async () => {
  await withHome(async ({ cto, home, signal }) => {
    const shown: string[] = [];
    const log = createHubLog(home, "info", { write: (text) => shown.push(text) }, "warn", 2_000);
    log.info({ port: 5000 }, "listening");
    log.warn("careful");
    assert.deepEqual(shown.length, 1, "a terminal is shown what is wrong only");
    const { out } = await cto("logs");
    assert.match(out, /Z info listening port=5000\n.*Z WARN careful\n$/);
    assert.equal(
      (JSON.parse((await cto("logs", "--json")).out.split("\n")[0] ?? "") as { msg: string }).msg,
      "listening",
    );

    const following = cto("logs", "--follow");
    for (let n = 0; n < 50; n += 1) log.info(`line ${n}`);
    const size = (await readFile(hubLogFile(home))).length;
    assert.ok(size <= 2_000, `${size} bytes`);
    signal("SIGINT");
    assert.match((await following).out, /line 49/);
  });
});

test("the launcher finds its folder through links from anywhere, and its own Node", async () => {
  await withHome(async ({ home }) => {
    const { symlink } = await import("node:fs/promises");
    const bin = join(home.root, "bin");
    await mkdir(bin);
    await symlink(new URL("../../hub/cto", import.meta.url).pathname, join(bin, "first"));
    await symlink("first", join(bin, "cto"));
    // A PATH with an old Node in front, as the host's may be.
    await writeFile(join(bin, "node"), "#!/bin/sh\necho 20\n", { mode: 0o755 });
    const env = { PATH: `${bin}:/usr/bin:/bin`, CTO_HOME: home.root };
    const child = spawn("cto", ["status", "--json"], { cwd: "/", env, stdio: ["ignore", "pipe", "inherit"] });
    let out = "";
    child.stdout.on("data", (data: Buffer) => (out += data.toString()));
    const code = await new Promise((resolve) => child.on("close", resolve));
    assert.equal(code, 1);
    assert.equal((JSON.parse(out) as { running: boolean }).running, false);
    assert.equal(identityOf(child.pid ?? 0), undefined);
  });
});

test("without a Node that is new enough the launcher says what to do", async () => {
  await withHome(async ({ home }) => {
    const hub = join(home.root, "clone", "hub");
    await mkdir(hub, { recursive: true });
    await writeFile(join(hub, "cto"), await readFile(new URL("../../hub/cto", import.meta.url)), { mode: 0o755 });
    const bin = join(home.root, "bin");
    await mkdir(bin);
    await writeFile(join(bin, "node"), "#!/bin/sh\necho 20\n", { mode: 0o755 });
    const env = { PATH: `${bin}:/usr/bin:/bin` };
    const child = spawn(join(hub, "cto"), ["status"], { env, stdio: ["ignore", "ignore", "pipe"] });
    let err = "";
    child.stderr.on("data", (data: Buffer) => (err += data.toString()));
    assert.equal(await new Promise((resolve) => child.on("close", resolve)), 1);
    assert.match(err, /^cto: needs Node 24 or newer, and the one in PATH is 20\. Run 'npm ci' in .*clone.*\n$/);
  });
});

/** A task of project P that a session holds. */
async function heldTask(store: Store) {
  const now = Date.now();
  await store.setAgents([{ name: "worker", model: "" }], now);
  const project = await store.addProject(SUPERVISOR, { name: "P", machine: "native" }, now);
  await store.addTask(SUPERVISOR, { projectId: project.id, description: "d", origin: "command" }, now);
  const id = "s-0123456789ab";
  await store.openSession({ id, agent: "worker", projectId: project.id, kind: "supervised", machine: "native" }, now);
  await store.sessionRuns(id, "h", now);
  const claim = await store.claim(id, now);
  assert.ok(claim);
  return { task: claim.task, by: { role: "agent" as const, name: `session:${id}`, sessionId: id, projectId: null } };
}

test("answer lists the open questions, and answers one so that its task goes on", async () => {
  await withHub(async ({ cto, store }) => {
    assert.equal((await cto("answer")).out, "Nobody asks anything.\n");
    const { task, by } = await heldTask(store);
    const question = { text: "Which grammar?\u001b[2J\nThere are two.", options: ["The old one", "A new one"] };
    await store.block(by, task.id, task.fence, question, Date.now());
    const listed = await cto("answer");
    assert.equal(listed.out, "Q1  P, T1\n  Which grammar?\n  There are two.\n  - The old one\n  - A new one\n");
    const { questions } = JSON.parse((await cto("answer", "--json")).out) as { questions: Record<string, unknown>[] };
    assert.deepEqual([questions[0]?.["name"], questions[0]?.["task"], questions[0]?.["state"]], ["Q1", "T1", "open"]);
    assert.match((await cto("status")).out, /Q1 +T1 +Which grammar\?/);

    for (const [args, code, says] of [
      [["answer", "T1", "x"], 2, /is no question/],
      [["answer", "Q1"], 2, /say what the answer is/],
      [["answer", "Q1", "two", "words"], 2, /one word too many/],
      [["answer", "Q9", "x"], 1, /no such question/],
    ] as const) {
      const wrong = await cto(...args);
      assert.equal(wrong.code, code, args.join(" "));
      assert.match(wrong.err, says);
    }
    assert.equal((await cto("answer", "q1", "the old one")).out, 'Q1 is answered with "The old one". T1 is queued.\n');
    const again = JSON.parse((await cto("answer", "Q1", "The old one", "--json")).out) as {
      question: { answer: string };
      task: { id: string };
    };
    assert.deepEqual([again.question.answer, again.task.id], ["The old one", "T1"]);
    const other = await cto("answer", "Q1", "A new one");
    assert.equal(other.code, 1);
    assert.match(other.err, /answered already, with "The old one"/);
    assert.equal((await cto("answer")).out, "Nobody asks anything.\n");
  });
});

test("steer says when the session is told, and status shows what nobody was given yet", async () => {
  await withHub(async ({ cto, store }) => {
    const { task, by } = await heldTask(store);
    assert.equal((await cto("steer", "T1", "Mind the gap")).out, "T1: Its session is told with its next call.\n");
    assert.match((await cto("status")).out, /Said, and not delivered yet\n +T1 +Mind the gap/);
    await store.reportProgress(by, task.id, task.fence, "x", Date.now());
    assert.doesNotMatch((await cto("status")).out, /Mind the gap/);
    await store.giveBack(task.id, task.fence, { why: "gone", failure: false }, Date.now());
    const waits = JSON.parse((await cto("steer", "T1", "Later", "--json")).out) as { live: boolean; say: string };
    assert.equal(waits.live, false);
    assert.match(waits.say, /waits for the next one/);
    assert.equal((await cto("steer", "T1")).code, 2);
    assert.match((await cto("steer", "T9", "x")).err, /no such task/);
    await store.cancelTask(SUPERVISOR, task.id, "no", Date.now());
    assert.match((await cto("steer", "T1", "x")).err, /T1 is cancelled/);
  });
});
