import assert from "node:assert/strict";
import { test } from "node:test";
import { needsClaudeCode } from "../helpers/claude-code.ts";
import { claims, completes, handed, inOrder, withClaude, writes } from "./world.ts";

const skip = await needsClaudeCode();

test(
  "Claude Code claims, works, is sent back by a failing check, mends it and goes on with the next task",
  { skip },
  async () => {
    const model = inOrder(
      claims,
      (request) => writes(request, "BROKEN", "oops\n"),
      completes,
      () => ({ say: "I completed it." }),
      // The Stop hook held the session during the check and handed the findings back.
      (request) => {
        assert.match(request.last, /Stop hook[\s\S]*BROKEN is there/);
        return { calls: [{ name: "Bash", input: { command: `rm ${handed(request).workspace}/BROKEN` } }] };
      },
      (request) => writes(request, "mended.txt", "well\n"),
      completes,
      () => ({ say: "Now it is good." }),
      claims,
      (request) => writes(request, "second.txt", "two\n"),
      completes,
    );
    await withClaude(model, { agent: { allow: ["Bash(rm:*)"] } }, async (world) => {
      const project = await world.project("alpha");
      const first = await world.task(project, "mend it");
      const second = await world.task(project, "and then this");
      await world.reaches(first, "done", 60_000);
      const done = await world.reaches(second, "done", 60_000);
      assert.equal(done.failures, 0);
      const sessions = await world.store.recentSessions(10);
      assert.equal(sessions.length, 1, "the second task was done by the same session");
      const kinds = (await world.kinds(first)).filter((kind) => /completed|findings|done/.test(kind));
      assert.deepEqual(kinds, ["task_completed", "task_findings", "task_completed", "task_done"]);
      assert.match(await world.mirror("alpha", "show", "--stat", "cto/T1"), /mended\.txt/);
    });
  },
);
