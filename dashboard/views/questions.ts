import { html } from "hono/html";
import { questionName, taskName } from "../../hub/base/ids.ts";
import { isOpen, type Task } from "../../hub/base/task.ts";
import { ANSWER_LIMIT, deliveryWords, TRY_AGAIN } from "../../hub/queue/questions.ts";
import type { Message, Question } from "../../hub/stores/store.ts";
import { EMPTY, when, type Markup } from "../markup.ts";
import type { View } from "../page.ts";
import { ago, block, line, taskPath } from "./parts.ts";

/** Characters of a message to a session: what it is handed of one at once. */
export const STEER_LIMIT = 1_000;

/**
 * A question with its answers as buttons and a field for other words. `back` is the page that is
 * shown after it. Fields have ids, by which the script keeps what was typed when it refreshes.
 */
export function questionBody(question: Question, back: string): Markup {
  const name = questionName(question.id);
  const action = `/questions/${name}/answer`;
  return html`<div id="${name}">${block(question.text)}</div>
    ${when(
      question.options.length > 0,
      () =>
        html`<form method="post" action="${action}" class="answers" aria-label="Answers that ${name} offers">
          <input type="hidden" name="back" value="${back}" />
          ${question.options
            .slice(0, 10)
            .map(
              (option, index) =>
                html`<button name="option" value="${index}" id="${name}-${index}">${line(option, 120)}</button>`,
            )}
        </form>`,
    )}
    <form method="post" action="${action}" class="say">
      <input type="hidden" name="back" value="${back}" />
      <label for="${name}-words">${question.options.length > 0 ? "Or in your words" : "Your answer"}</label>
      <div class="with-button">
        <textarea name="answer" id="${name}-words" rows="1" required maxlength="${ANSWER_LIMIT}"></textarea>
        <button class="primary" id="${name}-send">Answer ${name}</button>
      </div>
    </form>`;
}

/** Puts a task that needs the person back into the queue; nothing where a question offers the same. */
export function retryForm(task: Task, questions: readonly Question[]): Markup {
  if (task.state !== "blocked" && task.state !== "failed") return EMPTY;
  if (questions.some(({ options }) => options.includes(TRY_AGAIN))) return EMPTY;
  const words = questions.length === 0 ? "Try again" : "Go on without an answer";
  return html`<form method="post" action="${taskPath(task.id)}/retry" class="answers">
    <button id="retry">${words}</button>
  </form>`;
}

/** What was said to whoever works on the task, and a form to say more. */
export async function steerSection(view: View, task: Task, messages: readonly Message[]): Promise<Markup> {
  const open = isOpen(task.state) && task.state !== "blocked";
  if (!open && messages.length === 0) return EMPTY;
  const session = task.sessionId === null ? undefined : await view.store.session(task.sessionId);
  const live = task.state === "running" && session !== undefined && session.state !== "ended";
  return html`<section aria-labelledby="steer">
    <h2 id="steer">${live ? "Tell its session" : "Tell whoever works on it"}</h2>
    ${when(
      messages.length > 0,
      () =>
        html`<ul class="cards">
          ${messages.toReversed().map((message) => messageCard(view, task, message))}
        </ul>`,
    )}
    ${when(
      open,
      () =>
        html`<form method="post" action="${taskPath(task.id)}/steer" class="say">
          <label for="steer-words">${deliveryWords({ state: task.state, live })}</label>
          <div class="with-button">
            <textarea name="text" id="steer-words" rows="1" required maxlength="${STEER_LIMIT}"></textarea>
            <button id="steer-send">Tell ${taskName(task.id)}</button>
          </div>
        </form>`,
    )}
  </section>`;
}

function messageCard(view: View, task: Task, message: Message): Markup {
  const waits = isOpen(task.state)
    ? html`<span class="need">not delivered yet</span>`
    : html`<span>never delivered: the task had ended</span>`;
  return html`<li class="card">
    ${block(message.text)}
    <p class="meta">
      <span>said ${ago(view, message.at)}</span>
      ${message.deliveredAt === null ? waits : html`<span>delivered ${ago(view, message.deliveredAt)}</span>`}
    </p>
  </li>`;
}
