import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { parse } from "csv-parse/sync";
import { withHub, type HubProcess } from "./helpers/hub-process.ts";
import { until } from "./helpers/until.ts";

/**
 * The whole line once, as a person sees it on the first evening:
 * sheet → queue → session → progress → sheet.
 */
test("sheet → queue → session → progress → sheet", async (t) => {
  await withHub({}, async (hub) => {
    const ready = Date.now();
    // A stranger typed two commands and configured nothing. The terminal says where the page is.
    assert.match(hub.printed(), /^CTO Sidekick is ready at http:\/\/127\.0\.0\.1:\d+$/m);
    assert.match(hub.printed(), /login#\S{20,}/);

    // The sample's row goes Queued → In Progress → Done, and its task becomes Complete.
    const seen: string[] = [];
    await until(
      "the sample is done",
      async () => {
        const row = (await rows(hub, "Projects")).find((one) => one["Project"] === "Sample");
        const status = row?.["Status"] ?? "";
        if (status !== "" && seen.at(-1) !== status) seen.push(status);
        return status === "Done" ? row : undefined;
      },
      30_000,
    );
    t.diagnostic(
      `the sample was done ${((Date.now() - ready) / 1000).toFixed(1)} s after the ready line, by way of ${seen.join(" → ")}`,
    );
    assert.deepEqual(seen, ["Queued", "In Progress", "Done"].slice(-seen.length));
    const task = await until("its task is Complete", async () => {
      const row = (await rows(hub, "Task Queue")).find((one) => one["Task ID"] === "T1");
      return row?.["Status"] === "Complete" ? row : undefined;
    });
    assert.equal(task["Project"], "Sample");
    assert.match(task["Why"] ?? "", /unreviewed/, "what nobody reviewed is labelled so");

    // There is a real commit on cto/T1, it stands on the integration branch, and the check passes on it.
    const mirror = join(hub.home.mirrors, "sample.git");
    const commit = await git(mirror, "rev-parse", "cto/T1");
    assert.equal(await git(mirror, "rev-parse", "cto/integration"), commit);
    assert.match(await git(mirror, "show", "--stat", commit), /temperature\.sh/);
    // law 15: nothing landed by itself.
    assert.doesNotMatch(await git(join(hub.home.projects, "sample"), "log", "--oneline", "main"), /T1/);

    // The person adds a row with an editor; it becomes a task, and what was typed stays.
    await appendFile(
      join(hub.home.sheet, "Task Queue.csv"),
      `,Sample,"Say ""kelvin"" in the README, please",Documentation\n`,
    );
    const added = await until("the typed row has its Task ID", async () =>
      (await rows(hub, "Task Queue")).find((one) => one["Task ID"] === "T2"),
    );
    assert.equal(added["Description"], 'Say "kelvin" in the README, please');

    // The sample's agent cannot do that and says so: it is a question for the person, not a failure.
    const asked = await until(
      "the agent asks",
      async () => {
        const row = (await rows(hub, "Task Queue")).find((one) => one["Task ID"] === "T2");
        return row?.["Status"] === "Blocked" ? row : undefined;
      },
      30_000,
    );
    assert.match(asked["Why"] ?? "", /asks/);

    // cto status tells the same, and nothing is left running.
    const { tasks } = await hub.api<{ tasks: { id: string; state: string }[] }>("/tasks");
    const states = Object.fromEntries(tasks.map(({ id, state }) => [id, state]));
    assert.deepEqual(states, { T1: "done", T2: "blocked" });
    assert.match(await hub.cto("next"), /T2/);
  });
});

async function rows(hub: HubProcess, tab: string): Promise<Record<string, string>[]> {
  const text = await readFile(join(hub.home.sheet, `${tab}.csv`), "utf8").catch(() => "");
  return parse(text, { columns: true, bom: true, skip_empty_lines: true, relax_column_count: true });
}

async function git(folder: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)("git", ["-C", folder, ...args])).stdout.trim();
}
