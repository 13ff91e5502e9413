import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { HOUR, MINUTE } from "../../hub/base/clock.ts";
import { SHEET } from "../../hub/base/session.ts";
import { releaseStop, setStop } from "../../hub/base/stop-file.ts";
import type { Store } from "../../hub/stores/store.ts";
import type { Machine } from "../../supervisor/machines/machine.ts";
import { endAllRuns } from "../../supervisor/machines/native.ts";
import { pidsWith } from "../machines/native-home.ts";
import { scriptedConfig } from "../helpers/small-hub.ts";
import { until } from "../helpers/until.ts";
import { movableClock, withWorld, type World } from "./world.ts";

/** The session that holds the task, once its process runs. */
function holder(world: World, taskId: number) {
  return until(`T${taskId} is held by a running session`, async () => {
    const task = await world.store.task(taskId);
    const session = task?.sessionId ? await world.store.session(task.sessionId) : undefined;
    return task?.state === "running" && session?.state === "running" ? session : undefined;
  });
}

/** The id of a check's run, once it runs. */
function runningCheck({ hub }: World): Promise<string> {
  return until("the check runs", async () => {
    const id = (await hub.machine.list()).find((run) => run.startsWith("c-"));
    return id !== undefined && (await hub.machine.observe(id)).state === "running" ? id : undefined;
  });
}

test("law 3: state is observed, not self-reported: an agent that never reports still has correct state", async () => {
  await withWorld({}, async (world) => {
    const project = await world.project("quiet");
    const id = await world.task(project, "do:die without a word");
    const task = await world.reaches(id, "waiting");
    assert.equal(task.waitReason, "backoff");
    assert.equal(task.failures, 1);
    assert.equal(task.progress, "");
    assert.match(task.why, /failure 1 of 5: ended with exit code 4 without completing the task/);
    const session = await until("its session has ended", async () =>
      (await world.store.recentSessions(1)).find((one) => one.state === "ended"),
    );
    assert.equal(session.exitCode, 4);
    // What it left is committed, and whoever goes on is told.
    assert.equal(await world.mirror("quiet", "show", `cto/T${id}:work-T${id}.txt`), `T${id}`);
    const left = await world.store.latestContinuation(project);
    assert.equal(left?.author, "hub");
    assert.match(left.context, /exit code 4[^]*work-T1\.txt/);
    const transcript = (await world.store.artefacts(id)).find(({ kind }) => kind === "transcript");
    assert.match(await readFile(transcript?.path ?? "", "utf8"), /T1 die/);
  });
});

test("an agent that ends well having done nothing has failed", async () => {
  await withWorld({ agent: "nothing" }, async (world) => {
    const id = await world.task(await world.project("idle"), "Anything");
    const task = await world.reaches(id, "waiting");
    assert.equal(task.failures, 1);
    assert.match(task.why, /ended with exit code 0 without completing the task/);
  });
});

test("law 14: everything is bounded: a crash loop backs off 1, 2, 4, 8 minutes and is parked after 5 with a question", async () => {
  const clock = movableClock();
  await withWorld({ agent: "crash", clock }, async (world) => {
    const id = await world.task(await world.project("crashing"), "Anything");
    const waits: number[] = [];
    for (let failures = 1; failures < 5; failures += 1) {
      const waiting = await until(`failure ${failures}`, async () => {
        const task = await world.store.task(id);
        return task?.state === "waiting" && task.failures === failures ? task : undefined;
      });
      waits.push(Math.round(((waiting.waitUntil ?? 0) - clock.now()) / MINUTE));
      clock.pass(15 * MINUTE);
    }
    assert.deepEqual(waits, [1, 2, 4, 8]);
    const parked = await world.reaches(id, "blocked");
    assert.match(parked.why, /parked after 5 failures/);
    assert.deepEqual(
      (await world.store.openQuestions()).map(({ kind, taskId }) => [kind, taskId]),
      [["parked", id]],
    );
    assert.equal((await world.store.recentSessions(20)).length, 5);
  });
});

test("a task that asks is parked while other work goes on, and goes on with the answer, first of its priority", async () => {
  await withWorld({ scheduler: { max_concurrent_tasks: 1 } }, async (world) => {
    const project = await world.project("asking");
    const id = await world.task(project, "do:ask");
    const other = await world.task(project, "do:work");
    await world.reaches(other, "done");
    const parked = await world.reaches(id, "blocked");
    assert.equal(parked.why, "asks: Which colour?; answer on the page or with cto answer Q1");
    const held = await world.task(project, "do:hold");
    await world.reaches(held, "running");
    const behind = await world.task(project, "behind it");
    await world.store.answerQuestion(SHEET, 1, "green", Date.now());
    await world.store.say(SHEET, held, "go on", Date.now());
    await world.reaches(behind, "done");
    const done = await world.reaches(id, "done");
    assert.ok((done.startedAt ?? 0) > 0 && done.completedAt !== null);
    const later = await world.store.task(behind);
    assert.ok(
      (done.completedAt ?? 0) <= (later?.completedAt ?? 0),
      "the answered task comes before what was behind it",
    );
    assert.match(await world.mirror("asking", "show", `cto/T${id}:work-T${id}.txt`), /Which colour\?[^]*Green/);
  });
});

test("an agent that crashes on every task rests, so that it does not use up the failures of all of them", async () => {
  await withWorld({ agent: "crash", scheduler: { max_concurrent_tasks: 1 } }, async (world) => {
    const project = await world.project("many");
    for (let n = 0; n < 8; n += 1) await world.task(project, `Task ${n}`);
    const resting = await until("the agent rests", async () =>
      (await world.store.tasks({ states: ["queued"] })).find(({ why }) => /crashed several times in a row/.test(why)),
    );
    assert.ok(resting);
    assert.equal((await world.store.recentSessions(20)).length, 4);
    assert.equal((await world.store.tasks({ states: ["queued"] })).length, 4);
  });
});

test("law 4: nothing is assigned without a live process, and whatever is not running says why", async () => {
  await withWorld({ scheduler: { max_concurrent_tasks: 1 } }, async (world) => {
    const [a, b] = [await world.project("a"), await world.project("b")];
    const running = await world.task(a, "do:sleep");
    const session = await holder(world, running);
    const behind = await world.task(a, "behind it");
    const elsewhere = await world.task(b, "elsewhere");
    const why = async (id: number) => (await world.store.task(id))?.why ?? "";
    await until("both say why", async () => (await why(behind)) !== "" && (await why(elsewhere)) !== "");
    assert.match(await why(behind), /^waits for T1: one session at a time works in this repository$/);
    assert.match(await why(elsewhere), /^waits for a free session/);
    const seen = performance.now();
    await world.hub.machine.kill(session.id, 0);
    const after = await world.reaches(running, "waiting");
    assert.ok(performance.now() - seen < 5_000, "an exit is noticed at once, not at the next interval");
    assert.equal(after.sessionId, null);
    assert.equal(after.waitReason, "backoff");
    assert.ok(after.waitUntil !== null);
  });
});

test("law 9: isolation fails closed: a project that asks for a machine that is not there waits and never runs on the host", async () => {
  await withWorld({}, async (world) => {
    const id = await world.task(await world.project("caged", { machine: "docker" }), "Anything");
    const other = await world.task(await world.project("trusted", { machine: "native" }), "Anything");
    await world.reaches(other, "done");
    const task = await world.store.task(id);
    assert.equal(task?.state, "queued");
    assert.equal(task.why, "waits for machine: docker is not there yet");
    assert.equal((await world.store.recentSessions(10)).length, 1);
  });
});

test("law 10: STOP leaves no agent process running within 10 s of being read, and nothing starts again until it is released", async () => {
  await withWorld({}, async (world) => {
    const id = await world.task(await world.project("stopped"), "do:write-and-sleep");
    const session = await holder(world, id);
    await until("it has written", () =>
      existsSync(join(world.hub.home.workspaces, "stopped", `T${id}`, `work-T${id}.txt`)),
    );
    const began = performance.now();
    setStop(world.hub.home.stopFile, { at: "", by: "mike", why: "dinner" });
    const back = await world.reaches(id, "queued");
    assert.ok(performance.now() - began < 10_000);
    assert.equal((await world.hub.machine.observe(session.id)).state, "exited");
    assert.deepEqual(await pidsWith(join(world.root, "home")), []);
    assert.equal(back.failures, 0, "what STOP ended has not failed");
    await until("it says why", async () => /STOP was set by mike/.test((await world.store.task(id))?.why ?? ""));

    const hub = await world.restart({});
    const other = await world.task(await world.project("fresh"), "Anything");
    await until("it was looked at", async () => ((await hub.store.task(other))?.why ?? "") !== "");
    assert.equal((await hub.store.liveSessions()).length, 0, "also after a restart");

    await hub.store.changeTask(SHEET, id, { description: "do:work" }, Date.now());
    releaseStop(hub.home.stopFile);
    await world.reaches(id, "done");
    await world.reaches(other, "done");
  });
});

test("STOP ends a check that runs, and its task is checked again after the release", async () => {
  await withWorld({}, async (world) => {
    const check = "test -e ../../../go || sleep 60";
    const id = await world.task(await world.project("slow", { check }), "Anything");
    const check1 = await runningCheck(world);
    setStop(world.hub.home.stopFile, { at: "", by: "mike", why: "" });
    // `missing` when STOP came in the very moment of its start: then it never ran.
    await until(
      "the check has ended",
      async () => (await world.hub.machine.observe(check1)).state !== "running",
      10_000,
    );
    assert.equal((await world.store.task(id))?.state, "checking");
    await writeFile(join(world.hub.home.root, "go"), "");
    releaseStop(world.hub.home.stopFile);
    const task = await world.reaches(id, "done");
    assert.equal(task.checked, "passed");
    assert.equal(task.rounds, 0);
  });
});

test("law 7: restart-proof: live sessions keep running and are adopted again; the next tool call just works", async () => {
  await withWorld({}, async (world) => {
    const id = await world.task(await world.project("kept", { check: "sleep 1" }), "do:write-and-sleep");
    const session = await holder(world, id);
    const began = performance.now();
    const hub = await world.restart({});
    assert.ok(performance.now() - began < 5_000, "a clean stop does not wait for sessions");
    await until("the new hub has looked", async () => hub.store.lastSeq());
    const kept = await hub.store.session(session.id);
    assert.equal(kept?.state, "running");
    assert.equal((await hub.machine.observe(session.id)).state, "running");
    const task = await hub.store.task(id);
    assert.equal(task?.sessionId, session.id);
    assert.equal(task.fence, 1);
    // It is still followed: its end is seen by the hub that adopted it.
    await hub.machine.kill(session.id, 0);
    assert.equal((await world.reaches(id, "waiting")).failures, 1);
  });
});

test("a hub that is started again adopts a check that runs", async () => {
  await withWorld({}, async (world) => {
    const id = await world.task(await world.project("checked", { check: "sleep 2; echo once >> ../once" }), "Anything");
    await runningCheck(world);
    await world.restart({});
    assert.equal((await world.reaches(id, "done")).checked, "passed");
    const once = await readFile(join(world.hub.home.workspaces, "checked", "once"), "utf8");
    assert.equal(once, "once\n", "it ran once");
  });
});

test("law 14: a session that works for 4 hours on one task is ended, and that is a failure", async () => {
  const clock = movableClock();
  await withWorld({ clock, scheduler: { silence_limit: 24 * 60 } }, async (world) => {
    const id = await world.task(await world.project("endless"), "do:sleep");
    await holder(world, id);
    // Its time is counted from the first look at it, which may not have been yet.
    const task = await until("it is ended", async () => {
      clock.pass(4 * HOUR + MINUTE);
      return world.reaches(id, "waiting", 3_000).catch(() => undefined);
    });
    assert.match(task.why, /failure 1 of 5: it worked for 4 hours without completing/);
  });
});

test("law 14: a session without a sign of life is ended", async () => {
  const clock = movableClock();
  await withWorld({ clock }, async (world) => {
    const id = await world.task(await world.project("silent"), "do:sleep");
    const { id: session } = await holder(world, id);
    const transcript = join(world.hub.home.runs, session, "stdout");
    await until("it has said its last word", async () => (await readFile(transcript, "utf8").catch(() => "")) !== "");
    // What it said may be noticed only after the first half hour has passed.
    await until("it is ended", async () => {
      clock.pass(31 * MINUTE);
      return world.reaches(id, "waiting", 3_000).catch(() => undefined);
    });
    assert.match((await world.reaches(id, "waiting")).why, /no sign of life for 30 minutes/);
  });
});

test("pausing a project ends its session, and its task goes back without a failure", async () => {
  await withWorld({}, async (world) => {
    const project = await world.project("paused");
    const id = await world.task(project, "do:write-and-sleep");
    const session = await holder(world, id);
    await world.store.changeProject(SHEET, project, { hold: "paused" }, Date.now());
    const task = await world.reaches(id, "queued");
    assert.equal(task.failures, 0);
    await until("its session ends", async () => (await world.store.session(session.id))?.state === "ended");
    await until("it says why", async () => (await world.store.task(id))?.why === "its project is paused");
  });
});

test("a setup that fails asks the person and shows the end of its output; it runs once in a workspace", async () => {
  await withWorld({}, async (world) => {
    const bad = await world.task(await world.project("bad", { setup: "echo no such package; exit 9" }), "Anything");
    await world.reaches(bad, "blocked");
    const [question] = await world.store.openQuestions();
    assert.match(question?.text ?? "", /Setup command of bad ended with exit code 9[^]*no such package/);
    assert.equal((await world.store.liveSessions()).length, 0);

    const once = await world.task(await world.project("once", { setup: "echo x >> ../count" }), "do:die");
    await world.reaches(once, "waiting");
    await world.store.reopenTask(SHEET, once, "again", Date.now());
    await until("the second session has ended", async () => (await world.store.task(once))?.state === "waiting");
    assert.equal(await readFile(join(world.hub.home.workspaces, "once", "count"), "utf8"), "x\n");
  });
});

test("a project whose repository is not there is blocked with the reason, and the others go on", async () => {
  await withWorld({}, async (world) => {
    const lost = await world.project("lost", { repo: join(world.root, "nowhere") });
    const stuck = await world.task(lost, "Anything");
    const fine = await world.task(await world.project("fine"), "Anything");
    await world.reaches(fine, "done");
    const project = await until("it is blocked", async () => {
      const found = await world.store.project(lost);
      return found?.blockedWhy === null ? undefined : found;
    });
    assert.match(project.blockedWhy ?? "", /^repository: .*nowhere/);
    await until("its task says so", async () => /project is blocked/.test((await world.store.task(stuck))?.why ?? ""));
    assert.equal((await world.store.task(stuck))?.failures, 0);
  });
});

test("a task that an attached session claims gets a workspace in our clone, and its check when it completes", async () => {
  await withWorld({ agents: {} }, async (world) => {
    const project = await world.project("mine");
    const id = await world.task(project, "Anything");
    const { store } = world;
    await store.openSession(
      { id: "s-person", agent: "attached", projectId: null, kind: "attached", machine: "native" },
      Date.now(),
    );
    const claim = await store.claim("s-person", Date.now());
    const task = await until("it has a workspace", async () => {
      const found = await store.task(id);
      return found?.workspace === null ? undefined : found;
    });
    assert.equal(task.workspace, join(world.hub.home.workspaces, "mine", `T${id}`));
    await writeFile(join(task.workspace, "done.txt"), "done\n");
    const by = { role: "human" as const, name: "session:s-person", sessionId: "s-person", projectId: null };
    await store.complete(by, id, claim?.task.fence ?? 0, { summary: "done", nextAction: "", output: null }, Date.now());
    assert.equal((await world.reaches(id, "done")).checked, "passed");
    assert.equal((await store.session("s-person"))?.state, "running");
  });
});

test("agents see their own variables and none of the hub's", async () => {
  process.env["HUB_SECRET_FOR_TEST"] = "hub-secret";
  try {
    const agents = {
      worker: {
        cli: "command" as const,
        command: "/bin/sh",
        args: ["-c", "env; exit 1"],
        env: { MINE: "yes" },
        model: "",
        enabled: true,
        allow: [],
        max_sessions: 1,
      },
    };
    await withWorld({ agents }, async (world) => {
      const id = await world.task(await world.project("env"), "Anything");
      await world.reaches(id, "waiting");
      const [run] = (await readdir(world.hub.home.runs)).filter((name) => name.startsWith("s-"));
      const seen = await readFile(join(world.hub.home.runs, run ?? "", "stdout"), "utf8");
      for (const name of [
        "CTO_MCP_URL",
        "CTO_TOKEN",
        "CTO_SESSION_ID",
        "CTO_WORKSPACE",
        "PATH",
        "HOME",
        "LANG",
        "MINE",
      ])
        assert.match(seen, new RegExp(`^${name}=.+`, "m"));
      assert.doesNotMatch(seen, /hub-secret/);
    });
  } finally {
    delete process.env["HUB_SECRET_FOR_TEST"];
  }
});

test("a session takes its next task by itself and is given a workspace for it", async () => {
  await withWorld({ agents: scriptedConfig("", 1).agents }, async (world) => {
    const project = await world.project("twice");
    const [one, two] = [await world.task(project, "First"), await world.task(project, "Second")];
    await world.reaches(one, "done");
    const task = await world.reaches(two, "done");
    assert.equal(task.workspace, join(world.hub.home.workspaces, "twice", `T${two}`));
    const [session, ...others] = await world.store.recentSessions(10);
    assert.deepEqual(others, []);
    assert.equal(session?.tasksDone, 2);
  });
});

test("law 4: a session whose launch ends during a look is not taken for one that has no process", async () => {
  let store: Store | undefined;
  // Each look reads the sessions and then waits here until those that were being launched run.
  const slowHealth = (machine: Machine): Map<string, Machine> => {
    const launched = async () => (await store?.liveSessions())?.every(({ state }) => state !== "preparing") ?? true;
    const health = async () => {
      await until("the launch has ended", launched, 2_000).catch(() => undefined);
      return machine.health();
    };
    return new Map([["native", { ...machine, health }]]);
  };
  await withWorld({ machines: slowHealth }, async (world) => {
    store = world.store;
    const ids: number[] = [];
    for (const name of ["one", "two"]) ids.push(await world.task(await world.project(name), "do:hold"));
    for (const id of ids) await world.reaches(id, "running");
    const seq = await world.store.lastSeq();
    await until("both go on calling", async () => (await world.store.lastSeq()) > seq + 6);
    for (const id of ids) {
      const task = await world.store.task(id);
      assert.deepEqual([task?.state, task?.failures, task?.fence], ["running", 0, 1], task?.why);
    }
  });
});

test("law 10: STOP with a dead hub is no failure of the task that it ended", async () => {
  await withWorld({}, async (world) => {
    const id = await world.task(await world.project("antenna"), "do:hold");
    const session = await holder(world, id);
    const { home } = world.hub;
    await world.restart({}, async () => {
      setStop(home.stopFile, { at: "", by: "mike", why: "" });
      assert.equal((await endAllRuns(home)).runs.length, 1);
      releaseStop(home.stopFile);
    });
    await until("its end is noted", async () => (await world.store.session(session.id))?.state === "ended");
    assert.equal((await world.store.task(id))?.failures, 0);
  });
});
