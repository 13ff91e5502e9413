import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { startServer, type Child } from "../lib/child.ts";
import { openConnection, type Connection } from "../lib/connection.ts";
import { digits, figure, median, type Figure, type Scenario, type Settings } from "../lib/figure.ts";
import { copyOf, fixture } from "../lib/fixture.ts";
import { check, dataOf, listenCall, sessionCall, sessionStream, toolCall } from "../lib/requests.ts";
import { emptyHome, startBareNode, startHub, type Started } from "../lib/whole-hub.ts";

const SESSIONS = 500;
/** Opened and closed before, so that what is made once (compiled code, mostly) does not count. */
const WARM = 100;
const ROUNDS = 3;
const MIB = 1_024 * 1_024;
/** A hub is idle once it has used less than 5 % of a processor for this long. */
const QUIET_MS = 2_000;
const LONGEST_WAIT_MS = 60_000;

/** What the idle hub holds of memory with a long queue, and what one more connected session adds. */
export const memory: Scenario = {
  name: "memory",
  async run(settings) {
    return [...(await idle(settings)), await perSession(settings)];
  },
};

async function idle({ folder, skip }: Settings): Promise<Figure[]> {
  if (process.platform !== "linux") {
    skip("idle memory", "memory of another process is read from /proc, which is Linux only");
    return [];
  }
  const home = await emptyHome(join(folder, "idle-home"));
  await copyFile(await fixture(folder, 100_000), home.database);
  const sizes: [number, number][] = [];
  const walls: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const hub = await startHub(home);
    const node = await startBareNode();
    walls.push(hub.wallMs);
    try {
      await quiet(hub);
      sizes.push([await hub.rss(), await node.rss()]);
    } finally {
      await Promise.all([hub.stop(), node.stop()]);
    }
  }
  return [
    figure({
      name: "idle memory (RSS) with 100,000 tasks, against bare node",
      unit: "x",
      goal: { is: "at most", value: 2.5 },
      gate: true,
      rounds: sizes.map(([hub, node]) => hub / node),
      note: `${digits(median(sizes.map(([hub]) => hub)) / MIB)} and ${digits(median(sizes.map(([, node]) => node)) / MIB)} MiB; such a start took ${walls.map((ms) => digits(ms)).join(", ")} ms`,
    }),
  ];
}

async function quiet(hub: Started): Promise<void> {
  const until = performance.now() + LONGEST_WAIT_MS;
  for (let before = await hub.ticks(); performance.now() < until;) {
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const now = await hub.ticks();
    // A tick is 10 ms.
    if ((now - before) * 10 < QUIET_MS * 0.05) return;
    before = now;
  }
  throw new Error("the hub did not come to rest");
}

/** Heap of the server for one session with a token that has called and holds a stream open. */
async function perSession({ folder }: Settings): Promise<Figure> {
  const database = await copyOf(await fixture(folder, 100_000), "memory");
  const hub: number[] = [];
  const sdk: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const servers = await Promise.all([startServer("hub", { database }), startServer("sdk1")]);
    try {
      hub.push(await growth(servers[0], await attachedSessions(servers[0])));
      sdk.push(await growth(servers[1], sdkSession(servers[1])));
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  }
  const KIB = 1_024;
  return figure({
    name: "heap of a connected session with an open stream",
    unit: "KiB",
    goal: { is: "at most", value: 16 },
    gate: true,
    rounds: hub.map((bytes) => bytes / KIB),
    note: `SDK v1 keeps ${digits(median(sdk) / KIB)} KiB (rounds ${sdk.map((bytes) => digits(bytes / KIB)).join(", ")})`,
  });
}

type Session = (nth: number) => Promise<Connection[]>;

/** Bytes of heap for one session. */
async function growth(server: Child, session: Session): Promise<number> {
  const warm = await many(session, 0, WARM);
  for (const connection of warm) connection.close();
  const before = await server.heap();
  const open = await many(session, WARM, SESSIONS);
  const after = await server.heap();
  for (const connection of open) connection.close();
  return (after - before) / SESSIONS;
}

async function many(session: Session, from: number, count: number): Promise<Connection[]> {
  const open: Connection[] = [];
  for (let nth = from; nth < from + count; nth += 1) open.push(...(await session(nth)));
  return open;
}

async function attachedSessions(server: Child): Promise<Session> {
  const tokens = await server.ask<string[]>({ is: "people", count: WARM + SESSIONS });
  return async (nth) => {
    const to = { port: server.port, token: tokens[nth] ?? "" };
    const connection = await openConnection(server.port);
    dataOf(await connection.send(toolCall(to, "claim_next_task", {})));
    if ((await connection.hold(listenCall(to))) !== 200) throw new Error("the stream was refused");
    return [connection];
  };
}

function sdkSession(server: Child): Session {
  const { port } = server;
  return async () => {
    const connection = await openConnection(port);
    const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "bench", version: "1.0.0" } };
    const first = await connection.send(sessionCall(port, undefined, "initialize", params, 1));
    check(first);
    const id = /\r\nmcp-session-id: *(\S+)/i.exec(first.head)?.[1] ?? "";
    await connection.send(sessionCall(port, id, "notifications/initialized", {}));
    check(await connection.send(sessionCall(port, id, "tools/call", { name: "claim_next_task", arguments: {} }, 2)));
    if ((await connection.hold(sessionStream(port, id))) !== 200) throw new Error("the stream was refused");
    return [connection];
  };
}
