import { html } from "hono/html";
import type { Project } from "../../hub/base/project.ts";
import { TASK_STATES } from "../../hub/base/task.ts";
import type { Markup } from "../markup.ts";
import type { Page, View } from "../page.ts";
import { oneLine } from "../text.ts";
import { STATE_FILTERS } from "../words.ts";
import { empty, pager, positive, taskRow } from "./parts.ts";

const TASKS_SHOWN = 50;
const QUEUE_SHOWN = 100;
/** Projects offered by the filter: a longer list helps nobody. */
const CHOICES = 200;

export interface TaskQuery {
  project: string;
  state: string;
  order: "newest" | "queue";
  before: number | undefined;
}

/** Reads the list's query; whatever cannot be understood counts as not given. */
export function taskQuery(query: Record<string, string>): TaskQuery {
  const state = query["state"] ?? "";
  return {
    project: (query["project"] ?? "").slice(0, 200),
    state: STATE_FILTERS.some((filter) => filter.value === state) ? state : "",
    order: query["order"] === "queue" ? "queue" : "newest",
    before: positive(query["before"]),
  };
}

/** All tasks, by project and state, newest first (a page at a time) or in the queue's order. */
export async function tasksPage(view: View, query: TaskQuery): Promise<Page> {
  const { store } = view;
  const projects = await store.projects();
  const chosen = query.project === "" ? undefined : await projectBySlug(view, query.project);
  const unknown = query.project !== "" && chosen === undefined;
  const limit = query.order === "queue" ? QUEUE_SHOWN : TASKS_SHOWN;
  const states = STATE_FILTERS.find((filter) => filter.value === query.state)?.states ?? TASK_STATES;
  const tasks = unknown
    ? []
    : await store.tasks({
        states: [...states],
        order: query.order,
        limit: limit + 1,
        ...(chosen === undefined ? {} : { projectId: chosen.id }),
        ...(query.before === undefined || query.order === "queue" ? {} : { beforeId: query.before }),
      });
  const shown = tasks.slice(0, limit);
  const byId = new Map([...projects, ...(chosen === undefined ? [] : [chosen])].map((each) => [each.id, each]));
  const more = tasks.length > limit;
  const last = shown.at(-1);
  return {
    title: "Tasks",
    heading: "Tasks",
    section: "tasks",
    follows: query.before === undefined,
    fixed: filterForm(query, projects, chosen),
    live: html`
      ${
        shown.length === 0
          ? noTasks(query, unknown)
          : html`<ol class="rows wide" aria-label="Tasks">
              ${shown.map((task) => taskRow(view, task, byId.get(task.projectId)))}
            </ol>`
      }
      ${query.order === "queue" && more ? html`<p class="muted">The first ${limit} are shown.</p>` : ""}
      ${pager({
        ...(query.before === undefined ? {} : { newest: address({ ...query, before: undefined }) }),
        ...(more && query.order === "newest" && last !== undefined
          ? { older: address({ ...query, before: last.id }) }
          : {}),
      })}
    `,
  };
}

/** A project by its slug, archived ones too. */
export async function projectBySlug(view: View, slug: string): Promise<Project | undefined> {
  const found = await view.store.findProject(slug);
  if (found?.slug === slug) return found;
  const all = await view.store.projects({ archived: true });
  return all.find((project) => project.slug === slug);
}

function address(query: TaskQuery): string {
  const params = new URLSearchParams();
  if (query.project !== "") params.set("project", query.project);
  if (query.state !== "") params.set("state", query.state);
  if (query.order !== "newest") params.set("order", query.order);
  if (query.before !== undefined) params.set("before", String(query.before));
  const text = params.toString();
  return text === "" ? "/tasks" : `/tasks?${text}`;
}

function noTasks(query: TaskQuery, unknown: boolean): Markup {
  if (unknown) return empty(html`There is no such project. <a href="/tasks">See the tasks of all projects</a>.`);
  if (query.project !== "" || query.state !== "" || query.before !== undefined) {
    return empty(html`No task matches. <a href="/tasks">See all tasks</a>.`);
  }
  return empty(
    "No task yet. Add a row to the Task Queue tab of your sheet, or write a Next Action in a project's row: either becomes a task within seconds.",
  );
}

function filterForm(query: TaskQuery, projects: readonly Project[], chosen: Project | undefined): Markup {
  const choices = projects.toSorted((a, b) => a.priority - b.priority || a.id - b.id).slice(0, CHOICES);
  if (chosen !== undefined && !choices.some((project) => project.id === chosen.id)) choices.unshift(chosen);
  return html`<form class="filter" method="get" action="/tasks" role="search" aria-label="Filter tasks">
    <label
      >Project
      <select name="project">
        <option value="">All projects</option>
        ${choices.map((project) => option(project.slug, oneLine(project.name, 60), project.id === chosen?.id))}
      </select></label
    >
    <label
      >State
      <select name="state">
        <option value="">Any state</option>
        ${STATE_FILTERS.map((filter) => option(filter.value, filter.words, filter.value === query.state))}
      </select></label
    >
    <label
      >Order
      <select name="order">
        ${option("newest", "Newest first", query.order === "newest")}
        ${option("queue", "As worked on", query.order === "queue")}
      </select></label
    >
    <button>Show</button>
  </form>`;
}

function option(value: string, words: string, selected: boolean): Markup {
  return selected
    ? html`<option value="${value}" selected>${words}</option>`
    : html`<option value="${value}">${words}</option>`;
}
