import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, suite, test } from "node:test";
import type { Machine, RunObservation, RunSpec } from "../../supervisor/machines/machine.ts";
import { until } from "../helpers/until.ts";

/** A machine under test, and what the port itself does not offer. */
export interface MachineUnderTest {
  machine: Machine;
  name: string;
  /** A folder inside the machine that programs may write, absolute. */
  folder: string;
  /** The same machine as the hub would see it after a restart. */
  reopen(): Machine;
  /** How many living processes have `text` in their arguments. */
  living(text: string): Promise<number>;
  close(): Promise<void>;
}

const MAX_LOG_BYTES = 1024 * 1024;

/** What every machine adapter must do. `open` is called once; `label` names the adapter. */
export function machineContract(label: string, open: () => Promise<MachineUnderTest>): void {
  suite(`machine contract: ${label}`, () => {
    let under: MachineUnderTest;
    before(async () => {
      under = await open();
    });
    after(() => under.close());

    const newId = () => `r-${randomBytes(6).toString("hex")}`;
    const spec = (script: string, more: Partial<RunSpec> = {}): RunSpec => ({
      id: newId(),
      argv: ["sh", "-c", script],
      cwd: under.folder,
      env: {},
      maxLogBytes: MAX_LOG_BYTES,
      ...more,
    });
    const start = async (given: RunSpec) => {
      await under.machine.start(under.name, given);
      return given.id;
    };
    const ended = (id: string) =>
      until(`${id} has ended`, async () => {
        const seen = await under.machine.observe(id);
        return seen.state === "exited" ? seen : undefined;
      });
    const output = async (id: string, stream: "stdout" | "stderr" = "stdout") =>
      Buffer.from(await under.machine.read(id, stream, 0, 2 * MAX_LOG_BYTES)).toString();
    const hasPrinted = (id: string, text: string) =>
      until(`${id} prints ${text}`, async () => (await output(id)).includes(text));
    const exec = (argv: string[], more: object = {}) =>
      under.machine.exec(under.name, argv, { cwd: under.folder, timeoutMs: 20_000, ...more });
    /** A sleep that no other process has in its arguments. */
    const uniqueSleep = () => `sleep 86${randomBytes(3).readUIntBE(0, 3)}.5`;

    test("is healthy and has one name for a project", async () => {
      assert.deepEqual(await under.machine.health(), { ok: true });
      assert.equal(await under.machine.ensure("sample"), await under.machine.ensure("sample"));
    });

    test("refuses the name of another machine", async () => {
      await assert.rejects(under.machine.start("somewhere-else", spec("true")));
      await assert.rejects(under.machine.exec("somewhere-else", ["true"], { cwd: "/", timeoutMs: 1_000 }));
      await assert.rejects(under.machine.put("somewhere-else", `${under.folder}/x`, "x", 0o600));
    });

    test("a workspace is an absolute path of the project's slug and the task's name only", () => {
      const path = under.machine.workspacePath(under.name, "shop", "T12");
      assert.match(path, /^\/.*shop.*T12$/);
      assert.throws(() => under.machine.workspacePath(under.name, "../shop", "T12"));
      assert.throws(() => under.machine.workspacePath(under.name, "shop", "../T12"));
      assert.match(under.machine.repositoryUrl(under.name, path), /shop/);
    });

    test("the code that a program leaves is the code that is observed", async () => {
      for (const code of [0, 1, 3, 255]) {
        const id = await start(spec(`echo out; echo err >&2; exit ${code}`));
        assert.deepEqual(await ended(id), { state: "exited", code, outputBytes: 8 });
        assert.equal(await output(id), "out\n");
        assert.equal(await output(id, "stderr"), "err\n");
      }
    });

    test("a program that does not exist exits with 127 and says so", async () => {
      const id = await start(spec("", { argv: ["no-such-program-anywhere"] }));
      assert.equal((await ended(id)).code, 127);
      assert.match(await output(id, "stderr"), /no-such-program-anywhere/);
    });

    test("a program ended by a signal has no code of its own", async () => {
      const { code } = await ended(await start(spec("kill -KILL $$")));
      assert.ok(code === null || code === 128 + 9, `code ${code}`);
    });

    test("while it runs it is running, with its start and its output so far", async () => {
      const earliest = Date.now() - 2_000;
      const id = await start(spec("echo first; read -r wait; exec sleep 1000"));
      await hasPrinted(id, "first");
      // stdin comes from nowhere, so that `read` does not wait.
      const seen = await under.machine.observe(id);
      assert.equal(seen.state, "running");
      assert.ok(seen.startedAt >= earliest && seen.startedAt <= Date.now() + 2_000);
      assert.equal(seen.outputBytes, 6);
      await under.machine.kill(id, 0);
      await ended(id);
    });

    test("what is unknown is missing, and can be read, killed and removed without an error", async () => {
      for (const id of [newId(), "../../etc", "", "A"]) {
        assert.deepEqual(await under.machine.observe(id), { state: "missing" });
        assert.equal((await under.machine.read(id, "stdout", 0, 10)).length, 0);
        await under.machine.kill(id, 0);
        assert.equal(await under.machine.figures(id), undefined);
        await under.machine.remove(id);
      }
      await assert.rejects(under.machine.start(under.name, spec("true", { id: "../up" })));
    });

    test("output is read from an offset and never past what is asked", async () => {
      const id = await start(spec("printf 0123456789"));
      await ended(id);
      const read = async (offset: number, max: number) =>
        Buffer.from(await under.machine.read(id, "stdout", offset, max)).toString();
      assert.equal(await read(3, 4), "3456");
      assert.equal(await read(8, 100), "89");
      assert.equal(await read(10, 100), "");
      assert.equal(await read(99, 100), "");
    });

    test("starting an id again never starts a second process", async () => {
      const given = spec("echo started >>starts-$CTO_SESSION_ID; exec sleep 1000");
      await Promise.all(Array.from({ length: 5 }, () => start(given)));
      await start(given);
      await until("it has started", async () => (await exec(["cat", `starts-${given.id}`])).code === 0);
      await under.machine.kill(given.id, 0);
      await ended(given.id);
      await under.reopen().start(under.name, given);
      assert.equal((await exec(["cat", `starts-${given.id}`])).stdout, "started\n");
      assert.equal((await under.machine.observe(given.id)).state, "exited");
    });

    test("a program has its own environment and the marker, and nothing of the hub's", async () => {
      process.env["HUB_SECRET_CANARY"] = "leaked";
      try {
        const value = "two\nlines 'quoted' \"$HOME\" `id` $(id) \\ ü";
        const id = await start(spec("env", { env: { MINE: value, cto_code: "kept", LANG: "C" } }));
        await ended(id);
        const env = await output(id);
        assert.ok(env.includes(`MINE=${value}\n`));
        assert.ok(env.includes("cto_code=kept\n"));
        assert.ok(env.includes("LANG=C\n"));
        assert.ok(env.includes(`CTO_SESSION_ID=${id}\n`));
        assert.match(env, /^PATH=.+$/m);
        assert.match(env, /^HOME=.+$/m);
        assert.ok(!env.includes("leaked"));
        const executed = await exec(["env"], { env: { MINE: value } });
        assert.ok(executed.stdout.includes(`MINE=${value}\n`));
        assert.ok(!executed.stdout.includes("leaked"));
      } finally {
        delete process.env["HUB_SECRET_CANARY"];
      }
    });

    test("a program whose PATH leads nowhere is started all the same, with that PATH", async () => {
      const env = { PATH: "/no/such/folder" };
      const id = await start(spec("", { argv: ["/bin/sh", "-c", "echo $PATH"], env }));
      assert.equal((await ended(id)).code, 0);
      assert.equal(await output(id), "/no/such/folder\n");
      assert.equal((await exec(["/bin/sh", "-c", "echo $PATH"], { env })).stdout, "/no/such/folder\n");
    });

    test("law 13: text from outside is data: hostile arguments reach the program as they are", async () => {
      const hostile = [
        "$(touch canary)",
        "`touch canary`",
        "; touch canary",
        "a\nb\ntouch canary\n",
        "' \"; touch canary; \"'",
        "| touch canary #",
        "-n",
        "--",
        "",
        "*",
        "\\",
        "ünïcode",
        "\u001b[31m",
      ];
      const argv = ["printf", "<%s>", ...hostile];
      const expected = hostile.map((text) => `<${text}>`).join("");
      const id = await start(spec("", { argv, env: { HOSTILE: "$(touch canary)" } }));
      assert.equal((await ended(id)).code, 0);
      assert.equal(await output(id), expected);
      assert.equal((await exec(argv)).stdout, expected);
      assert.notEqual((await exec(["test", "-e", "canary"])).code, 0);
      await assert.rejects(under.machine.start(under.name, spec("", { argv: ["printf", "a\0b"] })));
    });

    test("law 14: everything is bounded: output beyond the limit is dropped and the program goes on", async () => {
      for (const maxLogBytes of [0, 10, 100_000]) {
        const script =
          "head -c 300000 /dev/zero | tr '\\0' x && head -c 300000 /dev/zero >&2 && echo alive >ended-$CTO_SESSION_ID";
        const id = await start(spec(script, { maxLogBytes }));
        assert.deepEqual(await ended(id), { state: "exited", code: 0, outputBytes: 2 * maxLogBytes });
        assert.equal(await output(id), "x".repeat(maxLogBytes));
        assert.equal((await exec(["cat", `ended-${id}`])).stdout, "alive\n");
      }
    });

    test("kill lets a program end in its own way first", async () => {
      const id = await start(spec("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done"));
      await hasPrinted(id, "ready");
      await under.machine.kill(id, 5_000);
      const seen = await ended(id);
      assert.equal(seen.code, 5);
      assert.equal(await output(id), "ready\nbye\n");
    });

    test("law 10: STOP leaves no agent process running within 10 s: kill ends stubborn descendants", async () => {
      const sleep = uniqueSleep();
      const script = [
        "trap '' TERM HUP INT",
        `setsid ${sleep} &`,
        `(setsid sh -c '(${sleep} & ${sleep}) & ${sleep}' &)`,
        `nohup ${sleep} >/dev/null 2>&1 &`,
        `env -i setsid ${sleep} &`,
        "echo ready",
        `while :; do ${sleep}; done`,
      ].join("\n");
      const id = await start(spec(script));
      await hasPrinted(id, "ready");
      await until("all have started", async () => (await under.living(sleep)) >= 7);
      const begun = performance.now();
      await under.machine.kill(id, 500);
      assert.ok(performance.now() - begun < 10_000);
      assert.equal(await under.living(sleep), 0);
      assert.equal(await under.machine.figures(id), undefined);
      const seen: RunObservation = await under.machine.observe(id);
      assert.equal(seen.state, "exited");
    });

    test("a run has ended only when nothing that it left behind lives", async () => {
      const sleep = uniqueSleep();
      const id = await start(spec(`setsid ${sleep} & setsid ${sleep} >/dev/null 2>&1 & exit 4`));
      assert.equal((await ended(id)).code, 4);
      assert.equal(await under.living(sleep), 0);
    });

    test("law 7: restart-proof: another instance finds a live run, reads and ends it", async () => {
      const id = await start(spec("echo ready; exec sleep 1000"));
      await hasPrinted(id, "ready");
      const other = under.reopen();
      assert.ok((await other.list()).includes(id));
      assert.equal((await other.observe(id)).state, "running");
      assert.equal(Buffer.from(await other.read(id, "stdout", 0, 100)).toString(), "ready\n");
      await other.kill(id, 1_000);
      await ended(id);
    });

    test("figures are there while it runs", async () => {
      const id = await start(spec("echo ready; sleep 1000 & while :; do :; done"));
      await hasPrinted(id, "ready");
      const figures = await until("time was used", async () => {
        const seen = await under.machine.figures(id);
        return seen && seen.cpuMs > 0 && seen.processes >= 2 ? seen : undefined;
      });
      assert.ok(figures.rssBytes > 100_000);
      await under.machine.kill(id, 0);
      assert.equal(await under.machine.figures(id), undefined);
    });

    test("a run is forgotten when it is removed, and not before it has ended", async () => {
      const id = await start(spec("exec sleep 1000"));
      await assert.rejects(under.machine.remove(id));
      assert.equal((await under.machine.observe(id)).state, "running");
      await under.machine.kill(id, 0);
      await ended(id);
      await under.machine.remove(id);
      await under.machine.remove(id);
      assert.deepEqual(await under.machine.observe(id), { state: "missing" });
      assert.ok(!(await under.machine.list()).includes(id));
    });

    test("exec answers output and code, in the folder it was told", async () => {
      const done = await exec(["sh", "-c", "pwd; echo err >&2; exit 9"]);
      assert.deepEqual(done, { code: 9, stdout: `${under.folder}\n`, stderr: "err\n", timedOut: false });
      assert.equal((await exec(["no-such-program-anywhere"])).code, 127);
      await assert.rejects(exec(["true"], { cwd: `${under.folder}/no-such-folder` }));
    });

    test("exec keeps the end of too much output", async () => {
      const done = await exec(["sh", "-c", "seq 100000; printf ü; printf '%099d' 0"], { maxBytes: 100 });
      assert.equal(done.stdout, "0".repeat(99));
      assert.equal(done.code, 0);
    });

    test("exec ends a command that takes too long, with its descendants", async () => {
      const sleep = uniqueSleep();
      const done = await exec(
        ["sh", "-c", `trap '' TERM; echo begun; setsid ${sleep} & env -i setsid ${sleep} & ${sleep}; ${sleep}`],
        {
          timeoutMs: 700,
        },
      );
      assert.equal(done.timedOut, true);
      assert.equal(done.code, null);
      assert.equal(done.stdout, "begun\n");
      assert.equal(await under.living(sleep), 0);
    });

    test("exec leaves nothing behind when the command ends", async () => {
      const sleep = uniqueSleep();
      const done = await exec(["sh", "-c", `setsid ${sleep} & echo done`]);
      assert.equal(done.stdout, "done\n");
      assert.equal(await under.living(sleep), 0);
    });

    test("exec ends with an error when it is aborted", async () => {
      const sleep = uniqueSleep();
      const controller = new AbortController();
      const running = exec(["sh", "-c", sleep], { signal: controller.signal });
      await until("it runs", async () => (await under.living(sleep)) > 0);
      controller.abort(new Error("no longer wanted"));
      await assert.rejects(running, /no longer wanted/);
      assert.equal(await under.living(sleep), 0);
      await assert.rejects(exec(["true"], { signal: controller.signal }), /no longer wanted/);
    });

    test("put writes whole files with their mode, making folders", async () => {
      const path = `${under.folder}/deep/er/file`;
      await under.machine.put(under.name, path, "one\n", 0o600);
      await under.machine.put(under.name, path, Buffer.from("two\n"), 0o640);
      assert.equal((await exec(["cat", path])).stdout, "two\n");
      assert.equal((await exec(["stat", "-c", "%a", path])).stdout, "640\n");
      assert.equal((await exec(["ls", `${under.folder}/deep/er`])).stdout, "file\n");
      await assert.rejects(under.machine.put(under.name, "relative", "x", 0o600));
    });
  });
}
