import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DAY, MINUTE } from "../../hub/base/clock.ts";
import { StaleHolderError, UserInputError } from "../../hub/base/errors.ts";
import { SHEET, type Principal } from "../../hub/base/session.ts";
import { isHeld, isMet, type TaskState } from "../../hub/base/task.ts";
import { openSqliteStore } from "../../hub/stores/sqlite.ts";
import type { Store } from "../../hub/stores/store.ts";

/**
 * The queue against a model that a reader can check by eye: plain arrays, no index, no
 * counter. Every claim must choose what the model chooses, every refused call must be
 * refused, and after every command the two must agree on every task.
 */

const RUNS = Number(process.env["CTO_MODEL_RUNS"] ?? 1_000);
const COMMANDS = 100;
const START = Date.UTC(2026, 10, 22, 12);
const AGENTS = ["claude", "qwen"];
/** Projects 1 and 2 share a repository and so a lane. */
const LANES = ["repo:/r/one", "repo:/r/one", "project:3", "project:4"];

interface ModelTask {
  id: number;
  project: number;
  priority: number | null;
  wanted: string | null;
  state: TaskState;
  waitsUntil: number | null;
  session: string | null;
  reservedFor: string | null;
  fence: number;
  failures: number;
  rounds: number;
  front: boolean;
  on: number[];
  createdAt: number;
}

/** A question, in the order in which they were asked: its number is its place, from 1. */
interface ModelQuestion {
  task: number;
  kind: "agent" | "findings" | "parked";
  state: "open" | "answered" | "withdrawn";
  answer: string | null;
}

interface ModelSession {
  id: string;
  agent: string;
  project: number | null;
  kind: "supervised" | "attached";
  ended: boolean;
}

class Model {
  now = START;
  tasks: ModelTask[] = [];
  sessions: ModelSession[] = [];
  questions: ModelQuestion[] = [];
  paused = new Set<number>();
  priorities = [1, 2, 2, 3];
  served = new Map<string, number>();
  serves = 0;
  holders = new Map<string, string>();

  lane(task: ModelTask): string {
    return LANES[task.project - 1] ?? "";
  }

  band(task: ModelTask): number {
    const priority = task.priority ?? this.priorities[task.project - 1] ?? 3;
    const steps = Math.max(0, Math.floor((this.now - task.createdAt) / (7 * DAY)));
    return Math.max(Math.min(priority, 1), priority - steps);
  }

  claimable(task: ModelTask, agent: string): boolean {
    const allowed = agent === "*" || task.wanted === null || task.wanted === agent;
    return task.state === "queued" && task.reservedFor === null && !this.paused.has(task.project) && allowed;
  }

  best(tasks: ModelTask[]): ModelTask | undefined {
    return tasks.toSorted((a, b) => this.band(a) - this.band(b) || Number(b.front) - Number(a.front) || a.id - b.id)[0];
  }

  pick(session: ModelSession): ModelTask | undefined {
    const agent = session.kind === "attached" ? "*" : session.agent;
    const reserved = this.tasks.find((task) => task.reservedFor === session.id);
    if (reserved !== undefined) return reserved;
    const open = this.tasks.filter((task) => this.claimable(task, agent));
    if (session.project !== null) {
      const first = this.best(open.filter((task) => task.project === session.project));
      const holder = first === undefined ? undefined : this.holders.get(this.lane(first));
      return holder === undefined || holder === session.id ? first : undefined;
    }
    const free = [...new Set(open.map((task) => this.lane(task)))].filter((lane) => !this.holders.has(lane));
    const heads = free
      .map((lane) => this.best(open.filter((task) => this.lane(task) === lane)))
      .filter((task) => task !== undefined);
    const order = ["repo:/r/one", "project:3", "project:4"];
    return heads.toSorted(
      (a, b) =>
        this.band(a) - this.band(b) ||
        (this.served.get(this.lane(a)) ?? 0) - (this.served.get(this.lane(b)) ?? 0) ||
        order.indexOf(this.lane(a)) - order.indexOf(this.lane(b)),
    )[0];
  }

  hold(task: ModelTask, session: string): void {
    this.holders.set(this.lane(task), session);
    this.served.set(this.lane(task), ++this.serves);
  }

  letGo(task: ModelTask): void {
    if (task.session !== null && this.holders.get(this.lane(task)) === task.session)
      this.holders.delete(this.lane(task));
  }

  ask(task: ModelTask, kind: ModelQuestion["kind"]): void {
    this.questions.push({ task: task.id, kind, state: "open", answer: null });
  }

  withdraw(task: ModelTask): void {
    for (const question of this.questions)
      if (question.task === task.id && question.state === "open") question.state = "withdrawn";
  }

  unmet(task: ModelTask): number[] {
    return task.on.filter((id) => !isMet(this.tasks[id - 1]?.state ?? "queued"));
  }

  /** What changes for those who stand on a task when it is finished or wanted again. */
  settle(): void {
    for (const task of this.tasks) {
      if (task.state === "waiting" && task.waitsUntil === null && this.unmet(task).length === 0) task.state = "queued";
      else if (task.state === "queued" && this.unmet(task).length > 0) {
        task.state = "waiting";
        task.waitsUntil = null;
        // A reservation goes with it, and with that the lane.
        if (task.reservedFor !== null && this.holders.get(this.lane(task)) === task.reservedFor)
          this.holders.delete(this.lane(task));
        task.reservedFor = null;
      }
    }
  }
}

type Command = { kind: (typeof KINDS)[number]; a: number; b: number; c: number };
const KINDS = [
  "add",
  "add",
  "add",
  "open",
  "claim",
  "claim",
  "claim",
  "report",
  "complete",
  "complete",
  "check",
  "check",
  "giveBack",
  "block",
  "block",
  "answer",
  "answer",
  "cancel",
  "reopen",
  "end",
  "tick",
  "pause",
  "priority",
  "reserve",
  "unreserve",
  "stale",
] as const;

const commands = fc.array(
  fc.record({ kind: fc.constantFrom(...KINDS), a: fc.nat(1_000), b: fc.nat(1_000), c: fc.nat(1_000) }),
  { minLength: COMMANDS, maxLength: COMMANDS },
);

const principal = (session: ModelSession): Principal => ({
  role: "agent",
  name: `session:${session.id}`,
  sessionId: session.id,
  projectId: null,
});
const at = <T>(list: T[], n: number): T | undefined => (list.length === 0 ? undefined : list[n % list.length]);

async function step(store: Store, model: Model, command: Command): Promise<void> {
  const { kind, a, b, c } = command;
  const held = model.tasks.filter((task) => isHeld(task.state));
  const live = model.sessions.filter((session) => !session.ended);
  switch (kind) {
    case "add": {
      const on = model.tasks.length > 0 && b % 3 === 0 ? [at(model.tasks, c)?.id ?? 1] : [];
      const priority = a % 5 === 0 ? (b % 4) + 1 : null;
      const wanted = c % 4 === 0 ? (AGENTS[a % 2] ?? null) : null;
      const project = (a % 4) + 1;
      const task = await store.addTask(
        SHEET,
        {
          projectId: project,
          description: `task ${model.tasks.length + 1}`,
          priority,
          wantedAgent: wanted,
          dependsOn: on.map((id) => `T${id}`).join(","),
          origin: "sheet",
        },
        model.now,
      );
      const added: ModelTask = {
        id: model.tasks.length + 1,
        project,
        priority,
        wanted,
        state: "queued",
        waitsUntil: null,
        session: null,
        reservedFor: null,
        fence: 0,
        failures: 0,
        rounds: 0,
        front: false,
        on,
        createdAt: model.now,
      };
      assert.equal(task.id, added.id);
      model.tasks.push(added);
      if (model.unmet(added).length > 0) added.state = "waiting";
      return;
    }
    case "open": {
      const session: ModelSession = {
        id: `s-${model.sessions.length + 1}`,
        agent: AGENTS[a % 2] ?? "claude",
        project: b % 3 === 0 ? (c % 4) + 1 : null,
        kind: c % 5 === 0 ? "attached" : "supervised",
        ended: false,
      };
      model.sessions.push(session);
      await store.openSession(
        { id: session.id, agent: session.agent, projectId: session.project, kind: session.kind, machine: "native" },
        model.now,
      );
      return;
    }
    case "claim": {
      const session = at(model.sessions, a);
      if (session === undefined) return;
      if (session.ended) {
        await assert.rejects(store.claim(session.id, model.now), StaleHolderError);
        return;
      }
      const mine = held.find((task) => task.session === session.id);
      const answer = await store.claim(session.id, model.now);
      if (mine !== undefined) {
        assert.deepEqual([answer?.task.id, answer?.fresh], [mine.id, false]);
        return;
      }
      const expected = model.pick(session);
      assert.equal(answer?.task.id, expected?.id, "the claim chose another task than the model");
      if (expected === undefined) return;
      assert.equal(answer?.task.fence, expected.fence + 1);
      Object.assign(expected, {
        state: "running",
        session: session.id,
        reservedFor: null,
        fence: expected.fence + 1,
        front: false,
      });
      model.hold(expected, session.id);
      return;
    }
    case "report":
    case "stale": {
      const task = at(kind === "report" ? held : model.tasks, a);
      const session = at(model.sessions, b);
      if (task === undefined || session === undefined) return;
      const fence = kind === "stale" ? task.fence - 1 - (c % 2) : task.fence;
      const allowed = task.state === "running" && task.session === session.id && fence === task.fence;
      const call = store.reportProgress(principal(session), task.id, fence, `p${c}`, model.now);
      if (allowed) await call;
      else await assert.rejects(call, UserInputError, "a write of somebody who does not hold the task was taken");
      return;
    }
    case "complete": {
      const task = at(held, a);
      const session = model.sessions.find((one) => one.id === task?.session);
      if (task === undefined || session === undefined) return;
      const call = () =>
        store.complete(
          principal(session),
          task.id,
          task.fence,
          { summary: "s", nextAction: "", output: null },
          model.now,
        );
      await call();
      if (task.state === "running") task.state = "checking";
      await call();
      return;
    }
    case "check": {
      const task = at(
        held.filter((one) => one.state === "checking"),
        a,
      );
      if (task === undefined) return;
      if (b % 3 === 0) {
        const lives = c % 2 === 0;
        assert.equal(
          await store.returnFindings(task.id, task.fence, { source: "check", text: "red" }, lives, model.now),
          true,
        );
        assert.equal(
          await store.returnFindings(task.id, task.fence, { source: "check", text: "red" }, lives, model.now),
          false,
        );
        task.fence += 1;
        task.rounds += 1;
        if (task.rounds >= 3) {
          model.letGo(task);
          task.state = "blocked";
          model.ask(task, "findings");
        } else if (lives) task.state = "running";
        else {
          model.letGo(task);
          Object.assign(task, { state: "queued", session: null, front: true });
        }
        return;
      }
      const result = { integratedCommit: "c", checked: "passed", review: "unreviewed" } as const;
      assert.equal(await store.finish(task.id, task.fence, result, model.now), true);
      assert.equal(await store.finish(task.id, task.fence, result, model.now), false);
      model.letGo(task);
      task.state = "done";
      model.settle();
      return;
    }
    case "giveBack": {
      const task = at(
        held.filter((one) => one.state === "running"),
        a,
      );
      if (task === undefined) return;
      const failure = b % 2 === 0;
      assert.equal(await store.giveBack(task.id, task.fence, { why: "gone", failure }, model.now), true);
      model.letGo(task);
      if (!failure) Object.assign(task, { state: "queued", session: null });
      else if (++task.failures >= 5) {
        task.state = "blocked";
        model.ask(task, "parked");
      } else
        Object.assign(task, {
          state: "waiting",
          session: null,
          waitsUntil: model.now + Math.min(15, 2 ** (task.failures - 1)) * MINUTE,
        });
      return;
    }
    case "block": {
      const task = at(
        held.filter((one) => one.state === "running"),
        a,
      );
      const session = model.sessions.find((one) => one.id === task?.session);
      if (task === undefined || session === undefined) return;
      const ask = () =>
        store.block(principal(session), task.id, task.fence, { text: "which?", options: [] }, model.now);
      const first = await ask();
      model.letGo(task);
      task.state = "blocked";
      model.ask(task, "agent");
      assert.equal(first.id, model.questions.length);
      assert.equal((await ask()).id, first.id, "a repeated question is one question");
      return;
    }
    case "answer": {
      const n = model.questions.length === 0 ? 0 : a % model.questions.length;
      const question = model.questions[n];
      const words = ["Try again", "cancel it", "the second one"][b % 3] ?? "";
      const call = () => store.answerQuestion(SHEET, n + 1, words, model.now);
      if (question === undefined || question.state === "withdrawn") return assert.rejects(call(), UserInputError);
      const task = model.tasks[question.task - 1];
      assert.ok(task);
      const kept = question.kind === "agent" || words !== "cancel it" ? words : "Cancel it";
      if (question.state === "answered" && question.answer !== kept)
        return assert.rejects(call(), /is answered already/);
      const answered = await call();
      assert.deepEqual([answered.question.answer, answered.task?.id], [kept, task.id]);
      if (question.state === "answered") return;
      Object.assign(question, { state: "answered", answer: kept });
      assert.equal(task.state, "blocked", "an open question's task does not wait for its answer");
      if (kept === "Cancel it") task.state = "cancelled";
      else {
        Object.assign(task, { state: "queued", session: null, front: true, waitsUntil: null });
        if (question.kind !== "agent") Object.assign(task, { failures: 0, rounds: 0 });
        model.settle();
      }
      return;
    }
    case "cancel": {
      const task = at(model.tasks, a);
      if (task === undefined) return;
      const call = store.cancelTask(SHEET, task.id, "not wanted", model.now);
      if (!["queued", "waiting", "blocked", "failed", "cancelled"].includes(task.state)) {
        await assert.rejects(call, UserInputError);
        return;
      }
      await call;
      if (task.reservedFor !== null && model.holders.get(model.lane(task)) === task.reservedFor)
        model.holders.delete(model.lane(task));
      Object.assign(task, { state: "cancelled", reservedFor: null });
      model.withdraw(task);
      return;
    }
    case "reopen": {
      const task = at(model.tasks, a);
      if (task === undefined) return;
      const call = store.reopenTask(SHEET, task.id, "again", model.now);
      if (!["done", "failed", "cancelled", "blocked", "waiting"].includes(task.state)) {
        await assert.rejects(call, UserInputError);
        return;
      }
      await call;
      Object.assign(task, { state: "queued", session: null, front: true, failures: 0, rounds: 0, waitsUntil: null });
      model.withdraw(task);
      model.settle();
      return;
    }
    case "end": {
      const session = at(live, a);
      if (session === undefined || held.some((task) => task.session === session.id)) return;
      await store.unreserve(session.id, "ended", model.now);
      for (const task of model.tasks.filter((one) => one.reservedFor === session.id)) {
        task.reservedFor = null;
        if (model.holders.get(model.lane(task)) === session.id) model.holders.delete(model.lane(task));
      }
      assert.equal(await store.endSession(session.id, { outcome: "ended", exitCode: 0 }, model.now), true);
      session.ended = true;
      return;
    }
    case "tick": {
      model.now += a % 7 === 0 ? 8 * DAY : (a % 20) * MINUTE;
      await store.applyDue(model.now);
      for (const task of model.tasks) {
        if (task.state === "waiting" && task.waitsUntil !== null && task.waitsUntil <= model.now)
          Object.assign(task, { state: "queued", waitsUntil: null });
      }
      return;
    }
    case "pause": {
      const project = (a % 4) + 1;
      const pause = !model.paused.has(project);
      if (pause) model.paused.add(project);
      else model.paused.delete(project);
      await store.changeProject(SHEET, project, { hold: pause ? "paused" : null }, model.now);
      return;
    }
    case "priority": {
      const project = (a % 4) + 1;
      model.priorities[project - 1] = (b % 4) + 1;
      await store.changeProject(SHEET, project, { priority: (b % 4) + 1 }, model.now);
      return;
    }
    case "reserve": {
      const task = at(model.tasks, a);
      const session = at(live, b);
      if (task === undefined || session === undefined || held.some((one) => one.session === session.id)) return;
      if (model.tasks.some((one) => one.reservedFor === session.id && one.id !== task.id)) return;
      const holder = model.holders.get(model.lane(task));
      const possible =
        task.state === "queued" &&
        (task.reservedFor === session.id ||
          (task.reservedFor === null && (holder === undefined || holder === session.id)));
      assert.equal(
        await store.reserve(task.id, { id: session.id, agent: session.agent, machine: "native" }, model.now),
        possible,
      );
      if (possible && task.reservedFor === null) {
        task.reservedFor = session.id;
        model.hold(task, session.id);
      }
      return;
    }
    case "unreserve": {
      const task = at(
        model.tasks.filter((one) => one.reservedFor !== null),
        a,
      );
      if (task === undefined || task.reservedFor === null) return;
      await store.unreserve(task.reservedFor, "not now", model.now);
      if (model.holders.get(model.lane(task)) === task.reservedFor) model.holders.delete(model.lane(task));
      task.reservedFor = null;
    }
  }
}

async function agree(store: Store, model: Model): Promise<void> {
  const tasks = (await store.tasks()).toSorted((x, y) => x.id - y.id);
  assert.deepEqual(
    tasks.map(({ id, state, fence, failures, rounds, reservedFor }) => ({
      id,
      state,
      fence,
      failures,
      rounds,
      reservedFor,
    })),
    model.tasks.map(({ id, state, fence, failures, rounds, reservedFor }) => ({
      id,
      state,
      fence,
      failures,
      rounds,
      reservedFor,
    })),
  );
  assert.deepEqual(
    (await store.openQuestions()).map(({ id }) => id).toSorted((x, y) => x - y),
    model.questions.flatMap(({ state }, n) => (state === "open" ? [n + 1] : [])),
  );
  const holders = tasks.filter((task) => isHeld(task.state)).map((task) => task.sessionId);
  assert.equal(new Set(holders).size, holders.length, "a session holds two tasks");
  const counts = await store.counts();
  for (const project of [1, 2, 3, 4]) {
    for (const [state, n] of Object.entries(counts.get(project) ?? {})) {
      assert.equal(
        n,
        model.tasks.filter((task) => task.project === project && task.state === state).length,
        `count of ${state}`,
      );
    }
  }
}

test(`law 6: exactly one holder: ${RUNS} runs of ${COMMANDS} commands agree with the model`, async (t) => {
  const seed = Number(process.env["CTO_SEED"] ?? Date.now() & 0x7fffffff);
  t.diagnostic(`seed ${seed} (set CTO_SEED to repeat it)`);
  await fc.assert(
    fc.asyncProperty(commands, async (list) => {
      const store = openSqliteStore({ path: ":memory:" });
      try {
        await store.setAgents(
          AGENTS.map((name) => ({ name, model: "" })),
          START,
        );
        for (const [n, lane] of LANES.entries()) {
          const repo = lane.startsWith("repo:") ? lane.slice(5) : "";
          await store.addProject(SHEET, { name: `project ${n + 1}`, priority: [1, 2, 2, 3][n] ?? 3, repo }, START);
        }
        const model = new Model();
        for (const command of list) {
          await step(store, model, command);
          model.settle();
          await agree(store, model);
        }
      } finally {
        store.close();
      }
    }),
    { numRuns: RUNS, seed },
  );
});
