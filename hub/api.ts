import { Hono, type Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { z } from "zod";
import { CODE_TTL_MS, type Logins } from "./access/logins.ts";
import type { Tokens } from "./access/tokens.ts";
import { DAY, HOUR, type Clock } from "./base/clock.ts";
import { ConfigurationError, messageOf, ProviderError, StaleHolderError, UserInputError } from "./base/errors.ts";
import type { HubEvent } from "./base/event.ts";
import { parseQuestionName, questionName, taskBranch, taskName } from "./base/ids.ts";
import type { Log } from "./base/log.ts";
import { projectStatus, type Project, type StateCounts } from "./base/project.ts";
import type { Principal, Session } from "./base/session.ts";
import { COMPLEXITIES, isOpen, TASK_STATES, TASK_TYPES, type Task } from "./base/task.ts";
import type { StopControl } from "./mcp.ts";
import { dependencyNames } from "./queue/dependencies.ts";
import { deliveryWords } from "./queue/questions.ts";
import { allowedAgents } from "./routing/allowed-agents.ts";
import type { Answered, Message, Question, Store } from "./stores/store.ts";
import type { ToolContext } from "../tools/tool.ts";
import { whatsNext } from "../tools/whats-next.ts";

export interface ApiParts {
  store: Store;
  clock: Clock;
  log: Log;
  stop: StopControl;
  tokens: Tokens;
  logins: Logins;
  /** How the sheet and the hub stand to each other, in one sentence. */
  sheet(): { ok: boolean; words: string };
  /** A session's output as text: at most `max` bytes from byte `offset`; `next` is where to read on. */
  transcript(sessionId: string, offset: number, max: number): Promise<{ text: string; next: number; total: number }>;
  /** The configured agents; `why` says what keeps one from being started, and is empty when nothing does. */
  agents: { name: string; cli: string; model: string; enabled: boolean; why: string }[];
  /** `url` is asked for at each use: the port is known once the hub listens. */
  about: { version: string; pid: number; startedAt: string; home: string; sample: boolean; readonly url: string };
  /** What the configuration gave reason to say. */
  warnings: string[];
}

/** What whoever mounts the routes has put into the context. */
interface ApiEnv {
  Variables: { principal: Principal };
}

/** At most this many tasks of each kind in one answer. */
const MAX_OPEN = 500;
const MAX_ENDED = 200;
const MAX_EVENTS = 500;
const MAX_MESSAGES = 50;
const MAX_LOG_BYTES = 256 * 1024;
const MAX_TTL_MS = 366 * DAY;
const DEFAULT_TTL_MS = 8 * HOUR;
const MAX_WORDS = 4_000;

const text = (max: number) => z.string().trim().max(max);
const taskBody = z.strictObject({
  project: text(200).min(1),
  description: text(MAX_WORDS).min(1),
  type: z.enum(TASK_TYPES).optional(),
  complexity: z.enum(COMPLEXITIES).optional(),
  priority: z.int().min(1).max(9).optional(),
  dependsOn: text(300).optional(),
  agent: text(100).optional(),
  /** The same key again answers the task that the first call made. */
  key: text(100).min(8).optional(),
});
const projectBody = z.strictObject({
  name: text(200).min(1),
  priority: z.int().min(1).max(9).optional(),
  repo: text(1_000).optional(),
  path: text(500).optional(),
  setup: text(1_000).optional(),
  check: text(1_000).optional(),
  machine: text(100).optional(),
  model: text(100).optional(),
});
const tokenBody = z.strictObject({
  role: z.enum(["agent", "human", "admin"]),
  project: text(200).min(1).optional(),
  label: text(100).optional(),
  ttlMs: z.int().min(1_000).max(MAX_TTL_MS).optional(),
});
const answerBody = z.strictObject({ answer: text(2_000).min(1) });
const steerBody = z.strictObject({ text: text(2_000).min(1) });
const stopBody = z.strictObject({ why: text(500).default("") });
const noBody = z.strictObject({});
/** What becomes a command or a path of the person's machine: nothing that a client's model may write. */
const TRUSTED_FIELDS = ["repo", "path", "setup", "check", "machine"] as const;
/** How many names an error offers. */
const OFFERED = 20;

/** Told with a status of its own. */
class ApiError extends Error {
  override name = "ApiError";
  readonly status: ContentfulStatusCode;
  constructor(status: ContentfulStatusCode, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * The routes under `/api`. Whoever mounts them has put the caller into the variable
 * `principal`. `admin` may do all, `human` all but tokens, login codes and the cells of a project that are commands, `agent` nothing: it
 * has the tools, and its own task as a resource. A token that is bound to a project sees that project alone.
 * Errors are `{ error: { message } }`, and times are UTC in ISO 8601.
 */
export function createApi(parts: ApiParts): Hono<ApiEnv> {
  const { store, clock } = parts;
  const api = new Hono<ApiEnv>();
  api.onError((error, c) => told(error, c, parts.log));

  api.use(async (c, next) => {
    const { role } = principalOf(c);
    if (role === "agent") throw new ApiError(403, "Agents use the tools at /mcp: this is for the person.");
    await next();
  });

  api.get("/tasks/:id", async (c) => {
    const by = principalOf(c);
    const task = await store.findTask(c.req.param("id"));
    if (task === undefined || !sees(by, task.projectId))
      throw new ApiError(404, "There is no such task. Those there are: cto status.");
    return c.json(await taskDetails(store, task));
  });
  api.get("/status", async (c) => c.json(await hubStatus(parts, principalOf(c))));
  api.get("/next", async (c) =>
    c.json(await whatsNext.handle({}, toolContext(parts, principalOf(c), c.req.raw.signal))),
  );
  api.get("/projects", async (c) => c.json({ projects: await projectViews(store, principalOf(c)) }));
  api.get("/tasks", async (c) => {
    const query = z
      .strictObject({
        project: z.string().max(200).optional(),
        state: z.enum(TASK_STATES).optional(),
        limit: z.coerce.number().int().min(1).max(MAX_OPEN).default(100),
        before: z.coerce.number().int().min(1).optional(),
      })
      .parse(c.req.query());
    const project = query.project === undefined ? undefined : await projectNamed(store, principalOf(c), query.project);
    const only = project?.id ?? principalOf(c).projectId;
    const tasks = await store.tasks({
      limit: query.limit,
      ...(only !== null && { projectId: only }),
      ...(query.state !== undefined && { states: [query.state] }),
      ...(query.before !== undefined && { beforeId: query.before }),
    });
    return c.json({ tasks: await taskViews(store, tasks) });
  });
  api.get("/questions", async (c) => c.json({ questions: await questionViews(store, principalOf(c)) }));
  api.get("/sessions", async (c) => {
    const by = principalOf(c);
    const sessions = (await store.recentSessions(MAX_ENDED)).filter((session) => sees(by, session.projectId));
    return c.json({ sessions: sessions.map(sessionView) });
  });
  api.get("/sessions/:id/log", async (c) => {
    const session = await store.session(c.req.param("id"));
    if (session === undefined || !sees(principalOf(c), session.projectId))
      throw new ApiError(404, "There is no such session. Those that run: cto status.");
    const { offset } = z.strictObject({ offset: z.coerce.number().int().min(0).default(0) }).parse(c.req.query());
    // Asked before reading: what is written in between is read with the next call.
    const ended = session.state === "ended";
    const log = await parts.transcript(session.id, offset, MAX_LOG_BYTES);
    return c.json({ ...log, ended: ended && log.next >= log.total });
  });
  api.get("/events", async (c) => {
    const { after, limit } = z
      .strictObject({
        after: z.coerce.number().int().min(0).default(0),
        limit: z.coerce.number().int().min(1).max(MAX_EVENTS).default(100),
      })
      .parse(c.req.query());
    const events = await store.eventsAfter(after, limit);
    const seen = events.filter((event) => sees(principalOf(c), event.projectId));
    return c.json({ events: seen.map(eventView), next: events.at(-1)?.seq ?? after });
  });

  api.post("/tasks", async (c) => {
    const [by, body] = [principalOf(c), await bodyOf(c, taskBody)];
    const project = await projectNamed(store, by, body.project);
    if (body.agent !== undefined) needAgent(parts, body.agent);
    if (body.dependsOn !== undefined) await needTasks(store, by, body.dependsOn, project);
    const task = await store.addTask(
      by,
      {
        projectId: project.id,
        description: body.description,
        origin: "command",
        ...(body.type !== undefined && { type: body.type }),
        ...(body.complexity !== undefined && { complexity: body.complexity }),
        ...(body.priority !== undefined && { priority: body.priority }),
        ...(body.dependsOn !== undefined && { dependsOn: body.dependsOn }),
        ...(body.agent !== undefined && { wantedAgent: body.agent }),
      },
      clock.now(),
      body.key === undefined ? undefined : `api ${by.name} ${body.key}`,
    );
    return c.json({ task: taskView(task, project.name) }, 201);
  });
  api.post("/tasks/:id/steer", async (c) => {
    const [by, body] = [principalOf(c), await bodyOf(c, steerBody)];
    const task = await store.findTask(c.req.param("id"));
    if (task === undefined || !sees(by, task.projectId)) throw new ApiError(404, "There is no such task.");
    const delivery = await store.say(by, task.id, body.text, clock.now());
    return c.json({ task: taskName(task.id), live: delivery.live, say: deliveryWords(delivery) });
  });
  api.post("/questions/:id/answer", async (c) => {
    const [by, body] = [principalOf(c), await bodyOf(c, answerBody)];
    const id = parseQuestionName(c.req.param("id"));
    const question = id === undefined ? undefined : await store.question(id);
    if (question === undefined || !sees(by, question.projectId)) throw new ApiError(404, "There is no such question.");
    return c.json(await answerView(store, await store.answerQuestion(by, question.id, body.answer, clock.now())));
  });
  api.post("/projects", async (c) => {
    const [by, { name, ...rest }] = [principalOf(c), await bodyOf(c, projectBody)];
    if (by.projectId !== null) throw new ApiError(403, "This token is for one project: it makes no others.");
    const trusted = TRUSTED_FIELDS.filter((field) => rest[field] !== undefined);
    if (by.role !== "admin" && trusted.length > 0)
      throw new ApiError(
        403,
        `Only the person sets ${trusted.join(", ")}: in the sheet's row, or with cto add --new-project.`,
      );
    const known = (await store.projects()).find((each) => each.name.toLowerCase() === name.toLowerCase());
    if (known !== undefined) throw new ApiError(409, `There is a project "${known.name}" already.`);
    const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
    const project = await store.addProject(by, { name, ...given }, clock.now());
    return c.json({ project: projectView(project, {}) }, 201);
  });
  api.post("/stop", async (c) => {
    const { why } = await bodyOf(c, stopBody);
    if (principalOf(c).projectId !== null)
      throw new ApiError(403, "This token is for one project: it cannot stop all.");
    await parts.stop.set(principalOf(c), why);
    return c.json({ stopped: parts.stop.read() ?? null });
  });
  api.post("/release", async (c) => {
    await bodyOf(c, noBody);
    if (principalOf(c).projectId !== null)
      throw new ApiError(403, "This token is for one project: it releases nothing.");
    return c.json({ released: await parts.stop.release(principalOf(c)) });
  });

  api.post("/tokens", async (c) => {
    const [by, body] = [admin(c), await bodyOf(c, tokenBody)];
    const project = body.project === undefined ? undefined : await projectNamed(store, by, body.project);
    const ttlMs = body.ttlMs ?? DEFAULT_TTL_MS;
    const { id, token } = await parts.tokens.issue(by, {
      role: body.role,
      label: body.label ?? "cto token create",
      ttlMs,
      ...(project !== undefined && { projectId: project.id }),
    });
    return c.json({ id, token, expiresAt: iso(clock.now() + ttlMs) }, 201);
  });
  api.post("/login-code", async (c) => {
    admin(c);
    await bodyOf(c, noBody);
    // Behind the #, where no log and no other site sees it.
    const url = `${parts.about.url}/login#${parts.logins.newCode()}`;
    return c.json({ url, expiresAt: iso(clock.now() + CODE_TTL_MS) }, 201);
  });

  api.all("*", () => {
    throw new ApiError(404, "There is nothing here.");
  });
  return api;
}

/** The whole state, as `GET /api/status` and `cto status --json` show it. */
export type HubStatus = Awaited<ReturnType<typeof hubStatus>>;

async function hubStatus(parts: ApiParts, by: Principal) {
  const { store, clock } = parts;
  // Read first: whoever follows events from here on misses none of what is shown.
  const lastSeq = await store.lastSeq();
  const only = by.projectId === null ? {} : { projectId: by.projectId };
  const open = await store.tasks({ ...only, states: TASK_STATES.filter(isOpen), order: "queue", limit: MAX_OPEN });
  const ended = await store.tasks({ ...only, states: TASK_STATES.filter((state) => !isOpen(state)), limit: MAX_ENDED });
  const sessions = (await store.liveSessions()).filter((session) => sees(by, session.projectId));
  const messages = await undelivered(store, by);
  return {
    running: true,
    ...parts.about,
    url: parts.about.url,
    now: iso(clock.now()),
    stopped: parts.stop.read() ?? null,
    sheet: parts.sheet(),
    warnings: parts.warnings,
    projects: await projectViews(store, by),
    tasks: await taskViews(store, [...open, ...ended]),
    /** True when there are more tasks than are shown: page through /api/tasks. */
    truncated: open.length === MAX_OPEN || ended.length === MAX_ENDED,
    sessions: sessions.map(sessionView),
    agents: parts.agents.map((agent) => agentView(agent, sessions)),
    questions: await questionViews(store, by),
    /** What was said to whoever works on a task, and nobody was given yet. */
    messages: messages.map(messageView),
    lastSeq,
  };
}

/** Enough for a tool that reads and waits for nothing. */
function toolContext(parts: ApiParts, principal: Principal, signal: AbortSignal): ToolContext {
  const { store, clock, stop } = parts;
  return {
    principal,
    store,
    clock,
    signal,
    waitForChange: (ms, signal) => clock.sleep(ms, signal),
    stop: (why) => stop.set(principal, why),
    release: () => stop.release(principal),
    stopped: () => stop.read(),
  };
}

async function projectViews(store: Store, by: Principal) {
  const counts = await store.counts();
  const projects = (await store.projects()).filter((project) => sees(by, project.id));
  return projects.map((project) => projectView(project, counts.get(project.id) ?? {}));
}

function projectView(project: Project, counts: StateCounts) {
  return {
    id: project.id,
    slug: project.slug,
    name: project.name,
    priority: project.priority,
    status: projectStatus(project, counts),
    why: project.blockedWhy ?? "",
    deadline: isoOrNull(project.deadline),
    model: project.model,
    repo: project.repo,
    check: project.check,
    machine: project.machine,
    nextAction: project.nextAction,
    progress: project.progress,
    agent: project.agent,
    lastUpdateAt: isoOrNull(project.lastUpdateAt),
    tasks: counts,
  };
}

async function taskViews(store: Store, tasks: Task[]) {
  const names = new Map((await store.projects({ archived: true })).map((project) => [project.id, project.name]));
  return tasks.map((task) => taskView(task, names.get(task.projectId) ?? ""));
}

function taskView(task: Task, project: string) {
  return {
    id: taskName(task.id),
    alias: task.alias,
    project,
    projectId: task.projectId,
    description: task.description,
    type: task.type,
    complexity: task.complexity,
    priority: task.priority,
    state: task.state,
    why: [task.why, task.bandWhy].filter((words) => words !== "").join("; "),
    waitReason: task.waitReason,
    waitUntil: isoOrNull(task.waitUntil),
    band: task.band,
    agent: task.agent,
    session: task.sessionId ?? task.reservedFor,
    fence: task.fence,
    failures: task.failures,
    rounds: task.rounds,
    progress: task.progress,
    summary: task.summary,
    output: task.output,
    branch: taskBranch(task.id),
    commit: task.headCommit,
    integratedCommit: task.integratedCommit,
    checked: task.checked,
    review: task.review,
    dependsOn: task.dependsOn,
    createdAt: iso(task.createdAt),
    startedAt: isoOrNull(task.startedAt),
    completedAt: isoOrNull(task.completedAt),
  };
}

async function taskDetails(store: Store, task: Task) {
  const project = await store.project(task.projectId);
  const events = await store.recentEvents({ taskId: task.id, limit: 100 });
  const sessions = events.map((event) => event.sessionId).filter((id) => id !== null);
  return {
    task: { ...taskView(task, project?.name ?? ""), findings: task.findings, workspace: task.workspace },
    /** Those that worked on it, the newest first. */
    sessions: [...new Set(task.sessionId === null ? sessions : [task.sessionId, ...sessions])],
    checks: (await store.checks(task.id)).map((check) => ({ ...check, at: iso(check.at) })),
    events: events.map(eventView),
  };
}

function sessionView(session: Session) {
  return {
    id: session.id,
    agent: session.agent,
    projectId: session.projectId,
    kind: session.kind,
    machine: session.machine,
    state: session.state,
    task: session.taskId === null ? null : taskName(session.taskId),
    outcome: session.outcome,
    exitCode: session.exitCode,
    tasksDone: session.tasksDone,
    startedAt: iso(session.startedAt),
    lastSeenAt: iso(session.lastSeenAt),
    endedAt: isoOrNull(session.endedAt),
  };
}

function agentView(agent: ApiParts["agents"][number], live: Session[]) {
  const own = live.filter((session) => session.agent === agent.name);
  const status = !agent.enabled || agent.why !== "" ? "Off" : own.length > 0 ? "Active" : "Idle";
  const tasks = own.map((session) => session.taskId).filter((id) => id !== null);
  return { ...agent, status, tasks: tasks.map(taskName), sessions: own.map((session) => session.id) };
}

/** What became of an answer, as `POST /api/questions/:id/answer` tells it. */
export type AnswerView = Awaited<ReturnType<typeof answerView>>;

async function answerView(store: Store, { question, task }: Answered) {
  const project = (await store.project(question.projectId))?.name ?? "";
  return { question: questionView(question, project), task: task === null ? null : taskView(task, project) };
}

async function undelivered(store: Store, by: Principal): Promise<Message[]> {
  const messages = await store.undelivered(MAX_MESSAGES);
  if (by.projectId === null) return messages;
  const tasks = await Promise.all(messages.map(({ taskId }) => store.task(taskId)));
  return messages.filter((_, at) => tasks[at]?.projectId === by.projectId);
}

function messageView(message: Message) {
  return { task: taskName(message.taskId), text: message.text, by: message.principal, at: iso(message.at) };
}

async function questionViews(store: Store, by: Principal) {
  const questions = (await store.openQuestions()).filter((question) => sees(by, question.projectId));
  const names = new Map((await store.projects({ archived: true })).map(({ id, name }) => [id, name]));
  return questions.map((question) => questionView(question, names.get(question.projectId) ?? ""));
}

function questionView(question: Question, project: string) {
  return {
    id: question.id,
    name: questionName(question.id),
    project,
    projectId: question.projectId,
    task: question.taskId === null ? null : taskName(question.taskId),
    kind: question.kind,
    text: question.text,
    options: question.options,
    state: question.state,
    answer: question.answer,
    askedAt: iso(question.askedAt),
    answeredAt: isoOrNull(question.answeredAt),
  };
}

function eventView(event: HubEvent) {
  return { ...event, at: iso(event.at), task: event.taskId === null ? null : taskName(event.taskId) };
}

async function projectNamed(store: Store, by: Principal, name: string): Promise<Project> {
  const project = await store.findProject(name);
  if (project !== undefined && sees(by, project.id)) return project;
  const names = (await store.projects()).filter((each) => sees(by, each.id)).map((each) => `"${each.name}"`);
  const there = names.length === 0 ? "There is none yet." : `There are: ${names.slice(0, 20).join(", ")}.`;
  throw new ApiError(404, `There is no project "${name}". ${there}`);
}

/** Throws unless one of the configured agents, started or not, is meant by `wanted`. */
function needAgent({ agents }: Pick<ApiParts, "agents">, wanted: string): void {
  if (allowedAgents(agents, wanted, "").length > 0) return;
  const names = agents.map(({ name }) => name);
  const there = names.length === 0 ? "There is none yet: see config.yaml." : `There is: ${listed(names)}.`;
  throw new ApiError(404, `There is no agent "${wanted}". ${there}`);
}

/** Throws unless all that `dependsOn` names are tasks that the caller sees. */
async function needTasks(store: Store, by: Principal, dependsOn: string, project: Project): Promise<void> {
  for (const name of dependencyNames(dependsOn)) {
    const task = await store.findTask(name);
    if (task !== undefined && sees(by, task.projectId)) continue;
    const tasks = await store.tasks({ projectId: project.id, limit: OFFERED + 1 });
    const names = tasks.map(({ id, alias }) => alias ?? taskName(id));
    const there = names.length === 0 ? "has none yet." : `has: ${listed(names)}.`;
    throw new ApiError(404, `There is no task "${name}" to depend on. ${project.name} ${there}`);
  }
}

function listed(names: string[]): string {
  return `${names.slice(0, OFFERED).join(", ")}${names.length > OFFERED ? " and more" : ""}`;
}

function principalOf(c: Context<ApiEnv>): Principal {
  const principal = c.get("principal") as Principal | undefined;
  if (principal === undefined) throw new ApiError(401, "Give a token: Authorization: Bearer ….");
  return principal;
}

function admin(c: Context<ApiEnv>): Principal {
  const principal = principalOf(c);
  if (principal.role !== "admin") throw new ApiError(403, "Only the command line's own token may do this.");
  return principal;
}

/** What has no project is nobody's secret, but only those who see all projects are shown it. */
function sees(by: Principal, projectId: number | null): boolean {
  return by.projectId === null || by.projectId === projectId;
}

async function bodyOf<Schema extends z.ZodType>(c: Context<ApiEnv>, schema: Schema): Promise<z.output<Schema>> {
  // A form of another site can post anything but this.
  if (!/^application\/json\b/i.test(c.req.header("content-type") ?? ""))
    throw new ApiError(415, "Send JSON: Content-Type: application/json.");
  const value: unknown = await c.req.json().catch(() => {
    throw new ApiError(400, "The body is not JSON.");
  });
  return schema.parse(value);
}

function told(error: unknown, c: Context, log: Log) {
  if (error instanceof z.ZodError) {
    const issue = error.issues[0];
    const key = issue?.path.join(".") ?? "";
    return wrong(c, 400, `${key === "" ? "" : `"${key}": `}${issue?.message ?? "cannot be taken"}`);
  }
  if (error instanceof ApiError) return wrong(c, error.status, error.message);
  if (error instanceof StaleHolderError) return wrong(c, 409, error.message);
  if (error instanceof UserInputError) return wrong(c, 400, error.message);
  if (error instanceof ConfigurationError || error instanceof ProviderError) return wrong(c, 503, error.message);
  log.error({ err: messageOf(error), stack: error instanceof Error ? error.stack : undefined }, "api request failed");
  return wrong(c, 500, "Something went wrong in the hub. Its log says what: cto logs.");
}

function wrong(c: Context, status: ContentfulStatusCode, message: string) {
  if (status === 401) c.header("WWW-Authenticate", "Bearer");
  return c.json({ error: { message } }, status);
}

function iso(at: number): string {
  return new Date(at).toISOString();
}

function isoOrNull(at: number | null): string | null {
  return at === null ? null : iso(at);
}
