import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { DAY } from "../../hub/base/clock.ts";
import { silentLog } from "../../hub/base/log.ts";
import { until } from "../helpers/until.ts";
import { sweep } from "../../supervisor/retention.ts";
import { createWorkspaces } from "../../supervisor/workspaces/create-workspaces.ts";
import { movableClock, withWorld } from "./world.ts";

const KEEP = { keepWorkspacesMs: 7 * DAY, keepRunsMs: 14 * DAY, keepRuns: 200 };

test("law 14: workspaces of finished tasks and run folders go by age and number; what is in use stays", async () => {
  await withWorld({}, async (world) => {
    const project = await world.project("swept");
    const done = await world.task(project, "Anything");
    const workspace = (await world.reaches(done, "done")).workspace ?? "";
    await until("its session has ended", async () => (await world.store.liveSessions()).length === 0);
    const working = await world.task(project, "do:sleep");
    const session = (await world.reaches(working, "running")).sessionId ?? "";
    const { store, machine, home } = world.hub;
    await until("its run is there", async () => (await machine.observe(session)).state === "running");

    const clock = movableClock();
    const parts = {
      store,
      clock,
      log: silentLog,
      machines: new Map([["native", machine]]),
      workspaces: createWorkspaces(home),
    };
    assert.equal((await machine.list()).length, 3, "two sessions and a check");
    await sweep(parts, KEEP);
    assert.equal((await machine.list()).length, 3);
    assert.ok(existsSync(workspace));

    clock.pass(8 * DAY);
    await sweep(parts, KEEP);
    assert.ok(!existsSync(workspace), "a week after it was done");
    assert.equal((await machine.list()).length, 3);
    assert.equal(await world.mirror("swept", "show", `cto/T${done}:work-T${done}.txt`), `T${done}`, "its commits stay");

    await sweep(parts, { ...KEEP, keepRuns: 1 });
    assert.equal((await machine.list()).length, 2, "one that has ended, besides the one that runs");
    clock.pass(7 * DAY);
    await sweep(parts, KEEP);
    assert.deepEqual(await machine.list(), [session]);
    assert.equal((await machine.observe(session)).state, "running");
    assert.ok(existsSync((await store.task(working))?.workspace ?? ""));
  });
});
