import { html } from "hono/html";
import type { Session } from "../../hub/base/session.ts";
import { EMPTY, when, type Markup } from "../markup.ts";
import type { Page, View } from "../page.ts";
import { plain, size } from "../text.ts";
import { ago, empty, facts, line, moment, projectLink, taskLink } from "./parts.ts";

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
        ${stateBadge(session)}
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

function stateBadge(session: Session): Markup {
  if (session.state === "ended") return html`<span class="badge quiet">Ended</span>`;
  return session.state === "running"
    ? html`<span class="badge active">Running</span>`
    : html`<span class="badge wait">Starting</span>`;
}

function transcriptSection(
  session: Session,
  part: { text: string; next: number; total: number; start: number },
): Markup {
  const path = `/sessions/${encodeURIComponent(session.id)}`;
  const ended = session.state === "ended";
  const earlier = Math.max(0, part.start - TRANSCRIPT_CHUNK);
  return html`<section aria-labelledby="transcript-title">
    <h2 id="transcript-title">Transcript</h2>
    ${
      part.total === 0
        ? empty(ended ? "It printed nothing." : "Nothing is printed yet. It appears here as it comes.")
        : html`<p class="muted">
            ${size(part.total)} so far, shown from ${part.start === 0 ? "the beginning" : size(part.start)}
          </p>`
    }
    <nav class="pager" aria-label="Parts of the transcript">
      ${when(part.start > 0, () => html`<a class="button" href="${path}?from=${earlier}#transcript-title">Earlier</a>`)}
      ${
        part.next < part.total
          ? html`<a class="button" href="${path}?from=${part.next}#transcript-title">Later</a>
              <a class="button" href="${path}#transcript-title">Newest</a>`
          : EMPTY
      }
    </nav>
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
