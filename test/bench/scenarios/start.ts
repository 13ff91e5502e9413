import { join } from "node:path";
import { digits, figure, median, rotated, type Figure, type Scenario } from "../lib/figure.ts";
import { emptyHome, startBareNode, startHub, type Started } from "../lib/whole-hub.ts";

const ROUNDS = 7;

interface Start {
  wallMs: number;
  rss: number;
}

/** From `cto up` to the first answered tool call, and what it takes of memory by then, against a Node that does nothing. */
export const start: Scenario = {
  name: "start",
  async run({ folder, skip }) {
    if (process.platform !== "linux") {
      skip("start", "memory of another process is read from /proc, which is Linux only");
      return [];
    }
    const home = await emptyHome(join(folder, "start-home"));
    const sides: [string, () => Promise<Started>][] = [
      ["hub", () => startHub(home)],
      ["node", startBareNode],
    ];
    const taken = new Map<string, Start[]>(sides.map(([name]) => [name, []]));
    // The first start makes the database and warms the page cache: both sides have one that does not count.
    for (const [, begin] of sides) await measured(begin);
    for (let round = 0; round < ROUNDS; round += 1)
      for (const [name, begin] of rotated(sides, round)) taken.get(name)?.push(await measured(begin));
    return figures(taken.get("hub") ?? [], taken.get("node") ?? []);
  },
};

async function measured(begin: () => Promise<Started>): Promise<Start> {
  const process = await begin();
  try {
    return { wallMs: process.wallMs, rss: await process.rss() };
  } finally {
    await process.stop();
  }
}

function figures(hub: Start[], node: Start[]): Figure[] {
  const MIB = 1_024 * 1_024;
  const ratio = (of: (start: Start) => number) => hub.map((each, round) => of(each) / of(node[round] ?? each));
  const both = (of: (start: Start) => number) => `${digits(median(hub.map(of)))} and ${digits(median(node.map(of)))}`;
  return [
    figure({
      name: "start to the first answered call, wall, against bare node",
      unit: "x",
      goal: { is: "at most", value: 14 },
      gate: false,
      rounds: ratio((each) => each.wallMs),
      note: `${both((each) => each.wallMs)} ms`,
    }),
    figure({
      name: "memory (RSS) at the first answered call, against bare node",
      unit: "x",
      goal: { is: "at most", value: 3.3 },
      gate: true,
      rounds: ratio((each) => each.rss),
      note: `${both((each) => each.rss / MIB)} MiB`,
    }),
  ];
}
