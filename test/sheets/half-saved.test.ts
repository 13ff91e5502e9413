import assert from "node:assert/strict";
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { test } from "node:test";
import { createStillClock } from "../helpers/still-clock.ts";
import { withWorld, type World } from "./world.ts";

const PROJECTS = ["Ant", "Bee", "Cat", "Dog"].map((name, at) => ({
  Project: name,
  Priority: `${at + 1}`,
  Repo: `https://git.example/${name}`,
  Path: `sub/${name}`,
  Check: `make ${name}`,
}));

async function settle(world: World): Promise<void> {
  for (let n = 0; n < 4; n++) await world.sync.syncNow();
}

/** A world of four projects, with the limits that a person's hub has, on a clock that the test moves. */
async function withProjects(use: (world: World, pass: (ms: number) => Promise<void>) => Promise<void>): Promise<void> {
  const clock = createStillClock();
  await withWorld({ rows: { Projects: PROJECTS }, clock, csv: { partMs: 3_000, emptyMs: 10_000 } }, async (world) => {
    await settle(world);
    await use(world, async (ms) => {
      clock.pass(ms);
      await settle(world);
    });
  });
}

const names = async (world: World) => (await world.store.projects()).map(({ name, check }) => [name, check]);

test("law 8: a save that opens the file and takes its time is neither written over nor lost", () =>
  withProjects(async (world, pass) => {
    const typed = world.text("Projects").replace("make Ant", "make all");
    const before = await names(world);
    const fd = openSync(world.path("Projects"), "w");
    await settle(world);
    await pass(9_000);
    assert.equal(world.text("Projects"), "");
    assert.match(world.sync.state().words, /Projects\.csv is empty, as if it were being saved/);
    assert.equal(world.sync.state().ok, false);
    await pass(60_000);
    assert.equal(world.text("Projects"), "", "as long as somebody has it open");
    assert.deepEqual(await names(world), before);
    writeSync(fd, typed);
    closeSync(fd);
    await settle(world);
    assert.deepEqual((await names(world))[0], ["Ant", "make all"]);
    assert.equal(world.rows("Projects").length, 4);
    assert.equal(world.sync.state().ok, true);
  }));

test("law 8: of a file that is written in two goes no half is believed", () =>
  withProjects(async (world, pass) => {
    const typed = world.text("Projects").replace("make Ant", "make all");
    const before = await names(world);
    for (const share of [0.3, 0.5, 0.7, 0.9, 0.99]) {
      const cut = Math.floor(typed.length * share);
      writeFileSync(world.path("Projects"), typed.slice(0, cut));
      await settle(world);
      await pass(2_900);
      assert.equal(world.text("Projects"), typed.slice(0, cut), `${share}`);
      assert.deepEqual(await names(world), before, `${share}`);
    }
    // A cut at a line's end looks like rows taken out.
    writeFileSync(world.path("Projects"), typed.split("\n").slice(0, 3).join("\n") + "\n");
    await settle(world);
    await pass(2_900);
    assert.deepEqual(await names(world), before);
    writeFileSync(world.path("Projects"), typed);
    await settle(world);
    assert.deepEqual((await names(world))[0], ["Ant", "make all"]);
    assert.equal(world.rows("Projects").length, 4);
  }));

test("a whole save is taken at once, and rows that are really taken out some seconds later", () =>
  withProjects(async (world, pass) => {
    world.saveRows("Projects", [...world.rows("Projects"), { Project: "Eel", Priority: "5" }]);
    await settle(world);
    assert.equal((await names(world)).length, 5);
    world.saveRows("Projects", world.rows("Projects").slice(1));
    await settle(world);
    assert.equal((await names(world)).length, 5);
    await pass(3_000);
    assert.deepEqual((await names(world)).length, 4);
  }));

test("law 8: an emptied or removed file gets its rows back when it has stayed so, and text that comes late is merged", () =>
  withProjects(async (world, pass) => {
    const typed = world.text("Projects").replace("make Ant", "make all");
    writeFileSync(world.path("Projects"), "");
    await settle(world);
    await pass(10_000);
    assert.equal(world.rows("Projects").length, 4);
    rmSync(world.path("Projects"));
    await settle(world);
    await pass(9_000);
    assert.match(world.sync.state().words, /is empty/);
    await pass(1_000);
    assert.equal(world.rows("Projects").length, 4);
    // An editor that opened the emptied file without writing, and writes when the hub has put the rows back.
    writeFileSync(world.path("Projects"), "");
    await settle(world);
    const fd = openSync(world.path("Projects"), "r");
    await pass(10_000);
    assert.equal(world.rows("Projects").length, 4);
    await pass(300_000);
    // The same inode under its new name.
    const late = openSync(`/proc/self/fd/${fd}`, "w");
    closeSync(fd);
    writeSync(late, typed);
    closeSync(late);
    await pass(1_000);
    await pass(1_000);
    assert.deepEqual((await names(world))[0], ["Ant", "make all"]);
    assert.equal((await names(world)).length, 4);
  }));

test("law 10: a Stop is not held up by what its file looks like", () =>
  withProjects(async (world) => {
    writeFileSync(world.path("Control"), "Stop\nyes");
    await settle(world);
    assert.equal(world.stops.length, 1);
  }));
