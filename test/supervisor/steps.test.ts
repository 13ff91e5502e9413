import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "../helpers/until.ts";
import { SHEET } from "../../hub/base/session.ts";
import { MINUTE } from "../../hub/base/clock.ts";
import type { Machine } from "../../supervisor/machines/machine.ts";
import { movableClock, withWorld } from "./world.ts";

test("law 5: done means checked: an agent that completes with a failing check mends it on the findings", async () => {
  await withWorld({}, async (world) => {
    const id = await world.task(await world.project("mended"), "do:mend");
    const task = await world.reaches(id, "done");
    assert.equal(task.rounds, 1);
    assert.equal(task.failures, 0);
    assert.deepEqual(
      (await world.store.checks(id)).map(({ outcome, exitCode }) => [outcome, exitCode]),
      [
        ["failed", 7],
        ["passed", 0],
      ],
    );
    const [failed] = await world.store.checks(id);
    assert.match(failed?.tail ?? "", /BROKEN is there/);
    const kept = (await world.store.artefacts(id)).filter(({ kind }) => kind === "check");
    assert.equal(kept.length, 2);
    assert.equal(await readFile(kept[0]?.path ?? "", "utf8"), "BROKEN is there\n");
    // One session did it all: it waited for its check and was handed the findings.
    assert.equal((await world.store.recentSessions(10)).length, 1);
    const files = await world.mirror("mended", "ls-tree", "--name-only", "cto/integration");
    assert.doesNotMatch(files, /BROKEN/);
  });
});

test("law 5: done means checked: three rejections go to the person, and nothing of it is integrated", async () => {
  await withWorld({}, async (world) => {
    const id = await world.task(await world.project("spoilt"), "do:spoil");
    const task = await world.reaches(id, "blocked");
    assert.equal(task.rounds, 3);
    const [question] = await world.store.openQuestions();
    assert.deepEqual([question?.kind, question?.taskId], ["findings", id]);
    assert.equal(task.integratedCommit, null);
    const main = await world.git(join(world.root, "repo-spoilt"), "rev-parse", "main");
    assert.equal(await world.mirror("spoilt", "rev-parse", "cto/integration"), main);
    await until("its session has ended", async () => (await world.store.liveSessions()).length === 0);
  });
});

test("law 5: done means checked: without a diff or the named file there is nothing to show", async () => {
  await withWorld({}, async (world) => {
    const project = await world.project("empty");
    const id = await world.task(project, "do:empty");
    const findings = await until("it came back", async () => {
      const task = await world.store.task(id);
      return task?.findings ?? undefined;
    });
    assert.match(findings, /^Nothing to show: T1 was completed, but its branch changes no file/);
    await world.reaches(id, "blocked");
    assert.deepEqual(await world.store.checks(id), []);

    // The named file counts, also when it was there before.
    const other = await world.task(project, "do:empty", { output: "README.md" });
    assert.equal((await world.reaches(other, "done")).checked, "passed");
  });
});

test("law 5: what could not be checked or reviewed is labelled so", async () => {
  await withWorld({}, async (world) => {
    const id = await world.task(await world.project("unchecked", { check: "" }), "Anything");
    const task = await world.reaches(id, "done");
    assert.deepEqual([task.checked, task.review, task.why], ["unchecked", "unreviewed", "unchecked, unreviewed"]);

    const none = await world.task(await world.project("unreviewed", { review: "none" }), "Anything");
    assert.equal((await world.reaches(none, "done")).review, null);

    const required = await world.task(await world.project("reviewed", { review: "required" }), "Anything");
    const waits = await world.reaches(required, "in_review");
    assert.equal(waits.why, "waits for a reviewer: none is configured");
    assert.equal(waits.integratedCommit, null);
  });
});

test("a session whose task waits for a reviewer takes no place for long", async () => {
  const clock = movableClock();
  await withWorld({ clock }, async (world) => {
    const id = await world.task(await world.project("waiting", { review: "required" }), "Anything");
    const task = await world.reaches(id, "in_review");
    const session = await until("its session is idle and ended", async () => {
      clock.pass(3 * MINUTE);
      const found = await world.store.session(task.sessionId ?? "");
      return found?.state === "ended" ? found : undefined;
    });
    assert.match(session.outcome ?? "", /no task for 2 minutes/);
    assert.equal((await world.store.task(id))?.state, "in_review");
  });
});

test("findings of a session that has ended go to the next one, and its end was no failure", async () => {
  await withWorld({}, async (world) => {
    const id = await world.task(
      await world.project("handed-on", { check: `sleep 1; test ! -e BROKEN` }),
      "do:mend-later",
    );
    await until("it came back", async () => (await world.store.task(id))?.findings ?? undefined, 20_000);
    await world.store.changeTask(SHEET, id, { description: "do:mend" }, Date.now());
    const task = await until("the next has begun", async () => {
      const now = await world.store.task(id);
      return (now?.fence ?? 0) > 2 ? now : undefined;
    });
    assert.equal(task.failures, 0);
    assert.ok((await world.store.recentSessions(10)).length > 1);
  });
});

test("a check that takes too long is ended and counts as a finding", async () => {
  const clock = movableClock();
  await withWorld({ clock, scheduler: { silence_limit: 1440, task_time_limit: 1440 } }, async (world) => {
    const id = await world.task(await world.project("endless", { check: "echo started; sleep 600" }), "Anything");
    await until("the check has said something", async () => {
      const check = (await world.hub.machine.list()).find((run) => run.startsWith("c-"));
      return check !== undefined && (await world.hub.machine.read(check, "stdout", 0, 10)).byteLength > 0;
    });
    clock.pass(16 * MINUTE);
    const findings = await until("findings", async () => (await world.store.task(id))?.findings ?? undefined);
    assert.match(findings, /was ended after 16 minutes, which is the limit[^]*started/);
    assert.equal((await world.store.checks(id))[0]?.outcome, "timeout");
  });
});

test("a check that changes the workspace proves nothing", async () => {
  await withWorld({}, async (world) => {
    const id = await world.task(
      await world.project("changed", { check: "echo more >> README.md; echo x > left-behind" }),
      "Anything",
    );
    const findings = await until("findings", async () => (await world.store.task(id))?.findings ?? undefined);
    assert.match(findings, /The workspace changed during the check[^]*README\.md[^]*left-behind/);
    assert.equal((await world.store.checks(id))[0]?.outcome, "error");
  });
});

test("work that conflicts with what was integrated meanwhile comes back as a finding", async () => {
  await withWorld({ agents: {} }, async (world) => {
    const { store } = world;
    const repo = await world.project("clash");
    const first = await world.task(repo, "first");
    const by = (sessionId: string) => ({ role: "human" as const, name: sessionId, sessionId, projectId: null });
    const claimed = async (sessionId: string, taskId: number) => {
      await store.openSession(
        { id: sessionId, agent: "attached", projectId: null, kind: "attached", machine: "native" },
        Date.now(),
      );
      const claim = await store.claim(sessionId, Date.now());
      assert.equal(claim?.task.id, taskId);
      return until("a workspace", async () => {
        const task = await store.task(taskId);
        return task?.workspace === null ? undefined : task;
      });
    };
    const complete = (sessionId: string, id: number, fence: number) =>
      store.complete(by(sessionId), id, fence, { summary: "", nextAction: "", output: null }, Date.now());
    const one = await claimed("s-one", first);
    await writeFile(join(one.workspace ?? "", "README.md"), "one\n");
    // Meanwhile somebody else's work arrives on the integration branch.
    const other = join(world.root, "other");
    await world.git(world.root, "clone", "-q", join(world.root, "repo-clash"), other);
    await writeFile(join(other, "README.md"), "other\n");
    await world.git(other, "commit", "-q", "-am", "Other work");
    await world.mirror("clash", "fetch", "-q", other, "HEAD:cto/integration");
    await complete("s-one", first, one.fence);
    const back = await until("it came back", async () => {
      const task = await store.task(first);
      return task?.state === "running" && task.findings !== null ? task : undefined;
    });
    assert.match(back.findings ?? "", /These files conflict:\n- README\.md/);
    assert.equal(back.checked, null, "a conflict is no failed check");

    await writeFile(join(one.workspace ?? "", "README.md"), "other\none\n");
    await world.git(one.workspace ?? "", "commit", "-q", "-am", "Mine");
    await world.git(one.workspace ?? "", "merge", "-q", "-X", "ours", "cto/integration");
    await complete("s-one", first, back.fence);
    const done = await world.reaches(first, "done");
    assert.equal(await world.mirror("clash", "log", "-1", "--format=%H", "cto/integration"), done.integratedCommit);
    assert.match(await world.mirror("clash", "log", "--format=%s", "cto/integration"), /Other work/);
  });
});

test("a check that cannot start because its machine is broken makes the task wait for the machine, and is no finding", async () => {
  const clock = movableClock();
  const broken = { now: false };
  const machines = (machine: Machine) => {
    const start: Machine["start"] = async (name, spec) => {
      if (broken.now && spec.id.startsWith("c-")) throw new Error("the machine is on fire");
      return machine.start(name, spec);
    };
    return new Map([["native", { ...machine, start }]]);
  };
  await withWorld({ clock, machines }, async (world) => {
    broken.now = true;
    const id = await world.task(await world.project("fire"), "Anything");
    await world.reaches(id, "checking");
    const task = await until("it waits", async () => {
      clock.pass(10_000);
      const now = await world.store.task(id);
      return now?.state === "waiting" ? now : undefined;
    });
    assert.equal(task.waitReason, "machine");
    assert.match(task.why, /waits for machine: the machine is on fire/);
    assert.deepEqual([task.rounds, task.failures, task.findings], [0, 0, null]);
    broken.now = false;
    clock.pass(6 * MINUTE);
    assert.equal((await world.reaches(id, "done")).checked, "passed");
  });
});

test("a project in a folder of its repository is worked on and checked there", async () => {
  await withWorld({}, async (world) => {
    const project = await world.project("mono", { path: "packages/app", check: "test -e here.txt" });
    const repo = join(world.root, "repo-mono", "packages", "app");
    await mkdir(repo, { recursive: true });
    await writeFile(join(repo, "here.txt"), "");
    await world.git(repo, "add", ".");
    await world.git(repo, "commit", "-q", "-m", "App");
    const id = await world.task(project, "Anything");
    const task = await world.reaches(id, "done");
    assert.equal(task.workspace, join(world.hub.home.workspaces, "mono", `T${id}`, "packages/app"));
    const path = `packages/app/work-T${id}.txt`;
    assert.equal(await world.mirror("mono", "show", `cto/integration:${path}`), `T${id}`);
  });
});
