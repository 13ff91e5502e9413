import { DAY, HOUR, MINUTE, SECOND, type Clock } from "../hub/base/clock.ts";
import { renderContinuation } from "../hub/base/continuation-text.ts";
import { messageOf } from "../hub/base/errors.ts";
import type { HubEvent } from "../hub/base/event.ts";
import { newSessionId } from "../hub/base/ids.ts";
import type { Service } from "../hub/base/service.ts";
import { SUPERVISOR, type Session } from "../hub/base/session.ts";
import { readStop, type Stop } from "../hub/base/stop-file.ts";
import { createActivity } from "./activity.ts";
import { createCrashes } from "./crashes.ts";
import { createHeldTasks } from "./held-tasks.ts";
import { createJobs } from "./jobs.ts";
import { observe, type Observed } from "./observe.ts";
import type { Parts } from "./parts.ts";
import { plan, type Plan } from "./plan.ts";
import { reasons } from "./reasons.ts";
import { repositoryBlock } from "./repository-block.ts";
import { sweep } from "./retention.ts";
import { conclude, launch, openFor, recoverSession } from "./session.ts";

export type SupervisorOptions = Omit<Parts, "renderContinuation" | "newId"> &
  Partial<Pick<Parts, "renderContinuation" | "newId">>;

export interface Supervisor extends Service {
  /** Looks now rather than at the next interval. */
  wake(): void;
}

/** How often processes and the STOP file are looked at. Everything else waits for an event or the interval. */
const PULSE_MS = 250;
/** Looks come no closer together than this, however many events there are. */
const SPACING_MS = 20;
const STOP_AGAIN_MS = 3 * SECOND;
const DRAIN_MS = 8 * SECOND;
const SWEEP_EVERY_MS = HOUR;
const REPOSITORY_RETRY_MS = 5 * MINUTE;
const KILL_GRACE_MS = 2 * SECOND;

/** Events after which the plan is the same as before. */
const QUIET: ReadonlySet<HubEvent["kind"]> = new Set([
  "task_progress",
  "task_checked",
  "continuation_written",
  "message_sent",
  "message_delivered",
  "token_issued",
  "token_revoked",
  "sheet_synced",
  "sheet_problem",
]);

/**
 * Keeps the right sessions alive: observes, asks the plan, and acts on the difference. It
 * holds nothing that is needed after a crash. What is true is in the store, in the run
 * folders and in git; every start begins by looking at them.
 *
 * Slow work runs as jobs, one for each task and session, so that a look is short whatever a
 * project's repository or machine does.
 */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const parts: Parts = { renderContinuation, newId: newSessionId, ...options };
  const { store, clock, log, home } = parts;
  const stopping = new AbortController();
  const alarm = createAlarm(clock);
  const jobs = createJobs(log, clock, stopping.signal, alarm.ring);
  const activity = createActivity(clock.monotonic);
  const crashes = createCrashes(clock.monotonic);
  const tasks = createHeldTasks(parts, jobs);
  /** Aborts what is under way when STOP is set or the hub stops; made anew at a release. */
  let halt = haltedBy(stopping.signal);
  let stop: Stop | undefined;
  let stopEnforced = -Infinity;
  let nextDue = 0;
  let swept = -Infinity;
  let repositoriesTried = -Infinity;
  let running: Promise<void> = Promise.resolve();
  /** Sessions whose process is watched between looks. */
  let watched: Session[] = [];
  const launches = new Map<string, AbortController>();

  async function run(): Promise<void> {
    const unsubscribe = store.onEvents((events) => {
      // The Repo cell may just have been corrected.
      if (events.some(({ kind, principal }) => kind === "project_changed" && principal !== SUPERVISOR.name))
        repositoriesTried = -Infinity;
      if (events.some(isLoud)) alarm.ring();
    });
    try {
      await adopt();
      while (!stopping.signal.aborted) {
        await guarded("look", look);
        await untilNextLook();
      }
    } finally {
      unsubscribe();
      await jobs.settled(DRAIN_MS);
    }
  }

  async function guarded(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      log.error({ error: messageOf(error) }, `${what} failed; trying again`);
      await clock.sleep(SECOND, stopping.signal);
    }
  }

  /** Waits for an event, an exit, STOP, a time that was announced, or the interval. */
  async function untilNextLook(): Promise<void> {
    await clock.sleep(SPACING_MS, stopping.signal);
    const until = clock.monotonic() + parts.config.scheduler.check_interval * SECOND;
    while (!stopping.signal.aborted && clock.monotonic() < until && clock.now() < nextDue) {
      if (alarm.taken()) return;
      if ((readStop(home.stopFile) === undefined) !== (stop === undefined)) return;
      if (await anyEnded()) return;
      await alarm.wait(PULSE_MS, stopping.signal);
    }
  }

  async function anyEnded(): Promise<boolean> {
    const ended = await Promise.all(
      watched.map(async (session) => {
        if (jobs.has(sessionKey(session.id))) return false;
        const run = await parts.machines
          .get(session.machine)
          ?.observe(session.id)
          .catch(() => undefined);
        return run !== undefined && run.state !== "running";
      }),
    );
    return ended.some(Boolean);
  }

  async function look(): Promise<void> {
    alarm.taken();
    await followStop();
    await store.applyDue(clock.now());
    nextDue = (await store.nextDue()) ?? Infinity;
    // Noted before anything is read: a launch that ends while this looks is seen at the next look. Else
    // the session would be taken for one that is not being launched and, as it was read, has no process.
    const launching = new Set(launches.keys());
    const busyNow = (id: string) => launching.has(id) || busySessions(id);
    const seen = await observe(parts, { stop, activity, crashes, busyTasks: tasks.busy(), busySessions: busyNow });
    watched = seen.sessions.filter((session) => session.kind === "supervised" && session.state === "running");
    const decided = plan(seen.known, clock.now());
    await act(decided, seen);
    tasks.look(seen, halt.signal, stop !== undefined);
    await store.explain(explanations(decided, seen), clock.now());
    housekeeping(seen);
  }

  const busySessions = (id: string): boolean => launches.has(id) || jobs.has(sessionKey(id));

  /** STOP ends what is under way at once, also checks and setup commands; its release lets everything go on. */
  async function followStop(): Promise<void> {
    const now = readStop(home.stopFile);
    if (now !== undefined && stop === undefined) {
      stop = now;
      halt.abort();
      log.warn({ by: now.by, why: now.why }, "STOP is set: ending everything");
    }
    if (now !== undefined) {
      // More than once: what could not be ended the first time is tried again.
      if (clock.monotonic() - stopEnforced < STOP_AGAIN_MS) return;
      stopEnforced = clock.monotonic();
      jobs.start("stop", endEveryRun);
    } else if (stop !== undefined && !jobs.has("stop")) {
      stopEnforced = -Infinity;
      stop = undefined;
      halt = haltedBy(stopping.signal);
      log.info("STOP was released");
    }
  }

  /** Every run there is, whether the store knows it or not. The sessions are concluded by the plan. */
  async function endEveryRun(): Promise<void> {
    for (const machine of parts.machines.values()) {
      const ids = await machine.list();
      await Promise.all(
        ids.map(async (id) => {
          if ((await machine.observe(id)).state === "running") await machine.kill(id, KILL_GRACE_MS);
        }),
      );
    }
  }

  async function act(decided: Plan, seen: Observed): Promise<void> {
    const byId = new Map(seen.sessions.map((session) => [session.id, session]));
    for (const end of decided.end) {
      launches.get(end.sessionId)?.abort();
      const session = byId.get(end.sessionId);
      if (session !== undefined && !launches.has(session.id))
        jobs.start(sessionKey(session.id), () => endSession(session, end));
    }
    // One after the other, since each reservation makes a lane busy; both writes are short.
    for (const choice of decided.start) {
      if (stopping.signal.aborted || readStop(home.stopFile) !== undefined) return;
      const session = await openFor(parts, choice);
      if (session !== undefined) startLaunch(choice, session);
    }
  }

  function startLaunch(choice: Plan["start"][number], session: Session): void {
    const own = haltedBy(halt.signal);
    launches.set(session.id, own);
    tasks.start(choice.taskId, async (tries) => {
      try {
        await launch(parts, choice, session, own.signal, tries);
        if ((await store.session(session.id))?.state !== "running") return false;
        crashes.started(session.id);
        tasks.provided(choice.taskId, session.id);
        return true;
      } finally {
        launches.delete(session.id);
      }
    });
  }

  async function endSession({ id }: Session, end: Plan["end"][number]): Promise<void> {
    // Read anew: it may have been ended between the look and now, and an end counts once.
    const session = await store.session(id);
    if (session === undefined || session.state === "ended") return;
    if (session.state === "preparing") return void (await recoverSession(parts, session));
    // What was seen may be old by now, and a process that runs has not ended.
    if (end.because === "exited" && (await stillRuns(session))) return;
    log.info({ session: id, because: end.because, why: end.why }, "ending a session");
    const { failed } = await conclude(parts, session, end);
    crashes.ended(session.id, session.agent, failed && end.because === "exited");
  }

  async function stillRuns(session: Session): Promise<boolean> {
    const run = await parts.machines.get(session.machine)?.observe(session.id);
    return run?.state === "running";
  }

  function explanations(decided: Plan, seen: Observed): { taskId: number; why: string }[] {
    return reasons({ ...seen, stop, plan: decided });
  }

  function housekeeping(seen: Observed): void {
    const now = clock.monotonic();
    if (now - repositoriesTried >= REPOSITORY_RETRY_MS) {
      repositoriesTried = now;
      for (const project of seen.projects.values())
        if (repositoryBlock.isSet(project) && project.hold === null)
          jobs.start(`repository:${project.id}`, async () => void (await repositoryBlock.retry(parts, project)));
    }
    if (now - swept < SWEEP_EVERY_MS) return;
    swept = now;
    jobs.start("sweep", () => sweep(parts, { keepWorkspacesMs: 7 * DAY, keepRunsMs: 14 * DAY, keepRuns: 200 }));
  }

  /** Takes over what an earlier hub left: live sessions stay, half-made ones are given up, strays are ended. */
  async function adopt(): Promise<void> {
    const live = await store.liveSessions();
    const figures = { sessions: 0, adopted: 0, givenUp: 0, strays: 0 };
    for (const session of live.filter(({ kind }) => kind === "supervised")) {
      figures.sessions += 1;
      if (session.state === "running") figures.adopted += 1;
      else
        await guarded("adopting a session", async () => {
          const became = await recoverSession(parts, session);
          figures[became === "adopted" ? "adopted" : "givenUp"] += 1;
        });
    }
    await tasks.adopt();
    await guarded("ending stray runs", async () => void (figures.strays = await endStrays()));
    log.info(figures, "taken over from the last run");
  }

  /** Runs of sessions that have ended, and checks of tasks that are not being checked any more. */
  async function endStrays(): Promise<number> {
    const live = new Set((await store.liveSessions()).map(({ id }) => id));
    const checked = new Set(
      (await store.tasks({ states: ["checking"] })).map(({ id, fence }) => `c-t${id}-f${fence}-`),
    );
    const wanted = (id: string) => live.has(id) || [...checked].some((prefix) => id.startsWith(prefix));
    let ended = 0;
    for (const machine of parts.machines.values()) {
      for (const id of (await machine.list()).filter((one) => !wanted(one))) {
        if ((await machine.observe(id)).state !== "running") continue;
        await machine.kill(id, KILL_GRACE_MS);
        ended += 1;
      }
    }
    return ended;
  }

  return {
    id: "supervisor",
    run: () => (running = run()),
    async stop() {
      stopping.abort();
      alarm.ring();
      await running;
    },
    wake: alarm.ring,
  };
}

function sessionKey(id: string): string {
  return `session:${id}`;
}

function isLoud(event: HubEvent): boolean {
  if (QUIET.has(event.kind)) return false;
  const changed = event.kind === "task_changed" ? event.data["changed"] : undefined;
  // Written by the look itself.
  return !(Array.isArray(changed) && changed.every((field) => field === "why"));
}

/** A controller that aborts with `outer`, and by itself. */
function haltedBy(outer: AbortSignal): AbortController {
  const inner = new AbortController();
  if (outer.aborted) inner.abort();
  else outer.addEventListener("abort", () => inner.abort(), { once: true, signal: inner.signal });
  return inner;
}

/** Wakes a sleeper; a ring that nobody waited for is kept for the next. */
function createAlarm(clock: Clock) {
  let rung = false;
  let sleeper: AbortController | undefined;
  return {
    ring(): void {
      rung = true;
      sleeper?.abort();
    },
    taken(): boolean {
      const was = rung;
      rung = false;
      return was;
    },
    async wait(ms: number, signal: AbortSignal): Promise<void> {
      if (rung) return;
      sleeper = haltedBy(signal);
      await clock.sleep(ms, sleeper.signal);
      sleeper.abort();
      sleeper = undefined;
    },
  };
}
