import { html } from "hono/html";
import type { Session } from "../../hub/base/session.ts";
import { EMPTY, when, type Markup } from "../markup.ts";
import type { Page, View } from "../page.ts";
import { plain, size } from "../text.ts";
import { ago, empty, facts, line, moment, projectLink, sessionBadge, taskLink } from "./parts.ts";

/** Bytes of a transcript that one page or one look of its script reads. */
export const TRANSCRIPT_CHUNK = 64 * 1024;

/** One session with its transcript: the newest part, or from byte `from`. */
export async function sessionPage(view: View, session: Session, from: number | undefined): Promise<Page> {
  const { store, hub } = view;
  const { total } = await hub.transcript(session.id, 0, 1);
  const start = Math.min(from ?? Math.max(0, total - TRANSCRIPT_CHUNK), total);
  const [part, project, task] = await Promise.all([
    hub.transcript(session.id, start, TRANSCRIPT_CHUNK),
    session.projectId === null ? undefined : store.project(session.projectId),
    session.taskId === null ? undefined : store.task(session.taskId),
  ]);
  return {
    title: `Session ${session.id}`,
    heading: html`Session <span class="id">${session.id}</span>`,
    section: "overview",
    follows: true,
    live: html`
      <div class="state-line">
        ${sessionBadge(session)}
        ${when(session.outcome !== null, () => html`<span class="why">${line(session.outcome ?? "", 280)}</span>`)}
      </div>
      ${facts([
        ["Agent", line(session.agent, 60)],
        ["Project", project === undefined ? null : projectLink(project)],
        ["Task", task === undefined ? null : taskLink(task, 90)],
        ["Machine", line(session.machine, 60)],
        ["Kind", session.kind === "attached" ? "attached: not started by the hub" : null],
        ["Completed tasks", String(session.tasksDone)],
        ["Started", moment(view, session.startedAt)],
        ["Last sign of life", session.endedAt === null ? ago(view, session.lastSeenAt) : null],
        ["Ended", session.endedAt === null ? null : moment(view, session.endedAt)],
        ["Exit code", session.exitCode === null ? null : String(session.exitCode)],
      ])}
    `,
    below: transcriptSection(session, { ...part, start }),
  };
}

function transcriptSection(
  session: Session,
  part: { text: string; next: number; total: number; start: number },
): Markup {
  const path = `/sessions/${encodeURIComponent(session.id)}`;
  const ended = session.state === "ended";
  return html`<section aria-labelledby="transcript-title">
    <h2 id="transcript-title">Transcript</h2>
    ${
      part.total === 0
        ? empty(ended ? "It printed nothing." : "Nothing is printed yet. It appears here as it comes.")
        : html`<p class="muted">
            ${size(part.total)} so far, shown from ${part.start === 0 ? "the beginning" : size(part.start)}
          </p>`
    }
    ${parts(path, part)}
    <pre
      id="transcript"
      class="output"
      tabindex="0"
      role="log"
      aria-live="off"
      aria-label="Transcript"
      data-source="${path}/transcript"
      data-next="${part.next}"
      data-follow="${part.next >= part.total && !ended ? "yes" : "no"}"
    >
${plain(part.text)}</pre>
  </section>`;
}

/** Links to the parts before and after, where there are any. */
function parts(path: string, part: { next: number; total: number; start: number }): Markup {
  if (part.start === 0 && part.next >= part.total) return EMPTY;
  const link = (words: string, query: string) => html`<a class="button" href="${path}${query}">${words}</a>`;
  return html`<nav class="pager" aria-label="Parts of the transcript">
    ${when(part.start > 0, () => link("Earlier", `?from=${Math.max(0, part.start - TRANSCRIPT_CHUNK)}`))}
    ${when(part.next < part.total, () => html`${link("Later", `?from=${part.next}`)} ${link("Newest", "")}`)}
  </nav>`;
}
