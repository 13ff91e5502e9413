import assert from "node:assert/strict";
import { test } from "node:test";
import { SUPERVISOR } from "../../hub/base/session.ts";
import { createStillClock } from "../helpers/still-clock.ts";
import { withWorld, type World } from "./world.ts";

const ANT = { Project: "Antenna", Priority: "1" };

async function settle(world: World): Promise<void> {
  for (let n = 0; n < 5; n++) await world.sync.syncNow();
}

function line(world: World, tab: "Projects" | "Task Queue", column: string, text: string): Record<string, string> {
  const row = world.rows(tab).find((each) => each[column] === text);
  assert.ok(row, `${text} in\n${world.text(tab)}`);
  return row;
}

test("a new row's status word that nobody knows stays as typed, Why says the words, and nothing starts", () =>
  withWorld({ rows: { Projects: [ANT, { Project: "Bee", Priority: "2", Status: "Pausd" }] } }, async (world) => {
    world.saveRows("Task Queue", [
      { Project: "Ant", Description: "One", Status: "Qeued" },
      { Project: "Bee", Description: "Two" },
    ]);
    await settle(world);
    assert.deepEqual(
      (await world.store.projects()).map(({ name }) => name),
      ["Antenna"],
    );
    assert.equal((await world.store.tasks()).length, 0);
    const bee = line(world, "Projects", "Project", "Bee");
    assert.equal(bee["Status"], "Pausd");
    assert.match(bee["Why"] ?? "", /"Pausd" is no status: you can type Queued, Planning or Paused/);
    const one = line(world, "Task Queue", "Description", "One");
    assert.equal(one["Status"], "Qeued");
    assert.match(one["Why"] ?? "", /"Qeued" is no status: you can type Queued/);
    assert.match(
      line(world, "Task Queue", "Description", "Two")["Why"] ?? "",
      /its row in Projects is not taken up yet/,
    );
    world.edit("Projects", { Project: "Bee" }, { Status: "Paused" });
    world.edit("Task Queue", { Description: "One" }, { Status: "Queued" });
    await settle(world);
    assert.equal((await world.store.projects())[1]?.hold, "paused");
    assert.equal((await world.store.tasks()).length, 2);
    assert.equal(line(world, "Task Queue", "Description", "One")["Why"], "waits for its turn");
    for (const [tab, column] of [
      ["Projects", "Project"],
      ["Task Queue", "Description"],
    ] as const) {
      const text = column === "Project" ? "Antenna" : "One";
      world.edit(tab, { [column]: text }, { Status: "Sarted" });
      await settle(world);
      assert.match(line(world, tab, column, text)["Why"] ?? "", /put back: "Sarted" is no status/);
    }
  }));

test("a row in Projects without a name is told so; a note in a column of the person's own is not", () =>
  withWorld({ bare: true }, async (world) => {
    world.save("Projects", "Project,Priority,Mine\n,1,\n,,a note\n");
    await settle(world);
    const [first, second] = world.rows("Projects");
    assert.match(first?.["Why"] ?? "", /give it a Project name/);
    assert.equal(second?.["Why"] ?? "", "");
  }));

test("a priority that was never set is not said to count still", () =>
  withWorld({ rows: { Projects: [{ ...ANT, Priority: "high" }] } }, async (world) => {
    await settle(world);
    assert.match(line(world, "Projects", "Project", "Antenna")["Why"] ?? "", /Priority "high".*"3" is taken/);
  }));

test("every row of a circle says the circle, however they were pasted, and all go on when it is broken", () =>
  withWorld({ rows: { Projects: [ANT] } }, async (world) => {
    world.saveRows("Task Queue", [
      { "Task ID": "c1", Project: "Ant", Description: "One", "Depends On": "c2" },
      { "Task ID": "c2", Project: "Ant", Description: "Two", "Depends On": "c3" },
      { "Task ID": "c3", Project: "Ant", Description: "Three", "Depends On": "c1" },
    ]);
    await settle(world);
    for (const name of ["c1", "c2", "c3"]) {
      const row = line(world, "Task Queue", "Task ID", name);
      assert.match(row["Why"] ?? "", /goes round in a circle/, name);
      assert.equal(row["Status"], "Blocked", name);
    }
    world.edit("Task Queue", { "Task ID": "c2" }, { "Depends On": "" });
    await settle(world);
    assert.deepEqual(
      world.rows("Task Queue").map((each) => [each["Status"], each["Why"]]),
      [
        ["Waiting", "waits for T2"],
        ["Queued", "waits for its turn"],
        ["Waiting", "waits for T1"],
      ],
    );
  }));

test("tasks of a project whose row was taken out are shown as cancelled, and go on when it comes back", () =>
  withWorld(
    {
      rows: {
        Projects: [ANT, { Project: "Bee", Priority: "2" }, { Project: "Cat", Priority: "3" }],
        "Task Queue": [{ Project: "Bee", Description: "One" }],
      },
    },
    async (world) => {
      await settle(world);
      const bee = line(world, "Projects", "Project", "Bee");
      world.saveRows(
        "Projects",
        world.rows("Projects").filter((each) => each["Project"] !== "Bee"),
      );
      await settle(world);
      const row = line(world, "Task Queue", "Id", "T1");
      assert.equal(row["Status"], "Cancelled");
      assert.match(row["Why"] ?? "", /project's row was taken out/);
      world.edit("Task Queue", { Id: "T1" }, { Status: "Queued" });
      await settle(world);
      assert.equal(line(world, "Task Queue", "Id", "T1")["Status"], "Cancelled");
      world.saveRows("Projects", [...world.rows("Projects"), { Project: "Bee", Priority: bee["Priority"] ?? "" }]);
      await settle(world);
      const again = line(world, "Task Queue", "Id", "T1");
      assert.deepEqual([again["Status"], (await world.store.task(1))?.state], ["Queued", "queued"]);
    },
  ));

test("Depends On means the row where a name of the hub's form was typed, and Why says the new name for a day", () => {
  const clock = createStillClock();
  return withWorld({ rows: { Projects: [ANT] }, clock }, async (world) => {
    await settle(world);
    const by = { projectId: 1, origin: "tool" as const };
    await world.store.addTask(SUPERVISOR, { ...by, description: "The hub's T1" }, clock.now());
    await settle(world);
    const typed = [
      { "Task ID": "T3", Project: "Ant", Description: "Last", "Depends On": "T1, T2" },
      { "Task ID": "T1", Project: "Ant", Description: "First" },
      { "Task ID": "T2", Project: "Ant", Description: "Second", "Depends On": "T1" },
    ];
    world.saveRows("Task Queue", [...world.rows("Task Queue"), ...typed]);
    await settle(world);
    const shown = world.rows("Task Queue").map((each) => [each["Description"], each["Task ID"], each["Depends On"]]);
    assert.deepEqual(shown, [
      ["The hub's T1", "T1", ""],
      ["Last", "T2", "T3, T4"],
      ["First", "T3", ""],
      ["Second", "T4", "T3"],
    ]);
    assert.match(line(world, "Task Queue", "Id", "T4")["Why"] ?? "", /you typed T2 as Task ID.*waits for T3/);
    world.saveRows("Task Queue", [
      ...world.rows("Task Queue"),
      { Project: "Ant", Description: "Later", "Depends On": "T2" },
    ]);
    await settle(world);
    assert.equal(line(world, "Task Queue", "Description", "Later")["Depends On"], "T4");
    world.edit("Task Queue", { Id: "T3" }, { Priority: "2" });
    await settle(world);
    assert.doesNotMatch(line(world, "Task Queue", "Id", "T3")["Why"] ?? "", /you typed/);
    clock.pass(25 * 3_600_000);
    await settle(world);
    assert.doesNotMatch(line(world, "Task Queue", "Id", "T4")["Why"] ?? "", /you typed/);
  });
});
