import assert from "node:assert/strict";
import { test } from "node:test";
import { DAY, HOUR, MINUTE, SECOND } from "../../hub/base/clock.ts";
import { silentLog } from "../../hub/base/log.ts";
import { createLeases, LEASE_MS } from "../../hub/queue/leases.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";
import { PERSON } from "../helpers/mcp-hub.ts";
import { createStillClock } from "../helpers/still-clock.ts";
import { until } from "../helpers/until.ts";

async function attachedWithTask() {
  const clock = createStillClock();
  const store = openSqliteStore({ path: ":memory:" });
  const project = await store.addProject(PERSON, { name: "Antenna", repo: "/r" }, clock.now());
  const task = await store.addTask(
    PERSON,
    { projectId: project.id, description: "Work", origin: "sheet" },
    clock.now(),
  );
  const session = { id: "s-a", agent: "attached", projectId: null, kind: "attached" as const, machine: "native" };
  await store.openSession(session, clock.now());
  await store.claim("s-a", clock.now());
  const leases = createLeases(store, clock, silentLog);
  await leases.expire();
  return { clock, store, leases, taskId: task.id };
}

for (const [words, jump] of [
  ["an hour forward", HOUR],
  ["an hour back", -HOUR],
  ["a day forward", DAY],
  ["a day back", -DAY],
] as const) {
  test(`law 6: a wall clock that jumps ${words} neither loses nor doubles an attached session's task`, async () => {
    const { clock, store, leases, taskId } = await attachedWithTask();
    clock.jump(jump);
    assert.equal(await leases.expire(), 0);
    clock.pass(LEASE_MS - 1);
    clock.jump(jump);
    assert.equal(await leases.expire(), 0);
    const held = await store.task(taskId);
    assert.equal(held?.state, "running");
    assert.equal(held.sessionId, "s-a");
    const other = { id: "s-b", agent: "attached", projectId: null, kind: "attached" as const, machine: "native" };
    await store.openSession(other, clock.now());
    assert.equal(await store.claim("s-b", clock.now()), undefined);
  });
}

test("a lease that runs out ends the session and gives its task back without counting a failure", async () => {
  const { clock, store, leases, taskId } = await attachedWithTask();
  clock.pass(LEASE_MS + 1);
  assert.equal(await leases.expire(), 1);
  const task = await store.task(taskId);
  assert.equal(task?.state, "queued");
  assert.equal(task.failures, 0);
  assert.match(task.why, /has not called for 30 minutes/);
  assert.equal((await store.session("s-a"))?.state, "ended");
});

test("each call renews the lease to its full length", async () => {
  const { clock, store, leases, taskId } = await attachedWithTask();
  for (let round = 0; round < 5; round += 1) {
    clock.pass(LEASE_MS - MINUTE);
    leases.renew("s-a");
    assert.equal(await leases.expire(), 0);
  }
  assert.equal((await store.task(taskId))?.state, "running");
});

test("after a restart a lease starts at full length", async () => {
  const { clock, store, leases, taskId } = await attachedWithTask();
  clock.pass(LEASE_MS - SECOND);
  assert.equal(await leases.expire(), 0);
  const after = createLeases(store, clock, silentLog);
  await after.expire();
  clock.pass(LEASE_MS - SECOND);
  assert.equal(await after.expire(), 0);
  assert.equal((await store.task(taskId))?.state, "running");
  clock.pass(2 * SECOND);
  assert.equal(await after.expire(), 1);
});

test("sessions of ours are observed and have no lease", async () => {
  const { clock, store, leases } = await attachedWithTask();
  const ours = { id: "s-o", agent: "worker", projectId: null, kind: "supervised" as const, machine: "native" };
  await store.openSession(ours, clock.now());
  leases.renew("s-a");
  clock.pass(LEASE_MS - 1);
  leases.renew("s-a");
  clock.pass(LEASE_MS - 1);
  assert.equal(await leases.expire(), 0);
  assert.equal((await store.session("s-o"))?.state, "preparing");
});

test("the service expires on its own and stops when told", async () => {
  const { clock, store, leases } = await attachedWithTask();
  const running = leases.run();
  await until("the lease has run out", async () => {
    clock.pass(MINUTE);
    return (await store.session("s-a"))?.state === "ended";
  });
  await leases.stop();
  await running;
});
