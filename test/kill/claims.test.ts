import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { sha256 } from "../../hub/base/ids.ts";
import { SHEET } from "../../hub/base/session.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";

const TASKS = 6_000;
const SESSION_KILLS = 300;
const HUB_KILLS = 50;
const WORKERS = 4;
const LEASE_MS = 400;
const HUB = fileURLToPath(new URL("core-hub.ts", import.meta.url));
const WORKER = fileURLToPath(new URL("core-worker.ts", import.meta.url));
const token = (n: number) => `cto_${sha256(`worker ${n}`).slice(0, 43)}`;

interface Note {
  kind: "claimed" | "stale" | "reported" | "completed" | "refused";
  task: string;
  fence: number;
  accepted?: boolean;
}

test(`law 7: restart-proof: ${SESSION_KILLS} killed sessions and ${HUB_KILLS} killed hubs over ${TASKS} tasks lose and double nothing`, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "cto-kill-"));
  const children = new Set<ChildProcess>();
  t.after(() => {
    for (const child of children) child.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  });
  const database = join(dir, "cto.db");
  const store = openSqliteStore({ path: database });
  for (let n = 1; n <= 8; n++) {
    const project = await store.addProject(SHEET, { name: `project ${n}`, priority: (n % 3) + 1 }, Date.now());
    for (let i = 0; i < TASKS / 8; i++)
      await store.addTask(SHEET, { projectId: project.id, description: `task ${i}`, origin: "sheet" }, Date.now());
  }
  store.close();

  const start = (script: string, args: string[]) => {
    const child = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    children.add(child);
    child.once("exit", () => children.delete(child));
    return child;
  };
  const gone = (child: ChildProcess) =>
    new Promise<void>((resolve) =>
      child.exitCode !== null || child.signalCode !== null ? resolve() : child.once("exit", () => resolve()),
    );
  let port = 0;
  async function startHub(): Promise<ChildProcess> {
    const hub = start(HUB, [database, String(port), String(LEASE_MS), String(WORKERS)]);
    const line = await new Promise<string>((resolve, reject) => {
      hub.stdout?.once("data", (data: Buffer) => resolve(data.toString()));
      hub.once("exit", () => reject(new Error("the hub did not start")));
    });
    port = (JSON.parse(line) as { port: number }).port;
    return hub;
  }
  let runs = 0;
  const startWorker = (n: number) =>
    start(WORKER, [`http://127.0.0.1:${port}/mcp`, token(n), join(dir, `worker-${n}-${runs++}.log`)]);

  let hub = await startHub();
  const workers = Array.from({ length: WORKERS }, (_, n) => startWorker(n));
  const watcher = new Database(database, { readonly: true });
  const open = watcher.prepare("SELECT count(*) FROM tasks WHERE state <> 'done'").pluck();
  let killed = 0;
  let hubKills = 0;
  const kill = async (n: number) => {
    const worker = workers[n];
    if (worker === undefined) return;
    worker.kill("SIGKILL");
    await gone(worker);
    killed++;
    workers[n] = startWorker(n);
  };
  const seed = Date.now() & 0x7fffffff;
  t.diagnostic(`seed ${seed}`);
  const random = mulberry(seed);
  const deadline = Date.now() + 600_000;
  // Kills are spread over the work: each comes at its share of finished tasks, at a random moment after it.
  const unfinished = () => Number(open.get()) > 0 || killed < SESSION_KILLS || hubKills < HUB_KILLS;
  while (unfinished()) {
    assert.ok(
      Date.now() < deadline,
      `not finished in time: ${String(open.get())} open, ${killed} sessions and ${hubKills} hubs killed`,
    );
    const done = (TASKS - Number(open.get())) / TASKS;
    if (hubKills < HUB_KILLS && done >= hubKills / HUB_KILLS) {
      await pause(random() * 60);
      hub.kill("SIGKILL");
      await gone(hub);
      hubKills++;
      hub = await startHub();
    } else if (killed < SESSION_KILLS && done >= killed / SESSION_KILLS) {
      await pause(random() * 30);
      await kill(Math.floor(random() * WORKERS));
    } else await pause(5);
  }
  for (const worker of workers) worker.kill("SIGKILL");
  hub.kill("SIGKILL");
  await Promise.all([...workers, hub].map(gone));

  const notes = readdirSync(dir)
    .filter((name) => name.endsWith(".log"))
    .flatMap((name) =>
      readFileSync(join(dir, name), "utf8")
        .split("\n")
        .filter((line) => line.endsWith("}"))
        .map((line) => ({ worker: Number(name.split("-")[1]), ...(JSON.parse(line) as Note) })),
    );
  const acknowledged = (kind: Note["kind"]) => notes.filter((note) => note.kind === kind);
  const ask = (query: string) => watcher.prepare(query).pluck().all();
  assert.deepEqual(watcher.pragma("integrity_check"), [{ integrity_check: "ok" }]);
  assert.equal(Number(open.get()), 0, "tasks were lost");
  // Every claim raises the fence, so a fence that was given twice is a task that was held twice.
  assert.deepEqual(
    ask(
      "SELECT task_id || ' ' || json_extract(data, '$.fence') FROM events WHERE kind = 'task_claimed' GROUP BY 1 HAVING count(*) > 1",
    ),
    [],
  );
  assert.deepEqual(
    ask("SELECT task_id FROM events WHERE kind = 'task_done' GROUP BY 1 HAVING count(*) > 1"),
    [],
    "done twice",
  );
  const holders = new Map<string, number>();
  for (const { task, fence, worker } of acknowledged("claimed")) {
    const key = `${task} ${fence}`;
    assert.equal(holders.get(key) ?? worker, worker, `${key} was held by two workers`);
    holders.set(key, worker);
  }
  assert.deepEqual(
    acknowledged("stale").filter((note) => note.accepted),
    [],
    "a stale write was accepted",
  );
  const claimed = new Set(
    ask(
      "SELECT 'T' || task_id || ' ' || json_extract(data, '$.fence') FROM events WHERE kind = 'task_claimed'",
    ) as string[],
  );
  for (const key of holders.keys()) assert.ok(claimed.has(key), `the answered claim ${key} is missing`);
  const completed = new Set(ask("SELECT 'T' || task_id FROM events WHERE kind = 'task_completed'") as string[]);
  for (const note of acknowledged("completed"))
    assert.ok(completed.has(note.task), `the answered completion of ${note.task} is missing`);
  const claims = claimed.size;
  watcher.close();
  assert.ok(claims >= TASKS && killed >= SESSION_KILLS && hubKills >= HUB_KILLS);
  t.diagnostic(
    `${claims} claims, ${killed} session kills, ${hubKills} hub kills, ${acknowledged("stale").length} stale writes refused, ${acknowledged("refused").length} late completions refused`,
  );
});

/** A small generator with a seed, so that a run can be told from its seed. */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
