import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { TOOLS } from "../../tools/index.ts";
import type { AnyTool } from "../../tools/tool.ts";
import { PERSON, withMcpHub, type McpHub } from "../helpers/mcp-hub.ts";

const SNAPSHOT = new URL("tools-list.json", import.meta.url);
const FOLDER = new URL("../../tools/", import.meta.url);
const MAX_LIST_BYTES = 24_000;
const ROLES = ["agent", "human", "admin"] as const;

async function listOf(hub: McpHub, token: string): Promise<string> {
  return JSON.stringify((await hub.rpc(token, "tools/list")).result?.["tools"]);
}

async function lists(hub: McpHub): Promise<Record<string, string>> {
  const entries = await Promise.all(
    ROLES.map(async (role) => [role, await listOf(hub, await hub.token({ role }))] as const),
  );
  return Object.fromEntries(entries);
}

test("tools/list is the committed one (UPDATE=1 writes it anew)", async () => {
  const now = await withMcpHub(lists);
  const readable = Object.fromEntries(ROLES.map((role) => [role, JSON.parse(now[role] ?? "") as unknown]));
  if (process.env["UPDATE"] === "1") writeFileSync(SNAPSHOT, `${JSON.stringify(readable, null, 2)}\n`);
  const committed = JSON.parse(readFileSync(SNAPSHOT, "utf8")) as unknown;
  assert.deepEqual(readable, committed);
  // The order of keys and tools counts too: clients cache what they are given.
  assert.equal(JSON.stringify(readable), JSON.stringify(committed));
});

test("law 12: tools/list stays under 24,000 bytes and 15 tools for agents", async () => {
  await withMcpHub(async (hub) => {
    for (const role of ROLES) {
      const answer = await hub.rpc(await hub.token({ role }), "tools/list");
      assert.ok(Buffer.byteLength(JSON.stringify(answer.result)) < MAX_LIST_BYTES, role);
      const tools = answer.result?.["tools"];
      assert.ok(Array.isArray(tools) && tools.length <= 15, role);
    }
  });
});

test("law 12: every tool file is in the list under its own name, with all four annotations", async () => {
  const found: string[] = [];
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith(".ts"))) {
    const exported = Object.values((await import(new URL(file, FOLDER).href)) as Record<string, unknown>);
    const tool = exported.find((each): each is AnyTool => typeof (each as AnyTool | null)?.handle === "function");
    if (tool === undefined) continue;
    assert.equal(file, `${tool.name.replaceAll("_", "-")}.ts`);
    assert.ok(TOOLS.includes(tool), `${file} is not in tools/index.ts`);
    found.push(tool.name);
    const hints = [
      tool.annotations.readOnlyHint,
      tool.annotations.destructiveHint,
      tool.annotations.idempotentHint,
      tool.annotations.openWorldHint,
    ];
    assert.ok(
      hints.every((hint) => typeof hint === "boolean"),
      tool.name,
    );
  }
  assert.deepEqual(found.toSorted(), TOOLS.map((tool) => tool.name).toSorted());
});

test("law 12: a description is short, says when to use the tool and what to call next", async () => {
  for (const tool of TOOLS) {
    assert.ok(tool.description.length <= 1_024, tool.name);
    assert.match(tool.description, /^Call this /, tool.name);
    const others = TOOLS.filter((other) => other !== tool).map((other) => other.name);
    assert.ok(
      others.some((name) => tool.description.includes(name)),
      `${tool.name} names no other tool`,
    );
  }
});

test("agents see the agents' tools only; the person sees all; nothing in production is a fixture", async () => {
  await withMcpHub(async (hub) => {
    const names = async (role: (typeof ROLES)[number]) =>
      (JSON.parse(await listOf(hub, await hub.token({ role }))) as { name: string }[]).map((tool) => tool.name);
    const agents = [
      "whats_next",
      "claim_next_task",
      "report_progress",
      "complete_task",
      "ask_human",
      "block_task",
      "write_continuation",
      "add_task",
      "get_result",
    ];
    assert.deepEqual(await names("agent"), agents);
    assert.deepEqual(await names("human"), [...agents, "set_priority", "control", "answer_question"]);
    assert.deepEqual(await names("admin"), await names("human"));
    assert.ok(TOOLS.every((tool) => !tool.name.startsWith("test_")));
  });
});

test("instructions are under 2 KB and begin with what triggers them", async () => {
  await withMcpHub(async (hub) => {
    const { result } = await hub.rpc(await hub.token(), "server/discover");
    const instructions = String(result?.["instructions"]);
    assert.ok(Buffer.byteLength(instructions) < 2_048);
    assert.match(instructions, /claim_next_task/);
  });
});

test("law 13: tools/list, prompts, resources and instructions are byte-identical whatever the database holds", async () => {
  await withMcpHub(
    async (hub) => {
      const token = await hub.token();
      const { token: agent } = await hub.session();
      const all = async () => {
        const methods = ["tools/list", "prompts/list", "resources/list", "resources/templates/list", "server/discover"];
        const answers = await Promise.all(
          [token, agent].flatMap((each) => methods.map((method) => hub.rpc(each, method))),
        );
        return JSON.stringify(answers.map((answer) => answer.result));
      };
      const empty = await all();
      const words = fc.string({ minLength: 1, maxLength: 60, unit: "grapheme" }).filter((text) => text.trim() !== "");
      await fc.assert(
        fc.asyncProperty(words, words, words, async (name, description, context) => {
          const project = await hub.store.addProject(PERSON, { name: `${name}${Math.random()}`, repo: description }, 1);
          await hub.store.addTask(PERSON, { projectId: project.id, description, origin: "sheet" }, 1);
          const continuation = {
            currentTask: name,
            progress: [],
            context,
            keyDecisions: [],
            blockers: [],
            nextAction: name,
            references: [],
          };
          await hub.store.writeContinuation(
            PERSON,
            { projectId: project.id, taskId: null, author: "agent", agent: name, continuation },
            1,
          );
          assert.equal(await all(), empty);
        }),
        { numRuns: 25 },
      );
    },
    { http: { rate: { burst: 100_000, perSecond: 1_000 } } },
  );
});

test("unknown and prototype names are refused as tools, prompts and arguments", async () => {
  await withMcpHub(async (hub) => {
    const token = await hub.token();
    for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty", "nothing", ""]) {
      const call = await hub.rpc(token, "tools/call", { name, arguments: {} });
      assert.equal(call.error?.code, -32_602, name);
      assert.doesNotMatch(call.error?.message ?? "", /disabled/);
      const prompt = await hub.rpc(token, "prompts/get", { name });
      assert.equal(prompt.error?.code, -32_602, name);
    }
    for (const key of ["__proto__", "\\u005f_proto__", "_\\u005Fpr\\u006fto__"]) {
      const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"claim_next_task","arguments":{"${key}":{"wait_s":1}}}}`;
      const headers = {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      };
      const answer = await fetch(`${hub.url}/mcp`, { method: "POST", headers, body });
      assert.equal(answer.status, 400, key);
    }
    for (const args of [
      '{"constructor":1}',
      '{"toString":"x"}',
      '{"wait_s":"1"}',
      '{"wait_s":46}',
      "[]",
      '{"wait":1}',
    ]) {
      const result = await hub.rpc(token, "tools/call", {
        name: "claim_next_task",
        arguments: JSON.parse(args) as unknown,
      });
      const refused = result.error?.code === -32_602 || (result.result as { isError?: boolean })?.isError === true;
      assert.ok(refused, args);
    }
    assert.equal(({} as Record<string, unknown>)["wait_s"], undefined);
  });
});

test("a misspelt argument is refused by name, before anything happens", async () => {
  await withMcpHub(async (hub) => {
    const project = await hub.project("Antenna");
    await hub.task(project, "Write the parser");
    const session = await hub.session(project);
    const { task, fence } = await hub.claimed(session);
    const wrong = await hub.call(session.token, "complete_task", { task, fence, summary: "done", sumary: "x" });
    assert.equal(wrong.isError, true);
    assert.equal(
      wrong.text,
      'complete_task cannot take these arguments. Unrecognized key: "sumary". Correct them and call it again.',
    );
    assert.equal((await hub.store.task(1))?.state, "running");
  });
});

test("an agent that calls a tool of the person's is told that there is none", async () => {
  await withMcpHub(async (hub) => {
    const { token } = await hub.session();
    for (const name of ["set_priority", "control", "answer_question"]) {
      const answer = await hub.rpc(token, "tools/call", { name, arguments: { action: "stop" } });
      assert.equal(answer.error?.code, -32_602);
    }
    assert.equal(hub.stop.current, undefined);
  });
});

test("a bug of ours reaches the model as a reference, the log as it is", async () => {
  const lines: unknown[] = [];
  const log = { debug() {}, info() {}, warn() {}, error: (line: unknown) => void lines.push(line) };
  await withMcpHub(
    async (hub) => {
      const { token } = await hub.session();
      hub.store.claim = () => Promise.reject(new Error("no such table: secrets at /home/somebody/cto.db"));
      const result = await hub.call(token, "claim_next_task");
      assert.equal(result.isError, true);
      assert.doesNotMatch(result.text, /secrets|somebody/);
      const reference = /reference ([\w-]+)/.exec(result.text)?.[1];
      assert.ok(reference);
      assert.match(JSON.stringify(lines), new RegExp(`${reference}.*no such table`));
    },
    { log },
  );
});
