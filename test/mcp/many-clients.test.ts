import assert from "node:assert/strict";
import { test } from "node:test";
import { withMcpHub } from "../helpers/mcp-hub.ts";

const CLIENTS = 200;
const CALLS = 100;
/** Every client numbers its requests in the same way, and some use the ids of real ones. */
const IDS = [0, 1, "listen:0", "server-discover-probe-1"];

test(`${CLIENTS} clients that use the same JSON-RPC ids: ${CLIENTS * CALLS} calls, each answer to the one that asked`, async () => {
  await withMcpHub(
    async (hub) => {
      const project = await hub.project("Antenna");
      const clients = [];
      for (let n = 0; n < CLIENTS; n += 1) {
        const own = await hub.project(`Project ${n}`);
        await hub.task(own, `canary-${n}-end`);
        const session = await hub.session(own);
        const { task } = await hub.claimed(session);
        clients.push({ n, task, token: session.token });
      }
      assert.ok(project > 0);
      let calls = 0;
      let wrong = 0;
      async function run(client: { n: number; task: string; token: string }): Promise<void> {
        for (let call = 0; call < CALLS; call += 1) {
          const id = IDS[call % IDS.length];
          const [name, args] = call % 2 === 0 ? ["get_result", { task: client.task }] : ["whats_next", {}];
          const answer = await hub.rpc(client.token, "tools/call", { name, arguments: args }, id);
          const text = JSON.stringify(answer.result ?? answer.error);
          const own = name === "get_result" ? `"task":"${client.task}"` : `canary-${client.n}-end`;
          const others = text.match(/canary-\d+-end/g) ?? [];
          const good =
            answer.id === id && text.includes(own) && others.every((word) => word === `canary-${client.n}-end`);
          calls += 1;
          if (!good) wrong += 1;
        }
      }
      await Promise.all(clients.map(run));
      assert.equal(calls, CLIENTS * CALLS);
      assert.equal(wrong, 0);
    },
    { http: { rate: { burst: 1_000, perSecond: 1_000 } } },
  );
});
