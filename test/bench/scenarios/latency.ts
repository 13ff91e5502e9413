import { startServer, type Child } from "../lib/child.ts";
import { openConnection } from "../lib/connection.ts";
import { digits, quantile, rotated, type Figure, type Scenario } from "../lib/figure.ts";
import { copyOf, fixture } from "../lib/fixture.ts";
import { openLoop } from "../lib/open-loop.ts";
import { check, dataOf, HELLO, toolCall } from "../lib/requests.ts";

const SESSIONS = 50;
const PER_SECOND = 2;
const ROUNDS = 5;
/** Of each side: 15 s in all. */
const ROUND_MS = 3_000;

type Call = (sender: number) => Promise<void>;

/** How long a tool call takes while 50 sessions make two calls a second each: each second call is a fresh claim. */
export const latency: Scenario = {
  name: "latency",
  async run({ folder, tell }) {
    const database = await copyOf(await fixture(folder, 100_000), "latency");
    const servers = await Promise.all([startServer("hub", { database }), startServer("hello")]);
    try {
      const sides = new Map<string, Call>([
        ["hub", await hubCalls(servers[0])],
        ["hello", await helloCalls(servers[1])],
      ]);
      const taken = new Map<string, number[][]>([...sides.keys()].map((name) => [name, []]));
      for (let round = 0; round < ROUNDS; round += 1)
        for (const [name, call] of rotated([...sides], round))
          taken.get(name)?.push(await openLoop({ senders: SESSIONS, perSecond: PER_SECOND, ms: ROUND_MS, call }));
      for (const [name, rounds] of taken) {
        const all = rounds.flat();
        const at = (q: number) => digits(quantile(all, q));
        tell(`  ${name}: ${all.length} calls, p50 ${at(0.5)} p90 ${at(0.9)} p99 ${at(0.99)} max ${at(1)} ms`);
      }
      return [p99(taken.get("hub") ?? [], taken.get("hello") ?? [])];
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  },
};

function p99(hub: number[][], hello: number[][]): Figure {
  const of = (rounds: number[][]) => quantile(rounds.flat(), 0.99);
  return {
    name: "tool call with a claim, 50 sessions x 2 calls a second, p99",
    unit: "ms",
    goal: { is: "at most", value: 50 },
    gate: false,
    rounds: hub.map((round) => quantile(round, 0.99)),
    value: of(hub),
    note: `the value is that of all rounds together; hello p99 ${digits(of(hello))} ms, rounds ${hello.map((round) => digits(quantile(round, 0.99))).join(", ")}`,
  };
}

/** A session claims a task, and completes it with its next call. */
async function hubCalls(server: Child): Promise<Call> {
  const tokens = await server.ask<string[]>({ is: "sessions", count: SESSIONS, project: null });
  const sessions = await Promise.all(
    tokens.map(async (token) => {
      const to = { port: server.port, token };
      return {
        to,
        connection: await openConnection(server.port),
        held: undefined as Record<string, unknown> | undefined,
      };
    }),
  );
  return async (sender) => {
    const session = sessions[sender];
    if (session === undefined) return;
    const { to, connection, held } = session;
    if (held === undefined) {
      session.held = dataOf(await connection.send(toolCall(to, "claim_next_task", {})));
      if (session.held["status"] !== "task") throw new Error(`the claim gave ${JSON.stringify(session.held)}`);
      return;
    }
    const { task, fence } = held;
    const done = { task, fence, summary: "The import names the line and why it could not be read." };
    check(await connection.send(toolCall(to, "complete_task", done)));
    session.held = undefined;
  };
}

async function helloCalls(server: Child): Promise<Call> {
  const connections = await Promise.all(Array.from({ length: SESSIONS }, () => openConnection(server.port)));
  return async (sender) => {
    const connection = connections[sender];
    if (connection !== undefined) check(await connection.send(HELLO));
  };
}
