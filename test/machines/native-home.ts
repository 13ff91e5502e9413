import { mkdir, mkdtemp, readdir, readFile, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { homeAt } from "../../hub/base/home.ts";
import type { Home } from "../../hub/base/home.ts";
import { endAllRuns } from "../../supervisor/machines/native.ts";

/** An empty home in a folder of its own, and a folder where programs may write. */
export async function openNativeHome(): Promise<{ home: Home; folder: string; close(): Promise<void> }> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "cto-native-")));
  const home = homeAt(join(root, "home"));
  const folder = join(root, "work");
  await mkdir(home.runs, { recursive: true });
  await mkdir(folder);
  const close = async () => {
    await endAllRuns(home, 0);
    await rm(root, { recursive: true, force: true });
  };
  return { home, folder, close };
}

/** The pids of living processes with `text` in their arguments. */
export async function pidsWith(text: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      return line.replaceAll("\0", " ").trimEnd().includes(text) ? Number(pid) : 0;
    }),
  );
  return found.filter((pid) => pid > 0);
}
