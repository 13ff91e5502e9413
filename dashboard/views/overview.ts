import { html } from "hono/html";
import { projectStatus, type Project, type ProjectStatus, type StateCounts } from "../../hub/base/project.ts";
import type { Session } from "../../hub/base/session.ts";
import type { Task, TaskState } from "../../hub/base/task.ts";
import type { Question } from "../../hub/stores/store.ts";
import { EMPTY, when, type Markup } from "../markup.ts";
import type { Page, View } from "../page.ts";
import { count } from "../text.ts";
import { rankWords, whyOf } from "../words.ts";
import {
  ago,
  day,
  empty,
  line,
  moment,
  needsPerson,
  pager,
  projectBadge,
  projectLink,
  sessionBadge,
  taskLink,
  taskRow,
} from "./parts.ts";
import { questionBody } from "./questions.ts";

const PROJECTS_SHOWN = 30;
const QUEUE_SHOWN = 10;
const SESSIONS_SHOWN = 20;
const QUESTIONS_SHOWN = 20;
/** Tasks of a project that are looked at for its why and its next event. */
const HEADS = 5;

const UNFINISHED: TaskState[] = ["running", "checking", "in_review", "queued", "waiting", "blocked", "failed"];
const LISTED_FIRST: ReadonlySet<ProjectStatus> = new Set(["In Progress", "Blocked", "Waiting", "Queued"]);

interface ProjectRow {
  project: Project;
  status: ProjectStatus;
  counts: StateCounts;
}

/** The first page: what needs the person, what runs, where each project stands, what comes next. */
export async function overviewPage(view: View, pageNumber: number): Promise<Page> {
  const { store } = view;
  const [projects, counts, sessions, questions, queue] = await Promise.all([
    store.projects(),
    store.counts(),
    store.liveSessions(),
    store.openQuestions(),
    store.tasks({ states: ["queued"], order: "queue", limit: QUEUE_SHOWN }),
  ]);
  const byId = new Map(projects.map((project) => [project.id, project]));
  const rows = listed(projects, counts);
  const first = (pageNumber - 1) * PROJECTS_SHOWN;
  const shown = rows.slice(first, first + PROJECTS_SHOWN);
  const cards = await Promise.all(shown.map((row) => projectCard(view, row)));
  const running = await Promise.all(
    sessions.slice(0, SESSIONS_SHOWN).map((session) => sessionRow(view, session, byId)),
  );
  const total = totals(counts);
  return {
    title: "Overview",
    heading: "Overview",
    section: "overview",
    follows: pageNumber === 1,
    live: html`
      ${summary(view, total, sessions.length, questions.length)} ${questionsSection(view, questions, byId)}
      <div class="columns">
        <section aria-labelledby="running" class="running">
          <h2 id="running">Running now</h2>
          ${runningSection(view, running, sessions.length)}
        </section>
        <section aria-labelledby="projects" class="projects">
          <h2 id="projects">Projects</h2>
          ${projectsSection(rows.length, cards, first)}
          ${pager({
            ...(pageNumber > 1 ? { newest: "/" } : {}),
            ...(first + PROJECTS_SHOWN < rows.length ? { older: `/?page=${pageNumber + 1}` } : {}),
          })}
        </section>
        <section aria-labelledby="queue" class="queue">
          <h2 id="queue">Up next</h2>
          ${queueSection(view, queue, byId, total.queued ?? 0)}
        </section>
      </div>
    `,
  };
}

/** Projects as they are listed: those that are worked on first, each part by priority and name. */
function listed(projects: readonly Project[], counts: ReadonlyMap<number, StateCounts>): ProjectRow[] {
  return projects
    .map((project) => {
      const own = counts.get(project.id) ?? {};
      return { project, counts: own, status: projectStatus(project, own) };
    })
    .toSorted(
      (a, b) =>
        Number(LISTED_FIRST.has(b.status)) - Number(LISTED_FIRST.has(a.status)) ||
        a.project.priority - b.project.priority ||
        compare(a.project.name, b.project.name) ||
        a.project.id - b.project.id,
    );
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function totals(counts: ReadonlyMap<number, StateCounts>): StateCounts {
  const sum: StateCounts = {};
  for (const own of counts.values()) {
    for (const [state, n] of Object.entries(own)) sum[state as TaskState] = (sum[state as TaskState] ?? 0) + n;
  }
  return sum;
}

function summary(view: View, total: StateCounts, sessions: number, questions: number): Markup {
  const sheet = view.hub.sheet();
  const figure = (href: string, n: number, words: string, tone: string) =>
    html`<li>
      <a href="${href}"
        ><span class="figure ${n > 0 ? tone : "quiet"}">${n.toLocaleString("en-GB")}</span
        ><span class="figure-words">${words}</span></a
      >
    </li>`;
  return html`<section aria-label="At a glance">
    <ul class="figures">
      ${figure("#questions", questions, questions === 1 ? "question" : "questions", "need")}
      ${figure("#running", sessions, "running", "active")}
      ${figure("/tasks?state=queued&order=queue", total.queued ?? 0, "queued", "ready")}
      ${figure("/tasks?state=waiting", total.waiting ?? 0, "waiting", "wait")}
      ${figure("/tasks?state=blocked", total.blocked ?? 0, "blocked", "need")}
      ${figure("/tasks?state=complete", total.done ?? 0, "complete", "good")}
    </ul>
    <p class="sheet-state ${sheet.ok ? "" : "need"}"><strong>Sheet:</strong> ${line(sheet.words, 300)}</p>
  </section>`;
}

function questionsSection(view: View, questions: readonly Question[], projects: ReadonlyMap<number, Project>): Markup {
  if (questions.length === 0) return html`<div id="questions"></div>`;
  return html`<section aria-labelledby="questions" class="questions">
    <h2 id="questions">Needs you</h2>
    <ul class="cards">
      ${questions.slice(0, QUESTIONS_SHOWN).map((question) => questionCard(view, question, projects))}
    </ul>
    ${when(
      questions.length > QUESTIONS_SHOWN,
      () => html`<p class="muted">and ${count(questions.length - QUESTIONS_SHOWN, "more question")}</p>`,
    )}
  </section>`;
}

function questionCard(view: View, question: Question, projects: ReadonlyMap<number, Project>): Markup {
  return html`<li class="card need">
    ${questionBody(question, "/")}
    <p class="meta">
      <span>${projectLink(projects.get(question.projectId))}</span>
      ${when(
        question.taskId !== null,
        () => html`<span><a class="id" href="/tasks/T${question.taskId ?? 0}">T${question.taskId ?? 0}</a></span>`,
      )}
      <span>asked ${ago(view, question.askedAt)}</span>
    </p>
  </li>`;
}

function projectsSection(total: number, cards: readonly Markup[], first: number): Markup {
  if (total === 0) {
    return empty(
      "No project yet. Add a row with a name and a priority to the Projects tab of your sheet: it appears here within seconds.",
    );
  }
  if (cards.length === 0) return empty(html`There are no projects this far down. <a href="/">See the first ones</a>.`);
  return html`${when(
      total > PROJECTS_SHOWN,
      () => html`<p class="muted">${first + 1} to ${first + cards.length} of ${count(total, "project")}</p>`,
    )}
    <ul class="cards grid">
      ${cards}
    </ul>`;
}

async function projectCard(view: View, row: ProjectRow): Promise<Markup> {
  const { project, status, counts } = row;
  const heads = await headsOf(view, project.id, counts);
  const head = heads[0];
  const why = projectWhy(project, status, heads);
  const raised = heads.find((task) => task.bandWhy !== "");
  const next = nextEvent(view, project, heads);
  return html`<li class="card">
    <div class="card-head">
      <h3>${projectLink(project)}</h3>
      ${projectBadge(status)}
    </div>
    <p class="meta">
      <span><bdi>${rankWords(project.priority, raised?.bandWhy ?? "")}</bdi></span>
      <span>${project.agent === "" ? "no agent yet" : line(project.agent, 40)}</span>
      ${when(project.gpu, () => html`<span>GPU</span>`)}
      <span>${project.lastUpdateAt === null ? "no update yet" : ago(view, project.lastUpdateAt)}</span>
    </p>
    ${head !== undefined && status === "In Progress" ? html`<p class="current">${taskLink(head, 90)}</p>` : EMPTY}
    ${when(project.progress !== "", () => html`<p class="progress">${line(project.progress, 220)}</p>`)}
    ${when(why !== EMPTY, () => html`<p class="why">${why}</p>`)}
    ${when(next !== EMPTY, () => html`<p class="next">${next}</p>`)}
    <p class="meta">${countWords(counts)}</p>
  </li>`;
}

/** The project's first unfinished tasks, in the order in which they will be worked on. */
export async function headsOf(view: View, projectId: number, counts: StateCounts): Promise<Task[]> {
  if (!UNFINISHED.some((state) => (counts[state] ?? 0) > 0)) return [];
  return view.store.tasks({ projectId, states: UNFINISHED, order: "queue", limit: HEADS });
}

/** Why the project stands where it stands; `EMPTY` when its status says it all. */
export function projectWhy(project: Project, status: ProjectStatus, heads: readonly Task[]): Markup {
  if (project.blockedWhy !== null) return html`<span class="need">${line(project.blockedWhy, 280)}</span>`;
  if (status === "Planning") return html`Its status in the sheet is Planning: it is not worked on.`;
  if (status === "Paused") return html`Paused by you: set its status in the sheet to Queued to go on.`;
  const stuck = mostTelling(status, heads);
  if (stuck === undefined) {
    if (status !== "Queued" || heads.length > 0) return EMPTY;
    return html`It has no task. Write a Next Action in its row, or add a row to the Task Queue tab.`;
  }
  return html`<a class="id" href="/tasks/T${stuck.id}">T${stuck.id}</a>
    <bdi class="${needsPerson(stuck) ? "need" : ""}">${whyOf(stuck)}</bdi>`;
}

/** The task whose reason says most: one that needs the person, else, where nothing runs, the first that has one. */
function mostTelling(status: ProjectStatus, heads: readonly Task[]): Task | undefined {
  const telling = heads.filter((task) => whyOf(task) !== "");
  return telling.find(needsPerson) ?? (status === "In Progress" ? undefined : telling[0]);
}

/** What happens next by itself and when; `EMPTY` when nothing is known. */
export function nextEvent(view: View, project: Project, heads: readonly Task[]): Markup {
  const waking = heads
    .filter((task) => task.state === "waiting" && task.waitUntil !== null)
    .toSorted((a, b) => (a.waitUntil ?? 0) - (b.waitUntil ?? 0))[0];
  if (waking !== undefined && waking.waitUntil !== null) {
    return html`Next: <span class="id">T${waking.id}</span> goes on ${moment(view, waking.waitUntil)}`;
  }
  const rising = heads
    .filter((task) => task.state === "queued" && task.rankDueAt !== null && task.rankDueAt > view.now)
    .toSorted((a, b) => (a.rankDueAt ?? 0) - (b.rankDueAt ?? 0))[0];
  if (rising !== undefined && rising.rankDueAt !== null) {
    return html`Next: <span class="id">T${rising.id}</span> rises in rank ${moment(view, rising.rankDueAt)}`;
  }
  return project.deadline === null ? EMPTY : html`Deadline: ${day(view, project.deadline)}`;
}

/** `2 running · 3 queued`, as far as there is anything. */
export function countWords(counts: StateCounts): Markup {
  const n = (...states: TaskState[]) => states.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
  const parts: [number, string][] = [
    [n("running", "checking"), "running"],
    [n("in_review"), "in review"],
    [n("queued"), "queued"],
    [n("waiting"), "waiting"],
    [n("blocked"), "blocked"],
    [n("failed"), "failed"],
    [n("done"), "complete"],
    [n("landed"), "landed"],
  ];
  const shown = parts.filter(([figure]) => figure > 0);
  if (shown.length === 0) return html`<span>no tasks</span>`;
  return html`${shown.map(([figure, words]) => html`<span>${figure} ${words}</span>`)}`;
}

function runningSection(view: View, rows: readonly Markup[], total: number): Markup {
  if (rows.length > 0) {
    return html`<ul class="rows">
        ${rows}
      </ul>
      ${when(total > rows.length, () => html`<p class="muted">and ${total - rows.length} more</p>`)}`;
  }
  return empty(
    view.hub.stopped() === undefined
      ? "No agent runs. One is started as soon as a task is ready for it; what is not ready says why."
      : "No agent runs, because STOP is set.",
  );
}

async function sessionRow(view: View, session: Session, projects: ReadonlyMap<number, Project>): Promise<Markup> {
  const task = session.taskId === null ? undefined : await view.store.task(session.taskId);
  const project = session.projectId === null ? undefined : projects.get(session.projectId);
  return html`<li class="row">
    <div class="row-head">
      <a href="/sessions/${encodeURIComponent(session.id)}"
        ><bdi>${line(session.agent, 40)}</bdi> <span class="muted">on ${line(session.machine, 40)}</span></a
      >
      ${sessionBadge(session)}
    </div>
    <p>${task === undefined ? html`<span class="muted">Has no task yet</span>` : taskLink(task, 90)}</p>
    ${when(task !== undefined && task.progress !== "", () => html`<p class="progress">${line(task?.progress ?? "", 160)}</p>`)}
    <p class="meta">
      ${project === undefined ? EMPTY : html`<span>${projectLink(project)}</span>`}
      <span>last sign of life ${ago(view, session.lastSeenAt)}</span>
      <span>since ${moment(view, session.startedAt)}</span>
    </p>
  </li>`;
}

function queueSection(
  view: View,
  queue: readonly Task[],
  projects: ReadonlyMap<number, Project>,
  total: number,
): Markup {
  if (queue.length === 0) {
    return empty("Nothing is queued. Add a row to the Task Queue tab, or write a Next Action in a project's row.");
  }
  return html`<ol class="rows">
      ${queue.map((task) => taskRow(view, task, projects.get(task.projectId)))}
    </ol>
    ${when(
      total > queue.length,
      () => html`<p><a href="/tasks?state=queued&amp;order=queue">All ${count(total, "queued task")}</a></p>`,
    )}`;
}
