import { html } from "hono/html";
import { projectStatus, type Project } from "../../hub/base/project.ts";
import { EMPTY, when, type Markup } from "../markup.ts";
import type { Page, View } from "../page.ts";
import { rankWords } from "../words.ts";
import { countWords, headsOf, nextEvent, projectWhy } from "./overview.ts";
import { ago, block, day, empty, facts, line, moment, projectBadge, taskRow, timeline } from "./parts.ts";
import { questionBody } from "./questions.ts";
import { continuationBody } from "./task.ts";

const TASKS_SHOWN = 20;
const EVENTS_SHOWN = 20;

/** One project: its row of the sheet, its tasks, its hand-over, what happened. */
export async function projectPage(view: View, project: Project): Promise<Page> {
  const { store } = view;
  const [allCounts, open, newest, continuation, questions, events] = await Promise.all([
    store.counts(),
    store.tasks({
      projectId: project.id,
      states: ["running", "checking", "in_review", "queued", "waiting", "blocked", "failed"],
      order: "queue",
      limit: TASKS_SHOWN,
    }),
    store.tasks({ projectId: project.id, states: ["done", "landed", "cancelled", "discarded"], limit: TASKS_SHOWN }),
    store.latestContinuation(project.id),
    store.openQuestions(),
    store.recentEvents({ projectId: project.id, limit: EVENTS_SHOWN }),
  ]);
  const counts = allCounts.get(project.id) ?? {};
  const status = projectStatus(project, counts);
  const heads = await headsOf(view, project.id, counts);
  const why = projectWhy(project, status, heads);
  const next = nextEvent(view, project, heads);
  const own = questions.filter((question) => question.projectId === project.id);
  const projects = new Map([[project.id, project]]);
  return {
    title: project.name.slice(0, 80),
    heading: line(project.name, 140),
    section: "overview",
    follows: true,
    live: html`
      <div class="state-line">
        ${projectBadge(status)} ${when(why !== EMPTY, () => html`<span class="why">${why}</span>`)}
      </div>
      ${when(next !== EMPTY, () => html`<p class="next">${next}</p>`)}
      <p class="meta">${countWords(counts)}</p>
      ${own.slice(0, 10).map((question) => html`<section class="card need" aria-label="Question">${questionBody(question, `/projects/${project.slug}`)}</section>`)}
      ${when(
        project.progress !== "",
        () =>
          html`<section>
            <h2>Progress</h2>
            ${block(project.progress)}
          </section>`,
      )}
      ${projectFacts(view, project, heads.find((task) => task.bandWhy !== "")?.bandWhy ?? "")}
      <section aria-labelledby="open">
        <h2 id="open">Open tasks</h2>
        ${
          open.length === 0
            ? empty("Nothing is open. Write a Next Action in its row, or add a row to the Task Queue tab.")
            : html`<ol class="rows wide">
                ${open.map((task) => taskRow(view, task, project, false))}
              </ol>`
        }
        <p><a href="/tasks?project=${project.slug}">All tasks of this project</a></p>
      </section>
      ${when(
        newest.length > 0,
        () =>
          html`<section aria-labelledby="finished">
            <h2 id="finished">Finished</h2>
            <ol class="rows wide">
              ${newest.map((task) => taskRow(view, task, project, false))}
            </ol>
          </section>`,
      )}
      ${
        continuation === undefined
          ? EMPTY
          : html`<section aria-labelledby="hand-over">
              <h2 id="hand-over">Hand-over</h2>
              ${continuationBody(view, continuation)}
            </section>`
      }
      <section aria-labelledby="history">
        <h2 id="history">Latest activity</h2>
        ${events.length === 0 ? empty("Nothing happened here yet.") : await timeline(view, events, projects, { showProject: false })}
        <p><a href="/activity?project=${project.slug}">All activity of this project</a></p>
      </section>
    `,
  };
}

function projectFacts(view: View, project: Project, bandWhy: string): Markup {
  const text = (value: string) => (value === "" ? null : line(value, 300));
  const code = (value: string) => (value === "" ? null : html`<code>${line(value, 300)}</code>`);
  return html`<section>
    <h2>In the sheet</h2>
    ${facts([
      ["Priority", html`<bdi>${rankWords(project.priority, bandWhy)}</bdi>`],
      ["Deadline", project.deadline === null ? text(project.deadlineText) : day(view, project.deadline)],
      ["Next action", text(project.nextAction)],
      ["Agent", text(project.agent)],
      ["Model", text(project.model)],
      ["GPU", project.gpu ? "yes" : null],
      ["Repository", code(project.repo)],
      ["Path", code(project.path)],
      ["Setup", code(project.setup)],
      ["Check", project.check === "" ? "none: its work is labelled unchecked" : code(project.check)],
      ["Depends on", text(project.dependsOn)],
      ["Budget", text(project.budget)],
      ["Autonomy", project.autonomy],
      ["Machine", text(project.machine)],
      ["Review", project.review],
      ["Last update", project.lastUpdateAt === null ? null : ago(view, project.lastUpdateAt)],
      ["Added", moment(view, project.createdAt)],
    ])}
  </section>`;
}
