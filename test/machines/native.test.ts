import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Home } from "../../hub/base/home.ts";
import { releaseStop, setStop } from "../../hub/base/stop-file.ts";
import type { Machine, RunSpec } from "../../supervisor/machines/machine.ts";
import { createNativeMachine, endAllRuns, endLeftCommands } from "../../supervisor/machines/native.ts";
import { identityOf } from "../../supervisor/machines/processes.ts";
import { until } from "../helpers/until.ts";
import { openNativeHome, pidsWith } from "./native-home.ts";

const HELPER = join(import.meta.dirname, "start-and-wait.ts");

suite("native machine", () => {
  let home: Home;
  let folder: string;
  let close: () => Promise<void>;
  let machine: Machine;
  let count = 0;
  before(async () => {
    ({ home, folder, close } = await openNativeHome());
    machine = createNativeMachine(home);
  });
  after(() => close());

  const spec = (script: string, more: Partial<RunSpec> = {}): RunSpec => ({
    id: `s-${++count}`,
    argv: ["sh", "-c", script],
    cwd: folder,
    env: {},
    maxLogBytes: 10_000,
    ...more,
  });
  const running = async (script = "exec sleep 1000", on = machine) => {
    const given = spec(script);
    await on.start("native", given);
    return given.id;
  };
  const file = (id: string, name: string) => join(home.runs, id, name);
  const stateOf = async (id: string) => (await machine.observe(id)).state;
  const uniqueSleep = () => `sleep 7${process.pid}.${++count}`;
  const isLiving = (pid: number) => identityOf(pid) !== undefined;

  test("law 7: restart-proof: a run survives kill -9 of the hub and is adopted by the next", async () => {
    const given = spec("echo one; while [ ! -e go ]; do sleep 0.02; done; echo two; exit 6");
    const left = uniqueSleep();
    const command = ["sh", "-c", `${left} & setsid ${left} & wait`];
    const helper = spawn(process.execPath, [HELPER, home.root, JSON.stringify(given), JSON.stringify(command)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(helper.stdout, "data");
    await until("its command runs", async () => (await pidsWith(left)).length >= 2);
    helper.kill("SIGKILL");
    await once(helper, "exit");

    assert.equal(await stateOf(given.id), "running");
    await endLeftCommands(home);
    assert.deepEqual(await pidsWith(left), [], "the dead hub's command is ended");
    assert.equal(await stateOf(given.id), "running", "its session is not");
    await writeFile(join(folder, "go"), "");
    await until("it has ended", async () => (await stateOf(given.id)) === "exited");
    assert.deepEqual(await machine.observe(given.id), { state: "exited", code: 6, outputBytes: 8 });
    assert.equal(Buffer.from(await machine.read(given.id, "stdout", 0, 100)).toString(), "one\ntwo\n");
  });

  test("the folder of a run is its user's only and holds neither environment nor token", async () => {
    const given = spec("exec sleep 1000", { env: { CTO_TOKEN: "canary-token-1" } });
    await machine.start("native", given);
    assert.equal((await stat(join(home.runs, given.id))).mode & 0o777, 0o700);
    assert.equal((await stat(file(given.id, "run.json"))).mode & 0o777, 0o600);
    for (const name of await readdir(join(home.runs, given.id))) {
      assert.ok(!(await readFile(file(given.id, name), "utf8")).includes("canary-token-1"), name);
    }
    const lines = await Promise.all(
      (await pidsWith(given.id)).map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
    );
    assert.ok(lines.length > 0 && lines.every((line) => !line.includes("canary-token-1")));
    await machine.kill(given.id, 0);
  });

  test("a start that was cut off before its process is started is made good by the next", async () => {
    const given = spec("exit 3");
    await mkdir(join(home.runs, given.id), { mode: 0o700 });
    assert.equal(await stateOf(given.id), "missing");
    await machine.start("native", given);
    await until("it has ended", async () => (await stateOf(given.id)) === "exited");

    const noted = spec("exit 4");
    await machine.start("native", noted);
    await until("it has ended", async () => (await stateOf(noted.id)) === "exited");
    for (const name of ["process.json", "exit", "swept", "stdout", "stderr"]) await rm(file(noted.id, name));
    assert.equal(await stateOf(noted.id), "missing");
    await machine.start("native", noted);
    const seen = await until("it has ended", async () => {
      const seen = await machine.observe(noted.id);
      return seen.state === "exited" && seen;
    });
    assert.equal(seen.code, 4);
  });

  test("kill -9 of the wrapper ends the run with no code, and with all that it started", async () => {
    for (const isolation of [undefined, async () => undefined]) {
      const on = createNativeMachine(home, isolation ? { isolation } : {});
      const mark = uniqueSleep();
      const id = await running(`setsid ${mark} & ${mark}; exit 0`, on);
      await until("both sleep", async () => (await pidsWith(mark)).length >= 2);
      const { pid } = JSON.parse(await readFile(file(id, "process.json"), "utf8")) as { pid: number };
      process.kill(pid, "SIGKILL");
      await until("it has ended", async () => (await on.observe(id)).state === "exited");
      assert.deepEqual(await on.observe(id), { state: "exited", code: null, outputBytes: 0 });
      assert.deepEqual(await pidsWith(mark), []);
    }
  });

  test("a pid that was used again is a stranger: it is not touched and the run has exited", async () => {
    const stranger = spawn("sleep", ["1000"], { stdio: "ignore", detached: true });
    const strangersChild = spawn("sleep", ["1000"], { stdio: "ignore" });
    assert.ok(stranger.pid && strangersChild.pid);
    const id = await running();
    await machine.kill(id, 0);
    const noted = identityOf(stranger.pid);
    assert.ok(noted);
    for (const wrong of [
      { ...noted, startTime: noted.startTime - 1 },
      { ...noted, bootId: "00000000-0000-0000-0000-000000000000" },
    ]) {
      await rm(file(id, "swept"), { force: true });
      await writeFile(file(id, "process.json"), JSON.stringify(wrong));
      assert.equal(await stateOf(id), "exited");
      await machine.kill(id, 0);
      await endAllRuns(home, 0);
      assert.ok(isLiving(stranger.pid) && isLiving(strangersChild.pid));
    }
    stranger.kill("SIGKILL");
    strangersChild.kill("SIGKILL");
  });

  test("a run of another boot has exited without a code", async () => {
    const id = await running("sleep 0.01; exit 0");
    await until("it has ended", async () => (await stateOf(id)) === "exited");
    await rm(file(id, "exit"));
    const identity = JSON.parse(await readFile(file(id, "process.json"), "utf8")) as object;
    await writeFile(file(id, "process.json"), JSON.stringify({ ...identity, bootId: "another", pid: process.pid }));
    assert.deepEqual(await machine.observe(id), { state: "exited", code: null, outputBytes: 0 });
    await machine.start("native", spec("echo again", { id }));
    assert.deepEqual(await machine.observe(id), { state: "exited", code: null, outputBytes: 0 });
  });

  test("a run folder of a newer version is refused with one line and left as it is", async () => {
    const id = await running("exit 0");
    await until("it has ended", async () => (await stateOf(id)) === "exited");
    for (const text of ['{"version":2,"anything":true}', "not json"]) {
      await writeFile(file(id, "run.json"), text);
      for (const act of [() => machine.observe(id), () => machine.start("native", spec("exit 0", { id }))]) {
        await assert.rejects(act(), (error: Error) => {
          assert.equal(error.name, "ConfigurationError");
          assert.match(error.message, /run\.json/);
          assert.ok(!error.message.includes("\n"));
          return true;
        });
      }
      assert.equal(await readFile(file(id, "run.json"), "utf8"), text);
      assert.ok((await machine.list()).includes(id));
      const health = await machine.health();
      assert.ok(!health.ok && health.why.includes("run.json"));
    }
    await rm(join(home.runs, id), { recursive: true });
  });

  test("law 10: STOP ends what the run folders name, hub alive or not, and nothing starts again", async () => {
    const mark = uniqueSleep();
    const script = `trap '' TERM; setsid ${mark} & env -i setsid ${mark} & while :; do ${mark}; done`;
    const ids = await Promise.all([1, 2, 3].map(() => running(script)));
    const command = machine.exec("native", ["sh", "-c", `trap '' TERM; ${mark}; ${mark}`], {
      cwd: folder,
      timeoutMs: 60_000,
    });
    await until("all run", async () => (await pidsWith(mark)).length >= 10);
    const begun = performance.now();
    setStop(home.stopFile, { at: "", by: "a test", why: "" });
    const { runs } = await endAllRuns(home, 500);
    assert.ok(performance.now() - begun < 10_000);
    assert.deepEqual(runs.toSorted(), ids.toSorted());
    assert.deepEqual(await pidsWith(mark), []);
    assert.notEqual((await command).code, 0);

    const refused = spec(`echo ran >ran-${count}`);
    await assert.rejects(machine.start("native", refused), /STOP is set by a test.*cto release/);
    assert.equal(await stateOf(refused.id), "missing");
    releaseStop(home.stopFile);
    await machine.start("native", refused);
    await until("it has ended", async () => (await stateOf(refused.id)) === "exited");
  });

  test("law 10: a STOP that lands while sessions start leaves none of them running", async () => {
    const outcomes = { refused: 0, ended: 0 };
    for (let round = 0; round < 12; round += 1) {
      const mark = uniqueSleep();
      const starts = Array.from({ length: 4 }, () => machine.start("native", spec(`setsid ${mark} & exec ${mark}`)));
      const settled = Promise.allSettled(starts);
      await sleep(round * 3);
      setStop(home.stopFile, { at: "", by: "a test", why: "" });
      await endAllRuns(home, 0);
      const results = await settled;
      outcomes.refused += results.filter((result) => result.status === "rejected").length;
      outcomes.ended += results.filter((result) => result.status === "fulfilled").length;
      assert.deepEqual(await pidsWith(mark), []);
      releaseStop(home.stopFile);
      assert.deepEqual(await pidsWith(mark), []);
    }
    assert.equal(outcomes.refused + outcomes.ended, 48);
    assert.ok(outcomes.refused > 0, "the stop came early enough to be seen by some");
  });

  test("law 10: a STOP that lands after the hub's last look is seen by the wrapper", async () => {
    const wrapper = join(import.meta.dirname, "../../supervisor/machines/wrapper.sh");
    const runs = join(home.runs, "late");
    await mkdir(runs);
    const claim = async () => {
      const child = spawn("/bin/sh", [wrapper, "claim", runs, home.stopFile, "touch", join(folder, "late")]);
      await once(child, "exit");
      return { code: child.exitCode, files: await readdir(runs), ran: (await readdir(folder)).includes("late") };
    };
    setStop(home.stopFile, { at: "", by: "a test", why: "" });
    assert.deepEqual(await claim(), { code: 75, files: [], ran: false });
    releaseStop(home.stopFile);
    assert.deepEqual(await claim(), { code: 0, files: ["process.json"], ran: true });
    await rm(runs, { recursive: true });
  });

  test("law 9: isolation fails closed: permission prompts are never skipped on the host", async () => {
    const skipping = [
      ["claude", "--dangerously-skip-permissions"],
      ["claude", "--allow-dangerously-skip-permissions"],
      ["claude", "--permission-mode", "bypassPermissions"],
      ["claude", "--permission-mode=bypassPermissions"],
      ["qwen", "--yolo"],
      ["gemini", "--approval-mode", "yolo"],
      ["codex", "--dangerously-bypass-approvals-and-sandbox"],
      ["codex", "exec", "--sandbox=danger-full-access"],
    ];
    for (const argv of skipping) {
      const given = spec("", { argv });
      await assert.rejects(machine.start("native", given), /skips permission prompts/, argv.join(" "));
      assert.equal(await stateOf(given.id), "missing");
    }
    for (const name of ["docker", "libvirt", "", "native2"]) {
      const given = spec("true");
      await assert.rejects(machine.start(name, given), /not the native machine/);
      assert.equal(await stateOf(given.id), "missing");
    }
    const allowed = spec("", { argv: ["echo", "--permission-mode", "default", "yolo"] });
    await machine.start("native", allowed);
    await until("it has ended", async () => (await stateOf(allowed.id)) === "exited");
  });

  test("100 starts and kills leave no process and no open file", async () => {
    const mark = uniqueSleep();
    const openFiles = async () => (await readdir("/proc/self/fd")).length;
    await machine.kill(await running(`exec ${mark}`), 0);
    const before = await openFiles();
    for (let round = 0; round < 25; round += 1) {
      const ids = await Promise.all([1, 2, 3, 4].map(() => running(`setsid ${mark} & exec ${mark}`)));
      await Promise.all(ids.map((id) => machine.kill(id, round % 2 === 0 ? 0 : 1_000)));
      assert.deepEqual(await pidsWith(mark), []);
      for (const id of ids) {
        assert.equal(await stateOf(id), "exited");
        await machine.remove(id);
      }
    }
    await until("files are closed", async () => (await openFiles()) <= before + 2);
    assert.deepEqual(await pidsWith(home.runs), []);
  });
});
