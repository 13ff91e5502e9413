import assert from "node:assert/strict";
import { test } from "node:test";
import { startSmallHub, type SmallHub, type SmallHubOptions } from "../helpers/small-hub.ts";
import { until } from "../helpers/until.ts";
import { withWorld } from "./world.ts";

/**
 * Every call that changes something between a task's reservation and its end. `start` comes
 * twice: for the session and for its check, and so does `verify`, around the check.
 */
const CALLS: [call: string, nth: number][] = [
  ["openSession", 1],
  ["reserve", 1],
  ["refresh", 1],
  ["open", 1],
  ["put", 1],
  ["claim", 1],
  ["recordWorkspace", 1],
  ["start", 1],
  ["sessionRuns", 1],
  ["collect", 1],
  ["bringUpToDate", 1],
  ["recordCommit", 1],
  ["verify", 1],
  ["start", 2],
  ["verify", 2],
  ["addArtefact", 1],
  ["recordCheck", 1],
  ["integrate", 1],
  ["finish", 1],
  ["endSession", 1],
];

/**
 * A hub that dies at one place: the `nth` call of a name takes effect, but nothing ever hears
 * of it, nor of any call after it. That is what a process sees that is killed there.
 */
function cutAfter(call: string, nth: number): { options: SmallHubOptions; reached: () => boolean } {
  let left = nth;
  let dead = false;
  const never = new Promise<never>(() => undefined);
  const cut = <Part extends object>(part: Part): Part =>
    new Proxy(part, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function" || name === "onEvents") return value;
        const work = value as (...args: unknown[]) => unknown;
        return (...args: unknown[]) => {
          // What answers at once decides nothing.
          if (dead) return name === "workspacePath" || name === "repositoryUrl" ? work.apply(target, args) : never;
          const result = work.apply(target, args);
          if (name !== call || --left > 0) return result;
          return Promise.resolve(result).then(() => {
            dead = true;
            return never;
          });
        };
      },
    });
  return {
    options: { store: cut, workspaces: cut, machines: (machine) => new Map([["native", cut(machine)]]) },
    reached: () => dead,
  };
}

test("law 7: restart-proof: a hub that is cut off after any call on the way of a task leads it to the same end", async () => {
  await withWorld({}, async (world) => {
    const project = await world.project("cut");
    const root = world.hub.home.root;
    await world.hub.stop();
    for (const [call, nth] of CALLS) {
      const where = `cut off after ${call} ${nth}`;
      const { options, reached } = cutAfter(call, nth);
      const first = await startSmallHub(root, options);
      const by = { role: "human", name: "sheet", sessionId: null, projectId: null } as const;
      const input = { projectId: project, description: where, origin: "sheet" as const };
      const { id } = await first.store.addTask(by, input, Date.now());
      await until(`${where}: it is reached`, reached, 20_000);
      await first.abandon();
      const second = await startSmallHub(root);
      try {
        await reachesTheSameEnd(second, id, where);
        await world.mirror("cut", "cat-file", "-e", `cto/integration:work-T${id}.txt`);
      } finally {
        await second.stop();
      }
    }
    // The world ends a hub of its own.
    await world.begin();
  });
});

async function reachesTheSameEnd({ store, machine }: SmallHub, id: number, where: string): Promise<void> {
  const task = await until(
    `${where}: it is done`,
    async () => {
      const now = await store.task(id);
      assert.ok(
        now !== undefined && now.state !== "blocked" && now.state !== "waiting",
        `${where}: ${now?.state}: ${now?.why}`,
      );
      return now.state === "done" ? now : undefined;
    },
    30_000,
  );
  assert.deepEqual([task.checked, task.failures, task.rounds], ["passed", 0, 0], where);
  await until(`${where}: no session is left`, async () => (await store.liveSessions()).length === 0, 20_000);
  const events = await store.recentEvents({ taskId: id, limit: 100 });
  assert.equal(events.filter(({ kind }) => kind === "task_done").length, 1, `${where}: done once`);
  const fences = events.filter(({ kind }) => kind === "task_claimed").map(({ data }) => data["fence"]);
  // Claimed but not started is given back and claimed anew; what was started is adopted.
  const expected = where.includes("claim") || where.includes("recordWorkspace") ? [2, 1] : [1];
  assert.deepEqual(fences, expected, `${where}: each claim has its own fence`);
  const checks = (await machine.list()).filter((run) => run.startsWith(`c-t${id}-`));
  assert.equal(checks.length, 1, `${where}: the check ran once`);
}
