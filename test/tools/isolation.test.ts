import assert from "node:assert/strict";
import { test } from "node:test";
import { TOOLS } from "../../tools/index.ts";
import { withMcpHub, type McpHub } from "../helpers/mcp-hub.ts";

/** Each tool that is about a task, with arguments that are good for its holder. Others have no task to take. */
const ABOUT_A_TASK: Record<string, (task: string, fence: number) => Record<string, unknown>> = {
  report_progress: (task, fence) => ({ task, fence, progress: "Half done" }),
  write_continuation: (task, fence) => ({
    task,
    fence,
    current_task: "x",
    progress: [],
    next_action: "y",
  }),
  add_task: (task, fence) => ({ task, fence, description: "More work" }),
  get_result: (task) => ({ task }),
  complete_task: (task, fence) => ({ task, fence, summary: "Done" }),
  ask_human: (task, fence) => ({ task, fence, question: "Which one?" }),
  block_task: (task, fence) => ({ task, fence, question: "Which one?" }),
};
const WITHOUT_A_TASK = ["whats_next", "claim_next_task"];
const OF_THE_PERSON = ["set_priority", "control", "answer_question"];

test("every tool is in this matrix", () => {
  const covered = [...Object.keys(ABOUT_A_TASK), ...WITHOUT_A_TASK, ...OF_THE_PERSON];
  assert.deepEqual(covered.toSorted(), TOOLS.map((tool) => tool.name).toSorted());
});

/** One session that holds a task; beside it another of the same project, one of another project, and one that has ended. */
async function sessions(hub: McpHub) {
  const project = await hub.project("Antenna");
  await hub.task(project, "Write the parser");
  const own = await hub.session(project);
  const { task, fence } = await hub.claimed(own);
  const other = await hub.session(project);
  const elsewhere = await hub.project("Butterfly");
  await hub.task(elsewhere, "Choose the colours");
  const foreign = await hub.session(elsewhere);
  await hub.claimed(foreign);
  const ended = await hub.session(project);
  await hub.store.endSession(ended.id, { outcome: "ended", exitCode: 0 }, hub.clock.now());
  const unbound = await hub.token({ role: "agent" });
  return { task, fence, project, own, other, foreign, ended, unbound };
}

const everything = async (hub: McpHub) =>
  JSON.stringify([
    await hub.store.tasks(),
    await hub.store.openQuestions(),
    await hub.store.latestContinuation(1),
    (await hub.store.eventsAfter(0, 10_000)).filter((event) => event.kind !== "session_started"),
  ]);

for (const [name, args] of Object.entries(ABOUT_A_TASK)) {
  test(`law 6: ${name} works for the task's own session, and for no other`, async () => {
    await withMcpHub(async (hub) => {
      const { task, fence, own, other, foreign, ended, unbound } = await sessions(hub);
      const before = await everything(hub);
      for (const [whose, token] of [
        ["another session", other.token],
        ["another project", foreign.token],
        ["an unbound agent", unbound],
      ] as const) {
        const result = await hub.call(token, name, args(task, fence));
        assert.equal(result.isError, true, whose);
        assert.doesNotMatch(result.text, /parser/, whose);
      }
      const params = { name, arguments: args(task, fence) };
      assert.equal((await hub.rpc(ended.token, "tools/call", params)).status, 401);
      assert.equal((await hub.rpc(undefined, "tools/call", params)).status, 401);
      assert.equal(await everything(hub), before);
      assert.equal((await hub.call(own.token, name, args(task, fence))).isError, false);
    });
  });

  // A result is read, not written: it takes no fence.
  if (name === "get_result") continue;
  test(`law 6: ${name} with an old fence is refused with words that tell it to stop or to claim again`, async () => {
    await withMcpHub(async (hub) => {
      const { task, fence, own } = await sessions(hub);
      const before = await everything(hub);
      for (const wrong of [fence - 1, fence + 1]) {
        const result = await hub.call(own.token, name, args(task, wrong));
        assert.equal(result.isError, true);
        assert.match(result.text, /stop|claim_next_task/i);
      }
      assert.equal(await everything(hub), before);
    });
  });
}

test("law 6: a task that was given to another is refused to the one that had it", async () => {
  await withMcpHub(async (hub) => {
    const { task, fence, own, other } = await sessions(hub);
    await hub.store.giveBack(1, fence, { why: "its session was gone", failure: false }, hub.clock.now());
    const next = await hub.claimed(other);
    assert.deepEqual([next.task, next.fence], [task, fence + 1]);
    for (const [name, args] of Object.entries(ABOUT_A_TASK)) {
      for (const tried of [fence, fence + 1]) {
        const result = await hub.call(own.token, name, args(task, tried));
        assert.equal(result.isError, true, name);
        assert.match(result.text, /stop/i, name);
      }
    }
    assert.equal((await hub.store.task(1))?.sessionId, other.id);
  });
});

test("an ended session and no token get nothing from the tools without a task either", async () => {
  await withMcpHub(async (hub) => {
    const { ended, foreign } = await sessions(hub);
    for (const name of [...WITHOUT_A_TASK, ...OF_THE_PERSON]) {
      for (const token of [ended.token, undefined])
        assert.equal((await hub.rpc(token, "tools/call", { name, arguments: {} })).status, 401, name);
    }
    assert.doesNotMatch((await hub.call(foreign.token, "whats_next")).text, /parser|Antenna/);
    assert.doesNotMatch((await hub.call(foreign.token, "claim_next_task")).text, /parser|Antenna/);
    for (const name of OF_THE_PERSON)
      assert.equal((await hub.rpc(foreign.token, "tools/call", { name, arguments: {} })).error?.code, -32_602, name);
  });
});

test("the hub's own words about a task do not tell whether another's exists", async () => {
  await withMcpHub(async (hub) => {
    const { task, foreign } = await sessions(hub);
    const words = async (name: string) =>
      (await hub.call(foreign.token, "get_result", { task: name })).text.replace(/T\d+/, "T");
    assert.equal(await words(task), await words("T999"));
  });
});
