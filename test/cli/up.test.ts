import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Home } from "../../hub/base/home.ts";
import { until } from "../helpers/until.ts";
import { withHome } from "./hub.ts";

const CTO = fileURLToPath(new URL("../../hub/cto", import.meta.url));

interface Running {
  child: ChildProcess;
  printed: { out: string; err: string };
  ended: Promise<number | null>;
}

function up(home: Home, env: Record<string, string> = {}): Running {
  const whole = { ...process.env, CTO_HOME: home.root, CTO_PORT: "0", ...env };
  const child = spawn(CTO, ["up"], { env: whole, stdio: ["ignore", "pipe", "pipe"] });
  const printed = { out: "", err: "" };
  child.stdout.on("data", (data: Buffer) => (printed.out += data.toString()));
  child.stderr.on("data", (data: Buffer) => (printed.err += data.toString()));
  return { child, printed, ended: new Promise((resolve) => child.on("close", resolve)) };
}

async function ready({ printed, child }: Running): Promise<void> {
  await until(
    "the hub is ready",
    () => {
      if (child.exitCode !== null) throw new Error(printed.err);
      return printed.out.includes("Log in");
    },
    30_000,
  );
}

async function within(running: Running, tell: () => Promise<void>): Promise<void> {
  try {
    await tell();
  } finally {
    running.child.kill("SIGKILL");
    await running.ended;
  }
}

test("up says where it is and how to log in, and ends cleanly at a signal", async () => {
  await withHome(async ({ home, cto }) => {
    await writeFile(home.config, "dashboard: { host: 0.0.0.0 }\n");
    const running = up(home);
    await within(running, async () => {
      await ready(running);
      const { url } = JSON.parse(await readFile(home.hubFile, "utf8")) as { url: string };
      assert.match(url, /^http:\/\/127\.0\.0\.1:\d+$/, "loopback, whatever the configuration asks for");
      const [first, second] = running.printed.out.split("\n");
      assert.equal(first, `CTO Sidekick is ready at ${url}`);
      assert.ok(second?.startsWith(`Log in (this link works once): ${url}/login#`));
      assert.match(running.printed.err, /dashboard\.host is 0\.0\.0\.0, but the hub listens on 127\.0\.0\.1 only/);
      assert.equal((await cto("status")).code, 0);
      assert.match((await cto("logs")).out, /info ready/);

      const other = up(home);
      assert.equal(await other.ended, 1, "a second hub on the same home refuses to start");
      assert.equal(other.printed.err.split("\n").filter((line) => line.startsWith("cto: ")).length, 2);

      running.child.kill("SIGTERM");
      assert.equal(await running.ended, 0);
      assert.ok(!existsSync(home.hubFile));
      assert.match((await cto("status")).out, /is not running/);
    });
  });
});

test("up refuses a configuration that it does not understand, in one line", async () => {
  await withHome(async ({ home }) => {
    await writeFile(home.config, "shets: {}\n");
    const { ended, printed } = up(home);
    assert.equal(await ended, 1);
    assert.equal(
      printed.err,
      `cto: ${home.config}: there is no key "shets". Did you mean "sheets"? Correct it and start again.\n`,
    );
    assert.ok(!existsSync(home.database));
  });
});

test("a port that is taken is told in one line", async () => {
  await withHome(async ({ home }) => {
    const { createServer } = await import("node:net");
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    try {
      await writeFile(home.config, "");
      const { ended, printed } = up(home, { CTO_PORT: String(port) });
      assert.equal(await ended, 1);
      const told = printed.err.split("\n").filter((line) => line.startsWith("cto: "));
      assert.equal(told.length, 1);
      assert.match(told[0] ?? "", new RegExp(`Port ${port} is taken.*CTO_PORT`));
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });
});

test("law 10: STOP ends the agents of a hub that lives, holds across its restart, and release starts work again", async () => {
  await withHome(async ({ home, cto }) => {
    const marker = join(home.root, "children");
    const agent = { cli: "command", command: "/bin/sh", args: ["-c", `setsid sleep 600 & echo $! >>${marker}; wait`] };
    await writeFile(home.config, JSON.stringify({ agents: { worker: agent } }));
    const children = () => (existsSync(marker) ? readFileSync(marker, "utf8").trim().split("\n").length : 0);
    const working = (count: number) => until(`session ${count} works`, () => children() === count, 30_000);
    const living = async () =>
      (JSON.parse((await cto("status", "--json")).out) as { sessions: { state: string }[] }).sessions.length;
    let running = up(home);
    await within(running, async () => {
      await ready(running);
      const added = await cto("add", "Sleep", "-p", "P", "--new-project", "--machine", "native");
      assert.equal(added.code, 0, added.err);
      await working(1);
      const startedAt = performance.now();
      assert.match((await cto("stop", "--why", "trial")).out, /Ended: s-/);
      await until("no session is left", async () => (await living()) === 0);
      assert.ok(performance.now() - startedAt < 10_000);
      running.child.kill("SIGTERM");
      assert.equal(await running.ended, 0);
    });
    running = up(home);
    await within(running, async () => {
      await ready(running);
      assert.match((await cto("status")).out, /STOP is set by cto stop .*\(trial\)/);
      const { tasks } = JSON.parse((await cto("status", "--json")).out) as { tasks: { state: string; why: string }[] };
      assert.deepEqual([tasks.length, tasks[0]?.state, await living(), children()], [1, "queued", 0, 1]);
      assert.equal((await cto("release")).code, 0);
      await working(2);
      assert.equal((await cto("stop")).code, 0);
    });
  });
});
