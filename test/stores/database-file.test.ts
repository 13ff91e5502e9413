import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
  closeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import Database from "better-sqlite3";
import { ConfigurationError, ProviderError } from "../../hub/base/errors.ts";
import { sha256 } from "../../hub/base/ids.ts";
import { SHEET } from "../../hub/base/session.ts";
import { getTableColumns } from "../../hub/stores/drizzle.ts";
import { openDatabase, readMigrations } from "../../hub/stores/open.ts";
import * as schema from "../../hub/stores/schema.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";

const NOW = Date.UTC(2026, 10, 22, 12);

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "cto-db-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function filled(path: string, tasks = 20): Promise<void> {
  const store = openSqliteStore({ path });
  const project = await store.addProject(SHEET, { name: "Antenna" }, NOW);
  for (let n = 0; n < tasks; n++)
    await store.addTask(SHEET, { projectId: project.id, description: `task ${n}`, origin: "sheet" }, NOW);
  store.close();
}

const everyFile = (dir: string) =>
  readdirSync(dir)
    .toSorted()
    .map((name) => `${name} ${sha256(readFileSync(join(dir, name)))}`);

function refuses(path: string, words: RegExp): void {
  const before = everyFile(join(path, ".."));
  assert.throws(
    () => openSqliteStore({ path }),
    (error) => {
      assert.ok(error instanceof ConfigurationError, String(error));
      assert.match(error.message, words);
      assert.ok(!error.message.includes("\n"), "one line");
      return true;
    },
  );
  assert.deepEqual(everyFile(join(path, "..")), before, "the file was touched");
}

test("a file of another program is refused and left alone", (t) => {
  const path = join(folder(t), "cto.db");
  const db = new Database(path);
  db.exec("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
  db.close();
  refuses(path, /belongs to another program/);
});

test("a file that is no database is refused and left alone", (t) => {
  const path = join(folder(t), "cto.db");
  writeFileSync(path, "Dear diary, this is not a database at all.");
  refuses(path, /is not a database of CTO Sidekick/);
});

test("a file of a newer version is refused and left alone", async (t) => {
  const path = join(folder(t), "cto.db");
  await filled(path);
  const db = new Database(path);
  db.pragma("user_version = 99");
  db.pragma("wal_checkpoint(TRUNCATE)");
  db.close();
  refuses(path, /newer CTO Sidekick \(schema 99/);
});

test("a damaged file is refused and left alone", async (t) => {
  const path = join(folder(t), "cto.db");
  await filled(path, 500);
  const size = statSync(path).size;
  const fd = openSync(path, "r+");
  for (let at = 4096; at + 4096 < size; at += 8192) writeSync(fd, Buffer.alloc(2048, 0xa5), 0, 2048, at + 512);
  closeSync(fd);
  refuses(path, /is damaged/);
});

test(
  "a file that may not be read is refused in one line",
  { skip: process.getuid?.() === 0 ? "root reads everything" : false },
  async (t) => {
    const path = join(folder(t), "cto.db");
    await filled(path);
    chmodSync(path, 0o000);
    assert.throws(() => openSqliteStore({ path }), /cannot be (written|read)/);
  },
);

test("a folder that is not there is refused in one line", (t) => {
  assert.throws(() => openSqliteStore({ path: join(folder(t), "no", "such", "cto.db") }), /cannot be written/);
});

test("the migrations make what the schema says", (t) => {
  const db = openDatabase(join(folder(t), "cto.db"));
  t.after(() => db.close());
  for (const table of Object.values(schema)) {
    const name = (table as unknown as Record<symbol, string>)[Symbol.for("drizzle:Name")] ?? "";
    const there = db.prepare(`SELECT name, "notnull" AS required FROM pragma_table_info(?)`).all(name) as {
      name: string;
      required: number;
    }[];
    for (const column of Object.values(getTableColumns(table))) {
      const found = there.find((one) => one.name === column.name);
      assert.ok(found, `${name}.${column.name} is not in the migrations`);
      if (!column.primary) assert.equal(found.required === 1, column.notNull, `${name}.${column.name}: not null`);
    }
  }
});

test("a migration is preceded by a backup, and one that is cut off leaves the old schema or the new", async (t) => {
  const dir = folder(t);
  const path = join(dir, "cto.db");
  await filled(path);
  const next = {
    version: 2,
    name: "0002-next.sql",
    sql: "CREATE TABLE more (x INTEGER) STRICT; ALTER TABLE tasks ADD COLUMN colour TEXT; INSERT INTO more SELECT id FROM tasks;",
  };
  const broken = { ...next, sql: `${next.sql} INSERT INTO nowhere VALUES (1);` };
  assert.throws(() =>
    openDatabase(path, { migrations: [...readMigrations(), broken], backups: join(dir, "backups"), now: NOW }),
  );
  const db = openDatabase(path);
  assert.equal(db.pragma("user_version", { simple: true }), 1);
  assert.equal(db.prepare("SELECT count(*) FROM sqlite_master WHERE name = 'more'").pluck().get(), 0);
  db.close();
  openDatabase(path, { migrations: [...readMigrations(), next], backups: join(dir, "backups"), now: NOW + 1 }).close();
  const backups = readdirSync(join(dir, "backups"));
  assert.equal(backups.length, 2);
  const copy = new Database(join(dir, "backups", backups[0] ?? ""), { readonly: true });
  assert.equal(copy.prepare("SELECT count(*) FROM tasks").pluck().get(), 20);
  assert.equal(copy.pragma("user_version", { simple: true }), 1);
  copy.close();
});

test(
  "a full disk refuses the write in words, keeps what was answered, and goes on when there is space",
  { skip: cannotMount() },
  async (t) => {
    const dir = smallFileSystem(t, "2m");
    const path = join(dir, "cto.db");
    const store = openSqliteStore({ path });
    const project = await store.addProject(SHEET, { name: "Antenna" }, NOW);
    let answered = 0;
    await assert.rejects(
      (async () => {
        for (let n = 0; n < 10_000; n++) {
          await store.addTask(
            SHEET,
            { projectId: project.id, description: `task ${n} ${"x".repeat(2_000)}`, origin: "sheet" },
            NOW,
          );
          answered++;
        }
      })(),
      (error) => error instanceof ProviderError && /disk is full/.test(error.message),
    );
    assert.ok(answered > 10);
    assert.equal((await store.tasks()).length, answered);
    execFileSync("mount", ["-o", "remount,size=8m", dir]);
    await store.addTask(SHEET, { projectId: project.id, description: "after", origin: "sheet" }, NOW);
    store.close();
    const again = openSqliteStore({ path });
    assert.equal((await again.tasks()).length, answered + 1);
    again.close();
  },
);

test("a file system that became read-only is told in words and loses nothing", { skip: cannotMount() }, async (t) => {
  const dir = smallFileSystem(t, "8m");
  const path = join(dir, "cto.db");
  await filled(path);
  execFileSync("mount", ["-o", "remount,ro", dir]);
  assert.throws(
    () => openSqliteStore({ path }),
    (error) => error instanceof ConfigurationError && /cannot be written/.test(error.message),
  );
  execFileSync("mount", ["-o", "remount,rw", dir]);
  const again = openSqliteStore({ path });
  assert.equal((await again.tasks()).length, 20);
  again.close();
});

/** A file system of its own size, taken away when the test ends. */
function smallFileSystem(t: TestContext, size: string): string {
  const dir = mkdtempSync(join(tmpdir(), "cto-disk-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", dir]);
  t.after(() => {
    execFileSync("umount", ["-l", dir]);
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}

/** Whether this user may mount a small file system for a test; the reason if not. */
function cannotMount(): string | false {
  if (process.getuid?.() !== 0) return "mounting a small file system needs root";
  const dir = mkdtempSync(join(tmpdir(), "cto-mount-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", dir], { stdio: "ignore" });
    execFileSync("umount", [dir]);
    return false;
  } catch {
    return "this machine does not let a test mount a file system";
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/**
 * Power loss: the log may end anywhere. The write-ahead log of real work is cut at every
 * frame and around it; each image must open, pass SQLite's own check, and hold a prefix of
 * what was answered: never half of a call.
 */
test("law 7: restart-proof: at least 1,000 images of a cut write-ahead log are each a prefix of what was answered", async (t) => {
  const dir = folder(t);
  const path = join(dir, "cto.db");
  const store = openSqliteStore({ path });
  await store.setAgents([{ name: "sample", model: "" }], NOW);
  const sizes: { wal: number; seq: number; tasks: number }[] = [];
  const mark = async () =>
    sizes.push({ wal: statSync(`${path}-wal`).size, seq: await store.lastSeq(), tasks: (await store.tasks()).length });
  const project = await store.addProject(SHEET, { name: "Antenna" }, NOW);
  await mark();
  for (let n = 0; n < 60; n++) {
    const task = await store.addTask(SHEET, { projectId: project.id, description: `task ${n}`, origin: "sheet" }, NOW);
    await mark();
    const id = `s-${n}`;
    await store.openSession({ id, agent: "sample", projectId: null, kind: "supervised", machine: "native" }, NOW);
    await mark();
    const claim = await store.claim(id, NOW);
    await mark();
    assert.equal(claim?.task.id, task.id);
    const by = { role: "agent", name: `session:${id}`, sessionId: id, projectId: null } as const;
    await store.complete(by, task.id, 1, { summary: "s", nextAction: "", output: null }, NOW);
    await mark();
    await store.finish(task.id, 1, { integratedCommit: "c", checked: "passed", review: null }, NOW);
    await mark();
  }
  const images = join(dir, "images");
  mkdirSync(images);
  copyFileSync(path, join(images, "base.db"));
  const wal = readFileSync(`${path}-wal`);
  const main = readFileSync(path);
  store.close();
  const frame = 24 + 4096;
  const cuts = new Set<number>();
  for (let at = 32; at <= wal.length; at += frame)
    for (const near of [-1, 0, 1, 24, 2048]) cuts.add(Math.min(wal.length, Math.max(0, at + near)));
  // Every cut of the first calls, then every eleventh: enough of each kind of place.
  const chosen = [...cuts].filter((_, n) => n < 300 || n % 11 === 0);
  assert.ok(chosen.length >= 1_000, `${chosen.length} cuts`);
  let opened = 0;
  for (const cut of chosen) {
    const image = join(images, "cto.db");
    writeFileSync(image, main);
    // Every other image has the lost end as zeros, as some file systems leave it.
    writeFileSync(
      `${image}-wal`,
      cut % 2 === 0
        ? wal.subarray(0, cut)
        : Buffer.concat([wal.subarray(0, cut), Buffer.alloc(Math.min(8192, wal.length - cut))]),
    );
    const db = new Database(image);
    assert.equal(db.pragma("integrity_check", { simple: true }), "ok", `cut at ${cut}`);
    assert.deepEqual(db.pragma("foreign_key_check"), []);
    if (db.pragma("user_version", { simple: true }) === 1) {
      const seq = db.prepare("SELECT coalesce(max(seq), 0) FROM events").pluck().get() as number;
      const tasks = db.prepare("SELECT count(*) FROM tasks").pluck().get() as number;
      const reached = sizes.filter((one) => one.wal <= cut).at(-1);
      assert.ok(seq >= (reached?.seq ?? 0), `cut at ${cut}: an answered call is missing`);
      const state = sizes.find((one) => one.seq === seq);
      if (state !== undefined) assert.equal(tasks, state.tasks, `cut at ${cut}: half of a call`);
      const holds =
        "SELECT count(*) FROM tasks t WHERE t.state = 'running' AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.id = t.session_id AND s.task_id = t.id)";
      assert.equal(db.prepare(holds).pluck().get(), 0, `cut at ${cut}: a claim without its session`);
      opened++;
    }
    db.close();
    for (const end of ["", "-wal", "-shm"]) rmSync(`${image}${end}`, { force: true });
  }
  t.diagnostic(`${chosen.length} images, ${opened} of them with the schema`);
  assert.ok(existsSync(path));
});

test("a hub that is killed in the middle of its first start leaves a home that starts", async (t) => {
  const dir = folder(t);
  const path = join(dir, "cto.db");
  const code = `import { openSqliteStore } from ${JSON.stringify(new URL("../../hub/stores/sqlite.ts", import.meta.url).href)}; openSqliteStore({ path: process.argv[1] }); process.stdout.write("open"); setInterval(() => {}, 1000);`;
  for (let n = 0; n < 12; n++) {
    const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", code, path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise<void>((resolve) => {
      // The later rounds let it get further; the last ones until it is open.
      const timer = setTimeout(() => child.kill("SIGKILL"), 60 + n * 25);
      child.once("exit", () => {
        clearTimeout(timer);
        resolve();
      });
    });
    if (existsSync(path)) openSqliteStore({ path }).close();
  }
  await filled(path);
});
