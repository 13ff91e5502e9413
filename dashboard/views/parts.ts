import { html } from "hono/html";
import { taskName } from "../../hub/base/ids.ts";
import type { HubEvent } from "../../hub/base/event.ts";
import type { Project, ProjectStatus } from "../../hub/base/project.ts";
import type { Session } from "../../hub/base/session.ts";
import type { Task } from "../../hub/base/task.ts";
import { icon } from "../icons.ts";
import { EMPTY, when, type Markup } from "../markup.ts";
import type { View } from "../page.ts";
import { oneLine, plain, tail } from "../text.ts";
import { age } from "../times.ts";
import {
  byWords,
  eventDetail,
  eventLook,
  isNews,
  projectLook,
  rankWords,
  SESSION_LOOKS,
  taskLook,
  whyOf,
  type Look,
} from "../words.ts";

/** A moment, as `14:32`; the whole of it on hovering, and for machines. */
export function moment(view: View, at: number): Markup {
  return html`<time datetime="${new Date(at).toISOString()}" title="${view.times.full(at)}"
    >${view.times.short(at, view.now)}</time
  >`;
}

/** A moment as its age, which the script keeps true. */
export function ago(view: View, at: number): Markup {
  return html`<time datetime="${new Date(at).toISOString()}" title="${view.times.full(at)}" data-age
    >${age(at, view.now)}</time
  >`;
}

/** A date without a time of day. */
export function day(view: View, at: number): Markup {
  return html`<time datetime="${new Date(at).toISOString()}">${view.times.day(at)}</time>`;
}

/** Whether a task stands still until a person does something. */
export function needsPerson(task: Pick<Task, "state">): boolean {
  return task.state === "blocked" || task.state === "failed";
}

/** A status word with its picture. */
function badge(look: Look & { words: string }): Markup {
  return html`<span class="badge ${look.tone}">${icon(look.icon)}${look.words}</span>`;
}

export function taskBadge(task: Pick<Task, "state">): Markup {
  return badge(taskLook(task.state));
}

export function sessionBadge(session: Pick<Session, "state">): Markup {
  return badge(SESSION_LOOKS[session.state]);
}

export function projectBadge(status: ProjectStatus): Markup {
  return badge(projectLook(status));
}

/** Text from outside on one line, isolated so that its direction stays its own. */
export function line(text: string, max?: number): Markup {
  return html`<bdi>${oneLine(text, max)}</bdi>`;
}

/** Text from outside with its line breaks, at most 20,000 characters. */
export function block(text: string): Markup {
  const clean = plain(text);
  return html`<div class="text" dir="auto">${clean.slice(0, 20_000)}${clean.length > 20_000 ? "\n…" : ""}</div>`;
}

/** Output of a program: its end, at most `max` characters. */
export function output(text: string, label: string, max = 20_000): Markup {
  return html`<pre class="output" tabindex="0" role="region" aria-label="${label}">${tail(plain(text), max)}</pre>`;
}

export function taskPath(id: number): string {
  return `/tasks/${taskName(id)}`;
}

export function projectLink(project: Pick<Project, "slug" | "name"> | undefined): Markup {
  if (project === undefined) return html`<span class="muted">a project that is gone</span>`;
  return html`<a href="/projects/${project.slug}"><bdi>${oneLine(project.name, 80)}</bdi></a>`;
}

/** `T12` and what it is about, as one link. */
export function taskLink(task: Pick<Task, "id" | "description">, max = 110): Markup {
  return html`<a class="task-link" href="${taskPath(task.id)}"
    ><span class="id">${taskName(task.id)}</span> <bdi>${oneLine(task.description, max)}</bdi></a
  >`;
}

export function empty(words: Markup | string): Markup {
  return html`<p class="empty">${words}</p>`;
}

/** Name and value pairs; pairs without a value are left out. */
export function facts(pairs: readonly (readonly [name: string, value: Markup | string | null])[]): Markup {
  const shown = pairs.filter(([, value]) => value !== null && value !== "");
  return html`<dl class="facts">
    ${shown.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}

/** One row of a list of tasks. `project` is left out on a project's own page. */
export function taskRow(view: View, task: Task, project: Project | undefined, showProject = true): Markup {
  const why = whyOf(task);
  const priority = task.priority ?? project?.priority ?? null;
  return html`<li class="row">
    <div class="row-head">${taskLink(task)} ${taskBadge(task)}</div>
    ${when(why !== "", () => html`<p class="why ${needsPerson(task) ? "need" : ""}"><bdi>${why}</bdi>${waitsUntil(view, task)}</p>`)}
    <p class="meta">
      ${when(showProject, () => html`<span>${projectLink(project)}</span>`)}
      ${priority === null ? EMPTY : html`<span><bdi>${rankWords(priority, task.bandWhy)}</bdi></span>`}
      ${task.agent === null ? EMPTY : html`<span>${line(task.agent, 40)}</span>`}
      <span>${ago(view, task.completedAt ?? task.updatedAt)}</span>
    </p>
  </li>`;
}

/** ` · until 15:20` for a task that is looked at again at a known time. */
export function waitsUntil(view: View, task: Task): Markup {
  if (task.state !== "waiting" || task.waitUntil === null) return EMPTY;
  return html` <span class="until">until ${moment(view, task.waitUntil)}</span>`;
}

interface TimelineOptions {
  showTask?: boolean;
  showProject?: boolean;
}

/** The timeline: events newest first, one list item each. */
export async function timeline(
  view: View,
  events: readonly HubEvent[],
  projects: ReadonlyMap<number, Project>,
  options: TimelineOptions = {},
): Promise<Markup> {
  const ids = new Set(options.showTask === false ? [] : events.flatMap(({ taskId }) => taskId ?? []));
  const found = await Promise.all([...ids].map((id) => view.store.task(id)));
  const tasks = new Map(found.flatMap((task) => (task === undefined ? [] : [[task.id, task]])));
  return html`<ol class="timeline">
    ${events.filter(isNews).map((event) => eventRow(view, event, { projects, tasks }, options))}
  </ol>`;
}

function eventRow(
  view: View,
  event: HubEvent,
  known: { projects: ReadonlyMap<number, Project>; tasks: ReadonlyMap<number, Task> },
  options: TimelineOptions,
): Markup {
  const look = eventLook(event);
  const detail = eventDetail(event);
  const project = event.projectId === null ? undefined : known.projects.get(event.projectId);
  const task = event.taskId === null ? undefined : known.tasks.get(event.taskId);
  const by = byWords(event.principal);
  return html`<li class="event ${look.tone}">
    <span class="event-time">${moment(view, event.at)}</span>
    <span class="event-icon">${icon(look.icon)}</span>
    <div class="event-body">
      <p>
        ${when(options.showProject !== false && project !== undefined, () => html`${projectLink(project)}: `)}<strong>${look.words}</strong>${task === undefined ? EMPTY : html` ${taskLink(task, 70)}`}
        ${when(by !== "" || event.sessionId !== null, () => html`<span class="by">${byMarkup(event, by)}</span>`)}
      </p>
      ${when(detail !== "", () => html`<p class="detail"><bdi>${detail}</bdi></p>`)}
    </div>
  </li>`;
}

/** Who did it; the session that it is about is a link. */
function byMarkup(event: HubEvent, by: string): Markup {
  const session = event.sessionId;
  if (session === null) return html`by <bdi>${by}</bdi>`;
  const link = html`<a href="/sessions/${encodeURIComponent(session)}">session ${oneLine(session, 40)}</a>`;
  return by === "" || by === `session:${session}` ? link : html`by <bdi>${by}</bdi>, ${link}`;
}

/** Links to the rows before and back to the newest ones. */
export function pager(links: { newest?: string; older?: string }): Markup {
  if (links.newest === undefined && links.older === undefined) return EMPTY;
  return html`<nav class="pager" aria-label="Pages">
    ${links.newest === undefined ? EMPTY : html`<a class="button" href="${links.newest}">Newest</a>`}
    ${links.older === undefined ? EMPTY : html`<a class="button" href="${links.older}" rel="next">Older</a>`}
  </nav>`;
}

/** A whole number above zero from a query or path value; undefined for anything else. */
export function positive(text: string | undefined): number | undefined {
  return text !== undefined && /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined;
}
