import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { readProcess } from "../../supervisor/machines/run-folder.ts";
import { withHub, type HubProcess } from "../helpers/hub-process.ts";

const TASKS = Number(process.env["CTO_KILL_TASKS"] ?? 300);
const SESSION_KILLS = Number(process.env["CTO_SESSION_KILLS"] ?? 40);
const HUB_KILLS = Number(process.env["CTO_HUB_KILLS"] ?? 20);
const PROJECTS = 3;
const LIMIT_MS = 20 * 60_000;
const AGENT = fileURLToPath(new URL("../helpers/scripted-agent.ts", import.meta.url));
const run = promisify(execFile);

/**
 * The real product, killed over and over while tasks go the whole way: sheet, session in a
 * PID namespace, workspace, commit, check, integration.
 */
test(`law 7: restart-proof: ${TASKS} tasks go the whole way through ${SESSION_KILLS} killed sessions and ${HUB_KILLS} killed hubs`, async (t) => {
  const repos = await realpath(await mkdtemp(join(tmpdir(), "cto-repos-")));
  t.after(() => rm(repos, { recursive: true, force: true }));
  const projects: string[] = ["Project,Priority,Status,Repo,Check,Machine"];
  for (let n = 1; n <= PROJECTS; n++) {
    const repo = join(repos, `p${n}`);
    await mkdir(repo);
    await git(repo, "init", "-q", "-b", "main");
    await writeFile(join(repo, "README.md"), `p${n}\n`);
    await git(repo, "add", ".");
    await git(repo, "commit", "-q", "-m", "First");
    projects.push(`p${n},${n},Queued,${repo},"test -e README.md && ls work-*.txt",native`);
  }
  const tasks = ["Project,Description"];
  for (let n = 0; n < TASKS; n++) tasks.push(`p${(n % PROJECTS) + 1},do:work ${n}`);
  const config = {
    agents: { worker: { cli: "command", command: process.execPath, args: [AGENT], max_sessions: PROJECTS } },
    scheduler: { check_interval: 1, max_concurrent_tasks: PROJECTS },
  };

  await withHub(
    { config, sheet: { "Projects.csv": `${projects.join("\n")}\n`, "Task Queue.csv": `${tasks.join("\n")}\n` } },
    async (hub) => {
      const seed = Date.now() & 0x7fffffff;
      t.diagnostic(`seed ${seed}`);
      const watcher = new Database(hub.home.database, { readonly: true, timeout: 5_000 });
      t.after(() => watcher.close());
      const ask = <Row>(query: string): Row[] => watcher.prepare(query).pluck().all() as Row[];
      const started = Date.now();
      let sessionKills = 0;
      let hubKills = 0;
      let adopted = 0;
      for (;;) {
        const done = ask<number>("SELECT count(*) FROM tasks WHERE state = 'done'")[0] ?? 0;
        if (done === TASKS && sessionKills >= SESSION_KILLS && hubKills >= HUB_KILLS) break;
        assert.ok(
          Date.now() - started < LIMIT_MS,
          `not finished in time: ${done} done, ${JSON.stringify(ask("SELECT state || ': ' || why FROM tasks WHERE state NOT IN ('done', 'queued') LIMIT 10"))}`,
        );
        if (hubKills < HUB_KILLS && done / TASKS >= hubKills / HUB_KILLS) {
          await pause(Math.random() * 400);
          const living = await livingSessions(hub, ask);
          await hub.kill();
          hubKills++;
          await hub.start();
          const still = new Set(ask<string>("SELECT id FROM sessions WHERE state <> 'ended'"));
          adopted += living.filter((id) => still.has(id)).length;
        } else if (sessionKills < SESSION_KILLS && done / TASKS >= sessionKills / SESSION_KILLS) {
          await pause(Math.random() * 300);
          const [victim] = await livingSessions(hub, ask);
          if (victim === undefined) continue;
          const identity = await readProcess(join(hub.home.runs, victim));
          if (identity === undefined) continue;
          if (!killed(identity.pid)) continue;
          sessionKills++;
        } else await pause(20);
      }
      assert.equal((watcher.pragma("integrity_check") as { integrity_check: string }[])[0]?.integrity_check, "ok");
      assert.deepEqual(
        ask("SELECT task_id FROM events WHERE kind = 'task_done' GROUP BY 1 HAVING count(*) > 1"),
        [],
        "done twice",
      );
      assert.deepEqual(
        ask(
          "SELECT task_id || ' ' || json_extract(data, '$.fence') FROM events WHERE kind = 'task_claimed' GROUP BY 1 HAVING count(*) > 1",
        ),
        [],
        "held twice",
      );
      assert.ok(adopted > 0, "no session was adopted");
      // What the hub says is done is there: each task's file is on the integration branch, which each task's branch is part of.
      for (let n = 1; n <= PROJECTS; n++) {
        const mirror = join(hub.home.mirrors, `p${n}.git`);
        const files = new Set((await git(mirror, "ls-tree", "--name-only", "cto/integration")).split("\n"));
        for (const id of ask<number>(
          `SELECT t.id FROM tasks t JOIN projects p ON p.id = t.project_id WHERE p.slug = 'p${n}'`,
        )) {
          assert.ok(files.has(`work-T${id}.txt`), `T${id} is done and its work is not integrated`);
          await git(mirror, "merge-base", "--is-ancestor", `cto/T${id}`, "cto/integration");
        }
        await git(mirror, "fsck", "--connectivity-only");
      }
      const claims = ask<number>("SELECT count(*) FROM events WHERE kind = 'task_claimed'")[0];
      const sessions = ask<number>("SELECT count(*) FROM sessions")[0];
      t.diagnostic(
        `${claims} claims by ${sessions} sessions, ${sessionKills} session kills, ${hubKills} hub kills, ${adopted} sessions adopted, ${Math.round((Date.now() - started) / 1000)} s`,
      );
    },
  );
});

/** False when it had ended by itself meanwhile. */
function killed(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch {
    return false;
  }
}

async function livingSessions(hub: HubProcess, ask: <Row>(query: string) => Row[]): Promise<string[]> {
  const folders = new Set(await readdir(hub.home.runs));
  return ask<string>("SELECT id FROM sessions WHERE state = 'running' ORDER BY random()").filter((id) =>
    folders.has(id),
  );
}

async function git(folder: string, ...args: string[]): Promise<string> {
  return (
    await run("git", ["-C", folder, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", ...args])
  ).stdout.trim();
}
