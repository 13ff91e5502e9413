import { createCsvSheet } from "../../hub/sheets/csv.ts";
import { viewHub } from "../../hub/sheets/hub-view.ts";
import { mergeSheet } from "../../hub/sheets/merge.ts";
import { historiesOf } from "../../hub/sheets/snapshots.ts";
import type { World } from "./world.ts";

/** Processor time, in milliseconds, of reading the sheet from disk and of merging it when nothing changed: the best of 5. */
export async function measureMerge(world: World): Promise<{ readMs: number; mergeMs: number; edits: number }> {
  const read: number[] = [];
  const merge: number[] = [];
  let edits = 0;
  const view = await viewHub(world.store, "UTC");
  const histories = historiesOf(await world.store.agreedRows());
  const rev = await world.store.sheetRev();
  for (let n = 0; n < 5; n++) {
    const start = spent();
    const { tabs } = await createCsvSheet(world.folder, { quietMs: 0 }).read();
    const middle = spent();
    const { Projects: projects, "Task Queue": queue } = tabs;
    const result = mergeSheet({
      tabs: { ...(projects && { Projects: projects }), ...(queue && { "Task Queue": queue }) },
      histories,
      projects: view.projects,
      tasks: view.tasks,
      rev,
      zone: "UTC",
      now: 0,
      missingLong: () => true,
      answer: undefined,
    });
    read.push(middle - start);
    merge.push(spent() - middle);
    edits += result.edits.length;
  }
  return { readMs: Math.min(...read), mergeMs: Math.min(...merge), edits };
}

/** What this process has used of a processor, in milliseconds: unlike the clock it is not told by what else runs. */
function spent(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
