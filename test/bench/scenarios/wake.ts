import { startServer, type Child } from "../lib/child.ts";
import { openConnection, type Connection } from "../lib/connection.ts";
import { digits, figure, median, quantile, type Figure, type Scenario } from "../lib/figure.ts";
import { copyOf, fixture, PROJECTS } from "../lib/fixture.ts";
import { check, dataOf, HELLO, toolCall } from "../lib/requests.ts";

const WAITERS = 500;
const ROUNDS = 5;
/** Tasks added in a round, one after the other. */
const TASKS = 20;
const WAIT_S = 45;

/** From the call that adds a task to the answer of the session that waits for one: alone, and among 500 that wait. */
export const wake: Scenario = {
  name: "wake",
  async run({ folder, tell }) {
    const database = await copyOf(await fixture(folder, 100_000), "wake");
    const servers = await Promise.all([startServer("hub", { database }), startServer("hello")]);
    try {
      const [few, many, hello]: number[][][] = [[], [], []];
      const waiters = await createWaiters(servers[0], ROUNDS * TASKS + WAITERS);
      const helloConnection = await openConnection(servers[1].port);
      for (let round = 0; round < ROUNDS; round += 1) {
        hello?.push(await times(() => timed(async () => check(await helloConnection.send(HELLO)))));
        few?.push(await times(() => waiters.alone()));
      }
      await waiters.gather(WAITERS);
      for (let round = 0; round < ROUNDS; round += 1) many?.push(await times(() => waiters.among()));
      await waiters.close();
      helloConnection.close();
      return figures(few ?? [], many ?? [], hello ?? [], tell);
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  },
};

async function times(work: () => Promise<number>): Promise<number[]> {
  const taken: number[] = [];
  for (let nth = 0; nth < TASKS; nth += 1) taken.push(await work());
  return taken;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

interface Waiter {
  connection: Connection;
  project: string;
  answer: Promise<number>;
}

/** Sessions of ours, each of a project of its own that has no task yet. */
async function createWaiters(server: Child, count: number) {
  const [person] = await server.ask<string[]>({ is: "people", count: 1 });
  const tokens = await server.ask<string[]>({ is: "sessions", count: Math.min(count, 900), project: PROJECTS + 1 });
  const adder = await openConnection(server.port);
  const waiting: Waiter[] = [];
  let used = 0;

  async function waiter(): Promise<Waiter> {
    const to = { port: server.port, token: tokens[used] ?? "" };
    const project = `Project ${PROJECTS + 1 + used}`;
    used += 1;
    const connection = await openConnection(server.port);
    const answer = connection.send(toolCall(to, "claim_next_task", { wait_s: WAIT_S })).then((received) => {
      const at = performance.now();
      if (dataOf(received)["status"] === "nothing") throw new Error("the wait ended without a task");
      return at;
    });
    answer.catch(() => undefined);
    return { connection, project, answer };
  }

  /** Adds a task to the waiter's project: ms from sending that to the waiter's answer. */
  async function serve({ connection, project, answer }: Waiter): Promise<number> {
    const from = performance.now();
    const to = { port: server.port, token: person ?? "" };
    const added = adder.send(toolCall(to, "add_task", { project, description: `Mend the import of ${project}.` }));
    const at = await answer;
    check(await added);
    connection.close();
    return at - from;
  }

  return {
    async alone() {
      const one = await waiter();
      await settled();
      return serve(one);
    },
    async gather(size: number) {
      while (waiting.length < size) waiting.push(await waiter());
      await settled();
    },
    /** One of those who wait longest is served, and another takes its place. */
    async among() {
      const [one] = waiting.splice(0, 1);
      if (one === undefined) throw new Error("nobody waits");
      const taken = await serve(one);
      waiting.push(await waiter());
      await settled();
      return taken;
    },
    async close() {
      for (const { connection } of waiting) connection.close();
      adder.close();
    },
  };

  /** Until the server has nothing left to do: its answer to a plain question comes after what it was at. */
  async function settled(): Promise<void> {
    for (let quick = 0; quick < 3;) quick = (await timed(() => server.cpu())) < 2 ? quick + 1 : 0;
  }
}

function figures(few: number[][], many: number[][], hello: number[][], tell: (line: string) => void): Figure[] {
  const words = (rounds: number[][]) =>
    `p50 ${digits(quantile(rounds.flat(), 0.5))} p99 ${digits(quantile(rounds.flat(), 0.99))} ms`;
  tell(`  alone ${words(few)}; among ${WAITERS} ${words(many)}; hello ${words(hello)}`);
  return [
    figure({
      name: "task added to the waiting claim's answer, p50, against hello",
      unit: "x",
      goal: { is: "at most", value: 5 },
      gate: false,
      rounds: few.map((round, nth) => median(round) / median(hello[nth] ?? [])),
      note: `one session waits; ${words(few)}, hello ${words(hello)}`,
    }),
    {
      name: `task added to the waiting claim's answer, ${WAITERS} wait, p99`,
      unit: "ms",
      goal: { is: "at most", value: 20 },
      gate: false,
      rounds: many.map((round) => quantile(round, 0.99)),
      value: quantile(many.flat(), 0.99),
      note: `the value is that of all rounds together; ${words(many)}`,
    },
  ];
}
