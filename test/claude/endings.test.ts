import assert from "node:assert/strict";
import { test } from "node:test";
import { DAY, HOUR, MINUTE } from "../../hub/base/clock.ts";
import { SHEET } from "../../hub/base/session.ts";
import type { Task } from "../../hub/base/task.ts";
import type { Machine } from "../../supervisor/machines/machine.ts";
import { needsClaudeCode } from "../helpers/claude-code.ts";
import { REFUSALS, type Model, type ModelReply } from "../helpers/messages-api.ts";
import { until } from "../helpers/until.ts";
import { movableClock } from "../supervisor/world.ts";
import { claims, completes, inOrder, withClaude, writes, type ClaudeWorld } from "./world.ts";

const skip = await needsClaudeCode();

const works = inOrder(claims, (request) => writes(request, "work.txt", "done\n"), completes);

/** Works, but answers `refusal` at turn `at` as long as it is set. */
function refusing(at: number, refusal: () => ModelReply | undefined): Model {
  return (request) => (request.turn >= at ? refusal() : undefined) ?? works(request);
}

async function waits(world: ClaudeWorld, task: number, reason: Task["waitReason"]): Promise<Task> {
  const waiting = await world.reaches(task, "waiting", 60_000);
  assert.equal(waiting.waitReason, reason, waiting.why);
  assert.equal(waiting.failures, 0, "it is no failure");
  return waiting;
}

test(
  "law 1: a usage limit is not a failure: the task waits for the reported reset and nothing else starts on that account",
  { skip },
  async () => {
    const clock = movableClock();
    const resetsAt = Math.ceil(Date.now() / 1_000) * 1_000 + HOUR;
    let limited = true;
    await withClaude(
      refusing(2, () => (limited ? REFUSALS.limit(resetsAt) : undefined)),
      { hub: { clock } },
      async (world) => {
        const project = await world.project("alpha");
        const task = await world.task(project, "do it");
        const waiting = await waits(world, task, "window");
        assert.match(waiting.why, /five-hour window to renew \(as the client reported it\)/);
        const after = (waiting.waitUntil ?? 0) - resetsAt;
        assert.ok(after >= MINUTE && after <= 2 * MINUTE, `${after} ms after the reset`);
        assert.equal((await world.store.checks(task)).length, 0, "nothing was checked because of it");
        const other = await world.task(await world.project("beta"), "do it too");
        await until("it says why it waits", async () =>
          /five-hour window/.test((await world.store.task(other))?.why ?? ""),
        );
        assert.equal((await world.store.recentSessions(10)).length, 1);

        // law 2: truthful resume: it goes on by itself after the reported reset, with what was there.
        limited = false;
        clock.pass(after + HOUR);
        world.hub.supervisor.wake();
        await world.reaches(task, "done", 60_000);
        await world.reaches(other, "done", 60_000);
        assert.match(await world.mirror("alpha", "show", "--stat", "cto/T1"), /work\.txt/);
      },
    );
  },
);

for (const [name, reset] of [
  ["missing", () => undefined],
  ["long past", () => Date.now() - 3 * HOUR],
  ["wrong", () => Date.now() + 400 * DAY],
] as const) {
  test(`law 1: a limit whose reset is ${name} is tried again within minutes, and says so`, { skip }, async () => {
    await withClaude(
      refusing(0, () => REFUSALS.limit(reset(), "seven_day")),
      {},
      async (world) => {
        const waiting = await waits(world, await world.task(await world.project("alpha"), "do it"), "window");
        assert.match(waiting.why, /weekly window to renew \(no usable reset time/);
        const inMs = (waiting.waitUntil ?? 0) - Date.now();
        assert.ok(inMs > 10 * MINUTE && inMs <= 15 * MINUTE, `in ${inMs} ms`);
      },
    );
  });
}

for (const [name, options, refusal, words] of [
  ["a credential that has expired", {}, REFUSALS.unauthorized, /claude setup-token/],
  ["a client that is not logged in", { credential: "none" }, undefined, /claude setup-token/],
  ["an account without credit", {}, REFUSALS.billing, /Add credit/],
  ["a model that there is not", {}, REFUSALS.model, /model in config\.yaml/],
] as const) {
  test(
    `${name} is tried once, says what to do, and holds up the agent until the person has acted`,
    { skip },
    async () => {
      let refused = true;
      await withClaude(
        refusing(0, () => (refused ? refusal : undefined)),
        options,
        async (world) => {
          const task = await world.task(await world.project("alpha"), "do it");
          const blocked = await world.reaches(task, "blocked", 60_000);
          assert.equal(blocked.failures, 0);
          const questions = await world.store.openQuestions();
          assert.equal(questions.length, 1);
          assert.match(questions[0]?.text ?? "", words);
          const other = await world.task(await world.project("beta"), "do it too");
          await until("the other says why it waits", async () =>
            /claude cannot work/.test((await world.store.task(other))?.why ?? ""),
          );
          assert.equal((await world.store.recentSessions(10)).length, 1, "nothing is started in vain");
          // The hub is restarted meanwhile, and still knows.
          await world.restart();
          await until("it still waits", async () =>
            /claude cannot work/.test((await world.store.task(other))?.why ?? ""),
          );
          if (refusal === undefined) return;
          refused = false;
          await world.store.reopenTask(SHEET, task, "logged in", Date.now());
          await world.reaches(task, "done", 60_000);
          await world.reaches(other, "done", 60_000);
        },
      );
    },
  );
}

test("an overloaded service is no failure: the task waits a little longer each time", { skip }, async () => {
  const clock = movableClock();
  await withClaude(
    refusing(0, () => REFUSALS.overloaded),
    { hub: { clock } },
    async (world) => {
      const task = await world.task(await world.project("alpha"), "do it");
      const first = await waits(world, task, "backoff");
      assert.match(first.why, /claude cannot reach its model: .*529/);
      clock.pass(MINUTE + 1_000);
      world.hub.supervisor.wake();
      await world.reaches(task, "running");
      const second = await waits(world, task, "backoff");
      const grown = (second.waitUntil ?? 0) - clock.now();
      assert.ok(grown > MINUTE && grown <= 2 * MINUTE, `${grown} ms`);
    },
  );
});

test("a hub that is not reached at the start is the machine's trouble, not the task's", { skip }, async () => {
  let broken = true;
  // The first session is given an address where nobody listens.
  const breaking = (machine: Machine): Map<string, Machine> => {
    const put: Machine["put"] = (name, path, data, mode) =>
      machine.put(name, path, broken ? String(data).replace(/127\.0\.0\.1:\d+\/mcp/, "127.0.0.1:9/mcp") : data, mode);
    return new Map([["native", { ...machine, put }]]);
  };
  const clock = movableClock();
  await withClaude(
    (request) => (broken ? { say: "There are no tools." } : works(request)),
    { hub: { clock, machines: breaking } },
    async (world) => {
      const task = await world.task(await world.project("alpha"), "do it");
      const waiting = await waits(world, task, "machine");
      assert.match(waiting.why, /without a connection to the hub/);
      broken = false;
      clock.pass(MINUTE);
      world.hub.supervisor.wake();
      await world.reaches(task, "done", 60_000);
    },
  );
});
