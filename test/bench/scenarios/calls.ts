import { startServer, type Child } from "../lib/child.ts";
import { openConnection, type Connection } from "../lib/connection.ts";
import { digits, figure, median, rotated, type Scenario } from "../lib/figure.ts";
import { copyOf, fixture } from "../lib/fixture.ts";
import { check, dataOf, HELLO, toolCall } from "../lib/requests.ts";

const ROUNDS = 11;
const CONNECTIONS = 16;
const CALLS_EACH = 40;
/** Rounds that do not count: both sides have much code to compile first. */
const WARM = 3;

interface Side {
  server: Child;
  callers: Caller[];
}

interface Caller {
  connection: Connection;
  /** The `nth` request of this caller. */
  request(nth: number): Buffer;
}

/** Processor time of the server for one tool call, 16 at a time: against the SDK's own server with the same tools. */
export const calls: Scenario = {
  name: "calls",
  async run({ folder, tell }) {
    const database = await copyOf(await fixture(folder, 100_000), "calls");
    const servers = await Promise.all([startServer("hub", { database }), startServer("sdk2"), startServer("hello")]);
    try {
      const sides = new Map([
        ["hub", await hubSide(servers[0])],
        ["sdk2", await sdkSide(servers[1])],
        ["hello", await helloSide(servers[2])],
      ]);
      const cpu = new Map<string, number[]>([...sides.keys()].map((name) => [name, []]));
      for (let at = 0; at < WARM + ROUNDS; at += 1) {
        for (const [name, side] of rotated([...sides], at)) {
          const each = await round(side, at);
          if (at >= WARM) cpu.get(name)?.push(each);
        }
      }
      for (const { callers } of sides.values()) for (const { connection } of callers) connection.close();
      const of = (name: string) => cpu.get(name) ?? [];
      const words = ["hub", "sdk2", "hello"].map((name) => `${name} ${digits(median(of(name)))}`).join(", ");
      tell(`  CPU µs a call: ${words}`);
      const [hub, sdk, hello] = [of("hub"), of("sdk2"), of("hello")];
      return [
        figure({
          name: "server CPU of a tool call, 16 at a time, against the SDK's own server",
          unit: "x",
          goal: { is: "at most", value: 1.2 },
          gate: true,
          rounds: hub.map((each, nth) => each / (sdk[nth] ?? 0)),
          note: `CPU µs: ${words}; ${digits(median(hub) / median(hello))}x of hello`,
        }),
      ];
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  },
};

/** Each caller holds a task: claims again (the same answer) and reports progress (a write) in turn. */
async function hubSide(server: Child): Promise<Side> {
  const tokens = await server.ask<string[]>({ is: "sessions", count: CONNECTIONS, project: null });
  const callers = await Promise.all(
    tokens.map(async (token) => {
      const connection = await openConnection(server.port);
      const to = { port: server.port, token };
      const claim = toolCall(to, "claim_next_task", {});
      const { task, fence } = dataOf(await connection.send(claim));
      const report = (nth: number) =>
        toolCall(to, "report_progress", { task, fence, progress: `Step ${nth} is done; the next one is begun.` });
      return { connection, request: (nth: number) => (nth % 2 === 0 ? claim : report(nth)) };
    }),
  );
  return { server, callers };
}

/** The same bytes, answered by handlers that do nothing. */
async function sdkSide(server: Child): Promise<Side> {
  const to = { port: server.port, token: "none" };
  const callers = Array.from({ length: CONNECTIONS }, async () => {
    const claim = toolCall(to, "claim_next_task", {});
    const report = (nth: number) =>
      toolCall(to, "report_progress", {
        task: "T1",
        fence: 1,
        progress: `Step ${nth} is done; the next one is begun.`,
      });
    return {
      connection: await openConnection(server.port),
      request: (nth: number) => (nth % 2 === 0 ? claim : report(nth)),
    };
  });
  return { server, callers: await Promise.all(callers) };
}

async function helloSide(server: Child): Promise<Side> {
  const callers = Array.from({ length: CONNECTIONS }, async () => ({
    connection: await openConnection(server.port),
    request: () => HELLO,
  }));
  return { server, callers: await Promise.all(callers) };
}

/** µs of the server's processor time for one call of this round. */
async function round({ server, callers }: Side, at: number): Promise<number> {
  const before = await server.cpu();
  await Promise.all(
    callers.map(async ({ connection, request }) => {
      for (let nth = 0; nth < CALLS_EACH; nth += 1) check(await connection.send(request(at * CALLS_EACH + nth)));
    }),
  );
  return ((await server.cpu()) - before) / (CONNECTIONS * CALLS_EACH);
}
