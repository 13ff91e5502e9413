import assert from "node:assert/strict";
import Database from "better-sqlite3";
import { openSqliteStore } from "../../../hub/stores/sqlite.ts";
import type { Store } from "../../../hub/stores/store.ts";
import { digits, figure, median, quantile, rotated, type Figure, type Scenario, type Settings } from "../lib/figure.ts";
import { AGENT, assertReadyRows, copyOf, fixture } from "../lib/fixture.ts";
import { openRawClaim, type RawClaim } from "../lib/raw-claim.ts";

const ROUNDS = 15;
/** Claims of one side in one round; each by a session of its own, each in a lane of its own. */
const CLAIMS = 100;

interface Side {
  /** Claims for every session, one after the other, and answers what each took. */
  claimAll(now: number): Promise<Taken>;
  /** Gives all back and moves the log: not measured. */
  reset(): Promise<void>;
  close(): void;
}

interface Taken {
  /** µs of processor time for one claim. */
  cpu: number;
  /** µs of wall time of each claim. */
  walls: number[];
}

/** The in-process claim: against a raw loop that writes the same, and against itself at a short queue. */
export const claim: Scenario = {
  name: "claim",
  async run(settings) {
    await assertReadyRows(settings.folder, 1_000);
    const sizes = settings.full ? [1_000, 10_000, 100_000, 1_000_000] : [1_000, 10_000, 100_000];
    if (!settings.full) settings.skip("claim at 1,000,000 tasks", "its database takes a while to fill: --full");
    const sides = new Map<string, Side>();
    for (const size of sizes) for (const [name, side] of await sidesOf(settings, size)) sides.set(name, side);
    try {
      return figures(sizes, await measure(sides, settings));
    } finally {
      for (const side of sides.values()) side.close();
    }
  },
};

async function sidesOf({ folder }: Settings, size: number): Promise<[string, Side][]> {
  const base = await fixture(folder, size);
  const [ours, raw] = [await copyOf(base, "store"), await copyOf(base, "raw")];
  await proveSame(ours, raw);
  return [
    [`store ${size}`, storeSide(openSqliteStore({ path: ours }))],
    [`raw ${size}`, rawSide(openRawClaim(raw))],
  ];
}

const sessions = Array.from({ length: CLAIMS }, (_, at) => `s-${at.toString(16).padStart(12, "0")}`);

/** Opens the sessions in both files, lets each side claim ten tasks, and compares every row that a claim writes. */
async function proveSame(ours: string, raw: string): Promise<void> {
  const now = Date.now();
  for (const path of [ours, raw]) {
    const store = openSqliteStore({ path });
    for (const id of sessions)
      await store.openSession({ id, agent: AGENT, projectId: null, kind: "supervised", machine: "native" }, now);
    if (path === ours) for (const id of sessions.slice(0, 10)) await store.claim(id, now);
    store.close();
  }
  const loop = openRawClaim(raw);
  for (const id of sessions.slice(0, 10)) loop.claim(id, AGENT, now);
  loop.close();
  assert.deepEqual(written(raw), written(ours), "the raw loop does not write what a claim writes");
}

function written(path: string): unknown[] {
  const db = new Database(path);
  const tables = [
    "tasks WHERE id IN (SELECT task_id FROM sessions)",
    "ready WHERE task_id IN (SELECT task_id FROM events)",
    "lane_heads",
    "lanes",
    "sessions",
    "projects WHERE agent <> ''",
    "events",
  ];
  const rows = tables.map((table) => db.prepare(`SELECT * FROM ${table} ORDER BY 1, 2`).all());
  assert.equal(rows[0]?.length, 10);
  db.close();
  return rows;
}

function storeSide(store: Store): Side {
  const held = async () =>
    (await store.tasks({ states: ["running"], limit: 500 })).map(({ id, fence }) => ({ id, fence }));
  return {
    async claimAll(now) {
      const walls: number[] = [];
      const cpu = process.cpuUsage();
      for (const session of sessions) {
        const from = process.hrtime.bigint();
        const result = await store.claim(session, now);
        walls.push(Number(process.hrtime.bigint() - from) / 1_000);
        if (result?.fresh !== true) throw new Error("a claim took nothing");
      }
      return { cpu: cpuSince(cpu) / CLAIMS, walls };
    },
    async reset() {
      const now = Date.now();
      for (const task of await held()) await store.giveBack(task.id, task.fence, { why: "", failure: false }, now);
      await store.checkpoint();
    },
    close: () => store.close(),
  };
}

function rawSide(loop: RawClaim): Side {
  return {
    async claimAll(now) {
      const walls: number[] = [];
      const cpu = process.cpuUsage();
      for (const session of sessions) {
        const from = process.hrtime.bigint();
        // Awaited as the store's answer is: what a promise costs is not the store's doing.
        const taken = await Promise.resolve(loop.claim(session, AGENT, now));
        walls.push(Number(process.hrtime.bigint() - from) / 1_000);
        if (taken === undefined) throw new Error("a claim took nothing");
      }
      return { cpu: cpuSince(cpu) / CLAIMS, walls };
    },
    async reset() {
      loop.giveAllBack();
      loop.checkpoint();
    },
    close: () => loop.close(),
  };
}

function cpuSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

async function measure(sides: Map<string, Side>, { tell }: Settings): Promise<Map<string, Taken[]>> {
  const taken = new Map<string, Taken[]>([...sides.keys()].map((name) => [name, []]));
  for (const side of sides.values()) {
    await side.reset();
    await side.claimAll(Date.now());
    await side.reset();
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, side] of rotated([...sides], round)) {
      taken.get(name)?.push(await side.claimAll(Date.now()));
      await side.reset();
    }
  }
  for (const [name, rounds] of taken) tell(`  ${name}: ${describe(rounds)}`);
  return taken;
}

function describe(rounds: Taken[]): string {
  const walls = rounds.flatMap((round) => round.walls);
  const at = (q: number) => digits(quantile(walls, q));
  return `${digits(median(rounds.map((round) => round.cpu)))} µs CPU a claim, wall p50 ${at(0.5)} p99 ${at(0.99)} µs`;
}

function figures(sizes: number[], taken: Map<string, Taken[]>): Figure[] {
  const cpu = (name: string) => (taken.get(name) ?? []).map((round) => round.cpu);
  const against = sizes.map((size) => {
    const [ours, raw] = [cpu(`store ${size}`), cpu(`raw ${size}`)];
    return figure({
      name: `claim at ${size.toLocaleString("en")} tasks, rate against the raw loop`,
      unit: "x",
      goal: { is: "at least", value: 0.66 },
      gate: true,
      rounds: raw.map((each, round) => each / (ours[round] ?? 0)),
      note: `CPU µs a claim: raw ${digits(median(raw))}, store ${digits(median(ours))}`,
    });
  });
  const [small, large] = [sizes[0] ?? 0, sizes.at(-1) ?? 0];
  const [few, many] = [cpu(`store ${small}`), cpu(`store ${large}`)];
  const growth = figure({
    name: `growth of a claim, ${small.toLocaleString("en")} to ${large.toLocaleString("en")} tasks`,
    unit: "x",
    goal: { is: "at most", value: 1.3 },
    gate: true,
    rounds: many.map((each, round) => each / (few[round] ?? 0)),
    note: `CPU µs a claim: ${digits(median(few))} and ${digits(median(many))}`,
  });
  return [...against, growth];
}
