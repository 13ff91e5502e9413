import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { homeAt } from "../../hub/base/home.ts";
import { sha256 } from "../../hub/base/ids.ts";
import { CTO, withHub } from "../helpers/hub-process.ts";

/** `cto up` that must not come up: its exit code and what it said. */
const up = (home: string, more: Record<string, string> = {}) => run(home, ["up"], more);

function run(
  home: string,
  args: string[],
  more: Record<string, string> = {},
): Promise<{ code: number; stderr: string; stdout: string }> {
  const env = { PATH: process.env["PATH"] ?? "", HOME: home, CTO_HOME: home, CTO_PORT: "0", ...more };
  return new Promise((resolve) => {
    execFile(CTO, args, { env, timeout: 20_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "cto-refuse-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

function refused(answer: { code: number; stderr: string; stdout: string }, words: RegExp): void {
  assert.equal(answer.code, 1, answer.stderr);
  assert.match(answer.stderr, words);
  assert.equal(answer.stderr.trim().split("\n").length, 1, `one clear line, not:\n${answer.stderr}`);
  assert.equal(answer.stdout, "");
}

test("law 6: exactly one holder: a second hub on the same home refuses to start", async () => {
  await withHub({ config: {} }, async (hub) => {
    refused(await up(hub.home.root), /Another hub is running/);
    assert.equal((await hub.api<{ tasks: unknown[] }>("/tasks")).tasks.length, 0, "the first one goes on");
  });
});

test("a home that cannot be written is told in one line, and STOP says that it is not set", async (t) => {
  const root = await folder(t);
  const file = join(root, "file");
  await writeFile(file, "");
  const below = join(file, "home");
  refused(await up(below), /home cannot be written \(ENOTDIR\)/);
  refused(await run(below, ["stop"]), /STOP is NOT set: .*STOP cannot be written \(ENOTDIR\)/);
  if (process.getuid?.() === 0) return;
  const readOnly = join(root, "ro");
  await mkdir(readOnly, { mode: 0o555 });
  refused(await up(readOnly), /cannot be written \(EACCES\)/);
  refused(await run(readOnly, ["stop"]), /STOP is NOT set: .*\(EACCES\)/);
  await chmod(readOnly, 0o755);
  await writeFile(join(readOnly, "STOP"), "");
  await chmod(readOnly, 0o555);
  refused(await run(readOnly, ["release"]), /STOP is still set: .*\(EACCES\)/);
  await chmod(readOnly, 0o755);
});

test("STOP is set also where there is no home yet", async (t) => {
  const home = join(await folder(t), "new");
  assert.equal((await run(home, ["stop"])).code, 0);
  refused(await run(home, ["next"]), /is not running/);
  assert.match((await run(home, ["status"])).stdout, /STOP is set by cto stop/);
});

test("a port that is taken is told in one line", async (t) => {
  const home = await folder(t);
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  t.after(() => other.close());
  const port = String((other.address() as AddressInfo).port);
  refused(await up(home, { CTO_PORT: port }), new RegExp(`Port ${port} is taken`));
  refused(await up(home, { CTO_PORT: "many" }), /CTO_PORT is "many"/);
});

test("a database that is not ours, and a configuration that is wrong, are told in one line and left alone", async (t) => {
  const root = await folder(t);
  const home = homeAt(root);
  await writeFile(home.database, "This is a shopping list: milk, bread, and a great deal of cheese.");
  const before = sha256(await readFile(home.database));
  refused(await up(root), /is not a database of CTO Sidekick/);
  assert.equal(sha256(await readFile(home.database)), before);
  await rm(home.database);
  await mkdir(root, { recursive: true });
  await writeFile(home.config, "scheduler:\n  max_concurent_tasks: 3\n");
  refused(await up(root), /max_concurent_tasks.*max_concurrent_tasks/);
});
