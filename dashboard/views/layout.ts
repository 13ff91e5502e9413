import { html } from "hono/html";
import { when, type Markup } from "../markup.ts";
import type { Page, View } from "../page.ts";
import { icon } from "../icons.ts";
import { line } from "./parts.ts";

/** Addresses of the stylesheet and the script. */
export interface AssetPaths {
  style: string;
  script: string;
  icon: string;
}

/** A whole document for somebody who is logged in. `seq` is the newest event that it shows. */
export function document(view: View, page: Page, assets: AssetPaths, seq: number): Markup {
  return shell(
    page.title,
    assets,
    html`<header class="top">
        <div class="wrap">
          <a class="brand" href="/">CTO Sidekick</a>
          <nav aria-label="Main">
            ${navLink("/", "Overview", page.section === "overview")}
            ${navLink("/tasks", "Tasks", page.section === "tasks")}
            ${navLink("/activity", "Activity", page.section === "activity")}
          </nav>
          <div class="controls">
            <a class="button stop" href="/stop">${icon("stop")}STOP</a>
            <form method="post" action="/logout"><button class="plain">Log out</button></form>
          </div>
        </div>
      </header>
      <main id="main" class="wrap" tabindex="-1">
        <h1>${page.heading}</h1>
        ${page.fixed}
        <div id="live" data-follows="${page.follows ? "yes" : "no"}" data-seq="${seq}">${liveRegion(view, page)}</div>
        ${page.below}
      </main>
      <footer class="wrap">
        <p>Times are in ${view.times.zone}. <span id="link" role="status"></span></p>
      </footer>`,
  );
}

/** What a page's script fetches again: the changing part, with the hub's own state above it. */
export function liveRegion(view: View, page: Page): Markup {
  return html`${stopBanner(view)}${page.live}`;
}

/** A document for somebody who is not logged in. */
export function bareDocument(title: string, assets: AssetPaths, body: Markup): Markup {
  return shell(
    title,
    assets,
    html`<header class="top">
        <div class="wrap"><span class="brand">CTO Sidekick</span></div>
      </header>
      <main id="main" class="wrap narrow" tabindex="-1">${body}</main>`,
  );
}

function shell(title: string, assets: AssetPaths, body: Markup): Markup {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="referrer" content="same-origin" />
        <title>${title} · CTO Sidekick</title>
        <link rel="icon" href="${assets.icon}" type="image/svg+xml" />
        <link rel="stylesheet" href="${assets.style}" />
        <script src="${assets.script}" defer></script>
      </head>
      <body>
        <a class="skip" href="#main">Skip to the content</a>
        ${body}
      </body>
    </html>`;
}

function navLink(href: string, words: string, current: boolean): Markup {
  return current ? html`<a href="${href}" aria-current="page">${words}</a>` : html`<a href="${href}">${words}</a>`;
}

function stopBanner(view: View): Markup {
  const stop = view.hub.stopped();
  if (stop === undefined) return html``;
  const at = Date.parse(stop.at);
  return html`<section class="banner" aria-label="STOP is set">
    <div>
      <p>
        <strong>${icon("stop")}STOP is set.</strong> No agent runs, and nothing starts until it is
        released${when(!Number.isNaN(at), () => html` (since ${view.times.full(at)})`)}, by ${line(stop.by, 60)}.
      </p>
      ${when(stop.why.trim() !== "", () => html`<p class="why">${line(stop.why, 300)}</p>`)}
    </div>
    <a class="button" href="/release">Release…</a>
  </section>`;
}
