import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { fingerprint, projectOf, taskOf, withWorld } from "./fixture.ts";
import type { World } from "./fixture.ts";

const KILLS = 100;
const FILES = 15;
const CHILD = fileURLToPath(new URL("steps-child.ts", import.meta.url));

interface Run {
  /** Null when it was killed. */
  code: number | null;
  stderr: string;
}

/** Runs the steps of a task in a process of their own, killed after `killAfterMs` unless that is undefined. */
async function runSteps(world: World, repo: string, task: number, killAfterMs?: number, whole = false): Promise<Run> {
  const child = spawn(process.execPath, [CHILD, world.home.root, repo, String(task), String(FILES)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const exited = once(child, "exit");
  if (killAfterMs !== undefined && child.pid !== undefined) {
    await Promise.race([sleep(killAfterMs), exited]);
    for (const pid of whole ? treeOf(child.pid) : [child.pid]) kill(pid);
  }
  const [code] = (await exited) as [number | null];
  return { code, stderr };
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** A process and all its descendants, the process first. */
function treeOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc").filter((each) => /^\d+$/.test(each))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // It ended while we looked.
    }
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

test(`law 7: restart-proof: ${KILLS} kills in the middle of steps, and every task ends as if there was none`, () =>
  withWorld(async (world) => {
    const repo = await world.repository();
    const before = await fingerprint(repo);
    const project = projectOf(repo);
    const mirror = world.mirror(project);
    let kills = 0;
    let task = 0;
    let lastHead = await world.git(repo, "rev-parse", "HEAD");
    while (kills < KILLS) {
      task += 1;
      // Several kills a task, so that a repeat is killed as well.
      for (let i = 0; i < 5; i++) {
        const { code } = await runSteps(world, repo, task, 150 + Math.random() * 900, Math.random() < 0.5);
        if (code === null) kills += 1;
      }
      let last: Run = { code: null, stderr: "" };
      // What a killed run left working may be in the way once; it must not be for long.
      for (let i = 0; i < 3 && last.code !== 0; i++) last = await runSteps(world, repo, task);
      assert.equal(last.code, 0, last.stderr);

      const expected = Array.from({ length: task }, (_, t) =>
        Array.from({ length: FILES }, (_, i) => `t${t + 1}/f${i}.txt`),
      ).flat();
      const listed = (await world.git(mirror, "ls-tree", "-r", "--name-only", "cto/integration")).split("\n");
      assert.deepEqual(listed, ["a.txt", ...expected].toSorted());
      for (let i = 0; i < FILES; i += 7) {
        const text = await world.git(mirror, "show", `cto/integration:t${task}/f${i}.txt`);
        assert.equal(text, `${task} ${i}\n`.repeat(500).trim());
      }
      // Half of a merge that was cut off must not pass for the task's own work.
      const head = await world.git(mirror, "rev-parse", `cto/T${task}`);
      const own = await world.git(mirror, "log", "--no-merges", "--name-only", "--format=", `${lastHead}..${head}`);
      const names = new Set(own.split("\n").filter((name) => name !== ""));
      assert.deepEqual(
        [...names].filter((name) => !name.startsWith(`t${task}/`)),
        [],
      );
      lastHead = head;
    }
    for (let id = 1; id <= task + 1; id++) await world.workspaces.discard(world.place, project, taskOf(id));
    assert.deepEqual(await readdir(join(world.home.workspaces, "app")), [], "nothing half-made is left");
    assert.deepEqual(await readdir(world.home.mirrors), ["app.git"]);
    const refs = await world.git(mirror, "for-each-ref", "--format=%(refname)", "refs/cto/sync");
    assert.equal(refs, "");
    await world.git(mirror, "fsck", "--strict", "--no-dangling");
    assert.equal(await fingerprint(repo), before, "the person's repository is as it was");
  }));
