import { html } from "hono/html";
import type { Markup } from "../markup.ts";
import type { Page, View } from "../page.ts";
import { line } from "./parts.ts";

/** Asks once more before STOP is set. */
export function stopPage(view: View): Page {
  const set = view.hub.stopped() !== undefined;
  return act("Stop all agents", {
    fixed: set
      ? html`<p>STOP is set already. <a href="/release">Release it</a>, or <a href="/">go back</a>.</p>`
      : html`<form method="post" action="/stop" class="act">
          <p>
            Every agent's process is ended within seconds, and nothing starts again, not even after a reboot, until you
            release it. Work that is not finished goes back into the queue.
          </p>
          <label>Why (optional) <input name="why" maxlength="200" autocomplete="off" /></label>
          <p class="buttons"><button class="danger">Stop all agents</button> <a class="button" href="/">Go back</a></p>
        </form>`,
  });
}

/** Asks once more before STOP is released. */
export function releasePage(view: View): Page {
  const stop = view.hub.stopped();
  return act("Release STOP", {
    fixed:
      stop === undefined
        ? html`<p>STOP is not set. <a href="/">Go back</a>.</p>`
        : html`<form method="post" action="/release" class="act">
            <p>Agents start again with whatever is first in the queue. STOP was set by ${line(stop.by, 60)}.</p>
            ${stop.why.trim() === "" ? "" : html`<p class="why">${line(stop.why, 300)}</p>`}
            <p class="buttons"><button class="danger">Release STOP</button> <a class="button" href="/">Go back</a></p>
          </form>`,
  });
}

/** A page that says one thing, such as that there is nothing at an address. */
export function wordsPage(title: string, words: Markup | string): Page {
  return act(title, { fixed: html`<p>${words}</p>` });
}

function act(title: string, page: { fixed: Markup }): Page {
  return { title, heading: title, section: null, follows: false, live: html``, fixed: page.fixed };
}

/** The login form. The script fills it from the address of a one-time link; it works by hand too. */
export function loginBody(next: string, problem: string): Markup {
  return html`<h1>Log in</h1>
    ${problem === "" ? "" : html`<p class="problem" role="alert">${problem}</p>`}
    <p>Open the one-time link that the hub printed in the terminal, or type what stands after its # here.</p>
    <form id="login" method="post" action="/login">
      <input type="hidden" name="next" value="${next}" />
      <label
        >Code
        <input
          name="code"
          required
          maxlength="100"
          autocomplete="one-time-code"
          autocapitalize="none"
          spellcheck="false"
      /></label>
      <button class="primary">Log in</button>
    </form>
    <p class="muted">
      A code works once, for ten minutes; <code>cto status</code> prints a link with a new one. Logged in already?
      <a href="${next}">Go on</a>.
    </p>`;
}
