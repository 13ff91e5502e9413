import { z } from "zod";
import { questionName, taskName } from "../hub/base/ids.ts";
import type { Project } from "../hub/base/project.ts";
import type { Question } from "../hub/stores/store.ts";
import { isHeld, type Task, type TaskState } from "../hub/base/task.ts";
import { saysNobody } from "../hub/routing/allowed-agents.ts";
import { span } from "./ages.ts";
import { oneLine, quoted } from "./fenced.ts";
import { mayUse } from "./named.ts";
import { defineTool, type ToolContext } from "./tool.ts";
import { workingSession } from "./working-session.ts";

/** Lines of each kind: the whole answer is about a dozen. */
const SHOWN = 3;
/** Tasks that are looked at for those of a kind. */
const SEARCHED = 200;
/** Whom ready tasks are asked for: whoever may come. */
const ANYBODY = "*";

const input = z.strictObject({});

const output = z.strictObject({
  stopped: z.string().optional(),
  running: z.array(z.string()),
  finished: z.array(z.string()).optional(),
  questions: z.array(z.string()).optional(),
  waiting: z.array(z.string()).optional(),
  next: z.array(z.string()),
  suggestion: z.string(),
});
type Data = z.input<typeof output>;

export const whatsNext = defineTool({
  name: "whats_next",
  title: "What's next",
  description:
    "Call this when the person asks what is next, how things stand, or what needs them: it tells in about a dozen lines " +
    "what is finished and waits to be merged, open questions, what runs and when it was last heard of, what waits and " +
    "why, the top of the queue, and one suggestion. A working agent gets its own task and what would come after it; " +
    "to start working it calls claim_next_task. It changes nothing.",
  roles: ["agent", "human", "admin"],
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  input,
  output,
  async handle(_params, ctx) {
    const data = ctx.principal.role === "agent" ? await forAgent(ctx) : await forPerson(ctx);
    return { data, text: textOf(data) };
  },
});

async function forAgent(ctx: ToolContext): Promise<Data> {
  const session = await workingSession(ctx);
  const held = session?.taskId ?? null;
  const task = held === null ? undefined : await ctx.store.task(held);
  const mine = task !== undefined && isHeld(task.state) && task.sessionId === session?.id ? task : undefined;
  const next = await nextTasks(ctx, session?.projectId ?? ctx.principal.projectId ?? mine?.projectId ?? null, 1);
  return {
    ...stopped(ctx),
    running: mine === undefined ? [] : [`${line(mine)}, ${mine.state}, fence ${mine.fence}`],
    next: next.map(line),
    suggestion: suggestionForAgent(ctx, mine),
  };
}

function suggestionForAgent(ctx: ToolContext, mine: Task | undefined): string {
  if (ctx.stopped()) return "STOP is set: end now.";
  if (mine === undefined) return "Call claim_next_task.";
  return mine.state === "running"
    ? `Go on with ${taskName(mine.id)}; call complete_task when it is finished.`
    : `${taskName(mine.id)} is being checked: call get_result for what comes of it.`;
}

async function forPerson(ctx: ToolContext): Promise<Data> {
  const projects = new Map((await ctx.store.projects()).map((each) => [each.id, each]));
  const of = (task: Task) => nameOf(projects.get(task.projectId));
  const list = (states: TaskState[], limit = 20, order: "queue" | "newest" = "newest") =>
    visible(ctx, { states, limit, order });
  // What the sheet brought in as finished has nothing to be merged.
  const finished = (await list(["done"], SEARCHED)).filter((task) => task.integratedCommit !== null);
  const running = await list(["running", "checking", "in_review"]);
  const forNobody = (await list(["queued"], SEARCHED, "queue")).filter((task) => saysNobody(task.why));
  const waiting = [...(await list(["blocked", "failed"])), ...forNobody, ...(await list(["waiting"]))];
  const questions = (await ctx.store.openQuestions()).filter((each) => mayUse(ctx, each.projectId));
  const next = await nextTasks(ctx, ctx.principal.projectId, SHOWN);
  const data = {
    ...stopped(ctx),
    finished: some(finished.map((task) => `${line(task)} in ${of(task)}, ${labels(task)}`)),
    questions: some(
      questions.map(
        (each) => `${questionName(each.id)} of ${nameOf(projects.get(each.projectId))}: ${questionLine(each)}`,
      ),
    ),
    running: some(
      await Promise.all(
        running.slice(0, SHOWN).map(async (task) => `${line(task)} in ${of(task)}, ${await sign(ctx, task)}`),
      ),
      running.length,
    ),
    waiting: some(
      waiting.map(
        (task) => `${line(task)} in ${of(task)}, ${task.state}${until(ctx, task)}: ${whyOf(task, questions)}`,
      ),
    ),
    next: next.map((task) => `${line(task)} in ${of(task)}, ${rankOf(task, projects.get(task.projectId))}`),
  };
  return {
    ...data,
    suggestion: suggestionForPerson(data, questions[0], finished[0], forNobody[0], projects.size),
  };
}

/** One more than is shown, so that "and more" can be said without counting everything. */
async function visible(
  ctx: ToolContext,
  filter: { states: TaskState[]; limit: number; order: "queue" | "newest" },
): Promise<Task[]> {
  const { projectId } = ctx.principal;
  return ctx.store.tasks({ ...filter, ...(projectId !== null && { projectId }) });
}

/** What would be handed out next, best first: of lanes that are free, then of the others. */
async function nextTasks(ctx: ToolContext, projectId: number | null, limit: number): Promise<Task[]> {
  const found: Task[] = [];
  if (projectId === null) {
    const heads = (await ctx.store.readyHeads([ANYBODY], SEARCHED)).toSorted(
      (a, b) => a.band - b.band || a.served - b.served,
    );
    for (const head of heads) {
      const task = await ctx.store.task(head.taskId);
      if (task !== undefined && !saysNobody(task.why)) found.push(task);
      if (found.length >= limit) break;
    }
  }
  if (found.length >= limit) return found;
  const queued = await ctx.store.tasks({
    states: ["queued"],
    order: "queue",
    limit: SEARCHED,
    ...(projectId !== null && { projectId }),
  });
  const others = queued.filter((task) => !saysNobody(task.why) && !found.some((each) => each.id === task.id));
  return [...found, ...others].slice(0, limit);
}

function suggestionForPerson(
  data: Omit<Data, "suggestion">,
  question: Question | undefined,
  finished: Task | undefined,
  forNobody: Task | undefined,
  projects: number,
): string {
  if (data.stopped !== undefined) return "Nothing runs while STOP is set. To go on, ask for control with release.";
  if (question !== undefined) {
    const name = questionName(question.id);
    return `Answer ${name}: work waits for it. Tell the person's answer with answer_question, or they run: cto answer ${name} "…".`;
  }
  if (finished !== undefined)
    return `Look at ${taskName(finished.id)} and merge it; it is on branch cto/${taskName(finished.id)}.`;
  if (data.running.length > 0) return "Nothing needs you: work is under way.";
  if (data.next.length > 0) return "The queue has work and nothing runs: see that an agent is enabled in config.yaml.";
  if (forNobody !== undefined)
    return `${taskName(forNobody.id)} waits for an agent: correct its Assigned To, its project's Model, or agents in config.yaml.`;
  return projects === 0
    ? "Add a project to the sheet."
    : "The queue is empty: add a task to the sheet, or with add_task.";
}

function stopped(ctx: ToolContext): { stopped?: string } {
  const stop = ctx.stopped();
  return stop === undefined ? {} : { stopped: `STOP is set by ${oneLine(stop.by, 60)}: ${quoted(stop.why, 160)}` };
}

function line(task: Task): string {
  return `${taskName(task.id)} ${quoted(task.description, 80)}`;
}

function nameOf(project: Project | undefined): string {
  return quoted(project?.name ?? "", 60);
}

/** A question and the answers that it offers. */
function questionLine({ text, options }: Question): string {
  const offered = options.slice(0, 3).map((option) => quoted(option, 40));
  return offered.length === 0 ? quoted(text, 160) : `${quoted(text, 160)} (${offered.join(", ")}, or own words)`;
}

/** The question itself stands above. */
function whyOf(task: Task, questions: readonly Question[]): string {
  const asked = task.state === "blocked" ? questions.find(({ taskId }) => taskId === task.id) : undefined;
  return asked === undefined ? quoted(task.why, 120) : `by question ${questionName(asked.id)}`;
}

/** What was not checked or reviewed is always said. */
function labels(task: Task): string {
  return `${task.checked === "passed" ? "checked" : "unchecked"}, ${task.review === "approved" ? "reviewed" : "unreviewed"}`;
}

async function sign(ctx: ToolContext, task: Task): Promise<string> {
  const session = task.sessionId === null ? undefined : await ctx.store.session(task.sessionId);
  const by = task.agent === null ? "" : ` by ${oneLine(task.agent, 40)}`;
  const seen = session === undefined ? "" : `, last sign ${span(ctx.clock.now() - session.lastSeenAt)} ago`;
  return `${task.state}${by}${seen}`;
}

function until(ctx: ToolContext, task: Task): string {
  return task.waitUntil === null ? "" : ` for ${span(task.waitUntil - ctx.clock.now())} more`;
}

function rankOf(task: Task, project: Project | undefined): string {
  const priority = `priority ${task.priority ?? project?.priority ?? task.band}`;
  const why = [task.bandWhy, task.why].filter((words) => words !== "").map((words) => oneLine(words, 100));
  return [priority, ...why].join(", ");
}

function some(lines: string[], total = lines.length): string[] {
  const more = total - Math.min(lines.length, SHOWN);
  return more === 0 ? lines : [...lines.slice(0, SHOWN), `and ${more}${total >= 20 ? " or more" : ""} others`];
}

function textOf(data: Data): string {
  const part = (title: string, lines: string[] | undefined, none: string) =>
    lines === undefined
      ? []
      : lines.length === 0
        ? none === ""
          ? []
          : [none]
        : lines.map((each) => `${title}: ${each}`);
  return [
    ...part("Stopped", data.stopped === undefined ? [] : [data.stopped], ""),
    ...part("Finished, to be merged", data.finished, ""),
    ...part("Question", data.questions, ""),
    ...part("Running", data.running, "Nothing runs."),
    ...part("Waiting", data.waiting, ""),
    ...part("Next", data.next, "The queue is empty."),
    `Suggestion: ${data.suggestion}`,
  ].join("\n");
}
