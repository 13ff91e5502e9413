import { html } from "hono/html";
import { taskBranch, taskName } from "../../hub/base/ids.ts";
import type { StoredContinuation } from "../../hub/base/continuation.ts";
import type { Task } from "../../hub/base/task.ts";
import type { Artefact, CheckRecord, Question } from "../../hub/stores/store.ts";
import { EMPTY, when, type Markup } from "../markup.ts";
import type { Page, View } from "../page.ts";
import { oneLine, size } from "../text.ts";
import { duration } from "../times.ts";
import { CHECK_WORDS, rankWords, REVIEW_WORDS, whyOf } from "../words.ts";
import {
  ago,
  block,
  empty,
  facts,
  line,
  moment,
  needsPerson,
  output,
  pager,
  projectLink,
  taskBadge,
  taskPath,
  timeline,
  waitsUntil,
} from "./parts.ts";
import { questionBody, retryForm, steerSection } from "./questions.ts";

const EVENTS_SHOWN = 50;
const CHECKS_SHOWN = 5;
const ANSWERS_SHOWN = 5;
const MESSAGES_SHOWN = 5;

/** Everything about one task. `before` is the event before which its history is shown. */
export async function taskPage(view: View, task: Task, before: number | undefined): Promise<Page> {
  const { store } = view;
  const [project, checks, artefacts, continuation, questions, answers, messages, events] = await Promise.all([
    store.project(task.projectId),
    store.checks(task.id),
    store.artefacts(task.id),
    store.latestContinuation(task.projectId),
    store.openQuestions(),
    store.answers(task.id, ANSWERS_SHOWN),
    store.messages(task.id, MESSAGES_SHOWN),
    store.recentEvents({
      taskId: task.id,
      limit: EVENTS_SHOWN + 1,
      ...(before === undefined ? {} : { beforeSeq: before }),
    }),
  ]);
  const shown = events.slice(0, EVENTS_SHOWN);
  const open = questions.filter((question) => question.taskId === task.id);
  const why = whyOf(task);
  const steering = await steerSection(view, task, messages);
  const projects = new Map(project === undefined ? [] : [[project.id, project]]);
  return {
    title: `${taskName(task.id)} ${oneLine(task.description, 60)}`,
    heading: html`<span class="id">${taskName(task.id)}</span> ${line(task.description, 140)}`,
    section: "tasks",
    follows: before === undefined,
    live: html`
      <div class="state-line">
        ${taskBadge(task)}
        ${when(why !== "", () => html`<span class="why ${needsPerson(task) ? "need" : ""}"><bdi>${why}</bdi>${waitsUntil(view, task)}</span>`)}
      </div>
      ${open.map((question) => html`<section class="card need" aria-label="Question">${questionBody(question, taskPath(task.id))}</section>`)}
      ${retryForm(task, open)} ${taskFacts(view, task, projectLink(project), project?.priority ?? null)} ${steering}
      ${when(oneLine(task.description, 140) !== task.description.trim(), () => textSection("Description", task.description))}
      ${when(task.summary === null, () => textSection("Progress", task.progress))}
      ${textSection("Summary", task.summary ?? "")} ${textSection("Next action it named", task.statedNext ?? "")}
      ${answersSection(view, answers)} ${textSection("Findings to mend", task.findings ?? "")}
      ${checksSection(view, task, checks)} ${commitsSection(task)} ${filesSection(view, artefacts)}
      ${continuationSection(view, task, continuation)}
      <section aria-labelledby="history">
        <h2 id="history">History</h2>
        ${
          shown.length === 0
            ? empty("Nothing happened here.")
            : await timeline(view, shown, projects, { showTask: false, showProject: false })
        }
        ${pager({
          ...(before === undefined ? {} : { newest: taskPath(task.id) }),
          ...(events.length > EVENTS_SHOWN ? { older: `${taskPath(task.id)}?before=${shown.at(-1)?.seq ?? 1}` } : {}),
        })}
      </section>
    `,
  };
}

function taskFacts(view: View, task: Task, project: Markup, projectPriority: number | null): Markup {
  const priority = task.priority ?? projectPriority;
  return facts([
    ["Project", project],
    ["Priority", priority === null ? null : html`<bdi>${rankWords(priority, task.bandWhy)}</bdi>`],
    ["Type", `${task.type}, ${task.complexity}`],
    ["Agent", line(task.agent ?? task.wantedAgent ?? "any")],
    ["Your Task ID", task.alias === null ? null : line(task.alias)],
    ["Depends on", task.dependsOn === "" ? null : line(task.dependsOn)],
    ["Waits for", task.openDependencies === 0 ? null : `${task.openDependencies} unfinished`],
    ["Session", task.sessionId === null ? null : sessionLink(task.sessionId)],
    ["Failed attempts", task.failures === 0 ? null : String(task.failures)],
    ["Rounds of findings", task.rounds === 0 ? null : String(task.rounds)],
    ["Review", task.review === null ? null : REVIEW_WORDS[task.review]],
    ["Output", task.output === null || task.output === "" ? null : line(task.output, 300)],
    ["Added", html`${moment(view, task.createdAt)}, from ${task.origin.replace("_", " ")}`],
    ["Started", task.startedAt === null ? null : moment(view, task.startedAt)],
    ["Completed", task.completedAt === null ? null : moment(view, task.completedAt)],
    ["Last update", ago(view, task.updatedAt)],
  ]);
}

function answersSection(view: View, answers: readonly Question[]): Markup {
  return when(
    answers.length > 0,
    () =>
      html`<section>
        <h2>Answered</h2>
        <ul class="cards">
          ${answers.map(
            (question) =>
              html`<li class="card">
                ${block(question.text)}
                <p class="answer"><strong>${line(question.answer ?? "", 300)}</strong></p>
                <p class="meta">
                  <span
                    >${question.answeredAt === null ? EMPTY : html`answered ${ago(view, question.answeredAt)}`}</span
                  >
                </p>
              </li>`,
          )}
        </ul>
      </section>`,
  );
}

function sessionLink(id: string): Markup {
  return html`<a href="/sessions/${encodeURIComponent(id)}">${line(id, 60)}</a>`;
}

function textSection(title: string, text: string): Markup {
  return when(
    text.trim() !== "",
    () =>
      html`<section>
        <h2>${title}</h2>
        ${block(text)}
      </section>`,
  );
}

function checksSection(view: View, task: Task, checks: readonly CheckRecord[]): Markup {
  if (checks.length === 0) {
    return when(
      task.checked === "unchecked",
      () =>
        html`<section>
          <h2>Check</h2>
          <p>${CHECK_WORDS.unchecked}.</p>
        </section>`,
    );
  }
  const newest = checks.toSorted((a, b) => b.at - a.at).slice(0, CHECKS_SHOWN);
  return html`<section aria-labelledby="checks">
    <h2 id="checks">Check</h2>
    ${newest.map((check, index) => checkDetails(view, check, index === 0))}
    ${when(checks.length > newest.length, () => html`<p class="muted">${checks.length - newest.length} earlier</p>`)}
  </section>`;
}

function checkDetails(view: View, check: CheckRecord, open: boolean): Markup {
  const tone = check.outcome === "passed" ? "good" : check.outcome === "unchecked" ? "quiet" : "bad";
  const body = html`<summary>
      <span class="badge ${tone}">${CHECK_WORDS[check.outcome]}</span>
      <span class="muted"
        >${ago(view, check.at)}, ${duration(check.durationMs)}, commit
        <code>${oneLine(check.commit, 12).slice(0, 10)}</code
        >${check.exitCode === null ? "" : `, exit code ${check.exitCode}`}</span
      >
    </summary>
    ${when(check.command !== "", () => html`<p>Command: <code>${oneLine(check.command, 300)}</code></p>`)}
    ${check.tail.trim() === "" ? html`<p class="muted">It printed nothing.</p>` : output(check.tail, "Output of the check")}`;
  const id = `check-${check.fence}-${check.at}`;
  return open
    ? html`<details class="card" id="${id}" open>${body}</details>`
    : html`<details class="card" id="${id}">${body}</details>`;
}

function commitsSection(task: Task): Markup {
  if (task.headCommit === null && task.integratedCommit === null) return EMPTY;
  const hash = (commit: string | null) => (commit === null ? null : html`<code>${oneLine(commit, 64)}</code>`);
  return html`<section>
    <h2>Commits</h2>
    ${facts([
      ["Branch", html`<code>${taskBranch(task.id)}</code>`],
      ["Started from", hash(task.baseCommit)],
      ["Last commit", hash(task.headCommit)],
      ["In cto/integration as", hash(task.integratedCommit)],
    ])}
  </section>`;
}

function filesSection(view: View, artefacts: readonly Artefact[]): Markup {
  if (artefacts.length === 0) return EMPTY;
  return html`<section>
    <h2>Kept files</h2>
    <ul class="plain-list">
      ${artefacts
        .slice(-20)
        .map(
          (artefact) =>
            html`<li>
              ${
                artefact.kind === "transcript" && artefact.sessionId !== null
                  ? html`<a href="/sessions/${encodeURIComponent(artefact.sessionId)}">transcript</a>`
                  : artefact.kind
              },
              ${size(artefact.bytes)}, ${ago(view, artefact.at)}
            </li>`,
        )}
    </ul>
  </section>`;
}

function continuationSection(view: View, task: Task, continuation: StoredContinuation | undefined): Markup {
  if (continuation === undefined || continuation.taskId !== task.id) return EMPTY;
  return html`<section aria-labelledby="hand-over">
    <h2 id="hand-over">Hand-over</h2>
    ${continuationBody(view, continuation)}
  </section>`;
}

/** A project's hand-over: where it stands and what comes next. */
export function continuationBody(view: View, continuation: StoredContinuation): Markup {
  const list = (title: string, items: readonly string[]) =>
    when(
      items.length > 0,
      () =>
        html`<h3>${title}</h3>
          <ul>
            ${items.slice(0, 50).map((item) => html`<li>${line(item, 400)}</li>`)}
          </ul>`,
    );
  const text = (title: string, value: string) =>
    when(
      value.trim() !== "",
      () =>
        html`<h3>${title}</h3>
          ${block(value)}`,
    );
  const done = (item: { done: boolean; text: string }) =>
    html`<li>${item.done ? "Done: " : "To do: "}${line(item.text, 400)}</li>`;
  return html`<div class="card">
    <p class="meta">
      <span>version ${continuation.version}</span>
      <span
        >${continuation.author === "hub" ? "made from what was observed" : html`by ${line(continuation.agent, 40)}`}</span
      >
      <span>${ago(view, continuation.at)}</span>
    </p>
    ${text("Current task", continuation.currentTask)}
    ${when(
      continuation.progress.length > 0,
      () =>
        html`<h3>Progress</h3>
          <ul>
            ${continuation.progress.slice(0, 50).map(done)}
          </ul>`,
    )}
    ${text("Context", continuation.context)} ${list("Key decisions", continuation.keyDecisions)}
    ${list("Blockers", continuation.blockers)} ${text("Next action", continuation.nextAction)}
    ${list("References", continuation.references)}
  </div>`;
}
