import { Hono, type Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { LOGIN_TTL_MS, type Logins } from "../hub/access/logins.ts";
import { SECOND, systemClock } from "../hub/base/clock.ts";
import { UserInputError } from "../hub/base/errors.ts";
import { parseTaskName, taskName } from "../hub/base/ids.ts";
import { silentLog, type Log } from "../hub/base/log.ts";
import type { Store } from "../hub/stores/store.ts";
import { loadAssets, type Assets } from "./assets.ts";
import { isLoggedIn, localPath, LOGIN_COOKIE, requireLogin, safeHeaders, sameOriginOnly } from "./guard.ts";
import { createLive, type OpenStream } from "./live.ts";
import type { Clockwork, LiveHub, Page, View } from "./page.ts";
import { addTaskActs } from "./task-acts.ts";
import { plain } from "./text.ts";
import { createTimes } from "./times.ts";
import { activityPage } from "./views/activity.ts";
import { loginBody, releasePage, stopPage, wordsPage } from "./views/acts.ts";
import { bareDocument, document, liveRegion, type AssetPaths } from "./views/layout.ts";
import { overviewPage } from "./views/overview.ts";
import { positive } from "./views/parts.ts";
import { projectPage } from "./views/project.ts";
import { sessionPage, TRANSCRIPT_CHUNK } from "./views/session.ts";
import { taskPage } from "./views/task.ts";
import { projectBySlug, taskQuery, tasksPage } from "./views/tasks.ts";

export interface DashboardOptions {
  store: Store;
  logins: Logins;
  /** What of the running hub is not in the store. */
  live: LiveHub;
  clock?: Clockwork;
  /** The zone in which times are shown; empty for the host's. */
  zone?: string;
  log?: Log;
  /** Ends the live streams when it aborts: the hub stops. */
  signal?: AbortSignal;
  assets?: Assets;
  /** Opens live streams; tests hand in a quicker one. */
  openStream?: OpenStream;
}

/** An answer of 2,000 characters, each written as up to nine in a form. */
const FORM_LIMIT_BYTES = 20_000;

/**
 * The status page: a Hono app for `/` that answers every path, so whatever else listens on the
 * same server is registered before it. It reads and writes through the store's port; its forms
 * answer, steer, try again, stop and log out. A GET never changes anything.
 */
export function createDashboard(options: DashboardOptions): Hono {
  const { store, logins, live: hub } = options;
  const clock = options.clock ?? systemClock;
  const log = options.log ?? silentLog;
  const times = createTimes(options.zone ?? "");
  const assets = options.assets ?? loadAssets();
  const paths: AssetPaths = {
    style: assets.path("page.css"),
    script: assets.path("page.js"),
    icon: assets.path("icon.svg"),
  };
  const openStream = options.openStream ?? createLive({ store, clock, signal: options.signal });

  const view = (): View => ({ store, hub, times, now: clock.now() });

  /** Answers a page, or only the part of it that changes when the script asks for that. */
  async function show(
    c: Context,
    make: (view: View) => Page | Promise<Page>,
    status: 200 | 404 | 409 = 200,
  ): Promise<Response> {
    const now = view();
    // Read before the page is made: what happens meanwhile is then seen as new.
    const seq = await store.lastSeq();
    const page = await make(now);
    if (c.req.query("fragment") !== undefined) return c.html(liveRegion(now, page), status);
    return c.html(document(now, page, paths, seq), status);
  }

  const missing = (c: Context, words = "There is nothing at this address.") =>
    show(c, () => wordsPage("Not found", words), 404);

  const app = new Hono();
  app.use(safeHeaders);
  app.onError((error, c) => {
    if (error instanceof UserInputError) return show(c, () => wordsPage("Nothing was changed", error.message), 409);
    log.error({ err: error, path: c.req.path }, "the page failed");
    return c.text("Something went wrong on our side. The hub's log says what; reload the page to try again.", 500);
  });

  app.get("/assets/:file", (c) => {
    const asset = assets.at(c.req.path);
    if (asset === undefined) return c.text("Not found", 404);
    c.header("Cache-Control", "public, max-age=31536000, immutable");
    return c.body(asset.body, 200, { "Content-Type": asset.type });
  });

  app.use(sameOriginOnly);
  app.on("POST", "/*", bodyLimit({ maxSize: FORM_LIMIT_BYTES, onError: (c) => c.text("That is too long.", 413) }));

  app.get("/login", async (c) => {
    const next = localPath(c.req.query("next"));
    if (await isLoggedIn(c, logins)) return c.redirect(next, 303);
    return c.html(bareDocument("Log in", paths, loginBody(next, "")));
  });
  app.post("/login", async (c) => {
    const form = await c.req.parseBody();
    const next = localPath(text(form["next"]));
    const cookie = await logins.exchange(text(form["code"]).trim());
    if (cookie === undefined) {
      const problem = "That code is wrong, used up or too old.";
      return c.html(bareDocument("Log in", paths, loginBody(next, problem)), 401);
    }
    setCookie(c, LOGIN_COOKIE, cookie, {
      path: "/",
      httpOnly: true,
      sameSite: "Strict",
      maxAge: LOGIN_TTL_MS / SECOND,
      secure: c.req.header("X-Forwarded-Proto") === "https",
    });
    return c.redirect(next, 303);
  });

  app.use(requireLogin(logins));

  app.post("/logout", async (c) => {
    await logins.end(getCookie(c, LOGIN_COOKIE));
    deleteCookie(c, LOGIN_COOKIE, { path: "/" });
    return c.redirect("/login", 303);
  });

  app.get("/", (c) => show(c, (view) => overviewPage(view, Math.min(positive(c.req.query("page")) ?? 1, 100_000))));
  app.get("/tasks", (c) => show(c, (view) => tasksPage(view, taskQuery(c.req.query()))));
  app.get("/tasks/:name", async (c) => {
    const id = parseTaskName(c.req.param("name"));
    const task = id === undefined ? undefined : await store.task(id);
    if (task === undefined) return missing(c, "There is no such task.");
    if (c.req.param("name") !== taskName(task.id)) return c.redirect(`/tasks/${taskName(task.id)}`, 303);
    return show(c, (view) => taskPage(view, task, positive(c.req.query("before"))));
  });
  app.get("/projects/:slug", async (c) => {
    const project = await projectBySlug(view(), c.req.param("slug"));
    if (project === undefined) return missing(c, "There is no such project.");
    return show(c, (view) => projectPage(view, project));
  });
  app.get("/activity", async (c) => {
    const slug = c.req.query("project");
    const project = slug === undefined ? undefined : await projectBySlug(view(), slug);
    if (slug !== undefined && project === undefined) return missing(c, "There is no such project.");
    return show(c, (view) => activityPage(view, project, positive(c.req.query("before"))));
  });

  app.get("/sessions/:id", async (c) => {
    const session = await store.session(c.req.param("id"));
    if (session === undefined) return missing(c, "There is no such session.");
    return show(c, (view) => sessionPage(view, session, offset(c.req.query("from"))));
  });
  app.get("/sessions/:id/transcript", async (c) => {
    const session = await store.session(c.req.param("id"));
    if (session === undefined) return c.text("There is no such session.", 404);
    const part = await hub.transcript(session.id, offset(c.req.query("from")) ?? 0, TRANSCRIPT_CHUNK);
    c.header("X-Next", String(part.next));
    c.header("X-Ended", session.state === "ended" && part.next >= part.total ? "yes" : "no");
    return c.text(plain(part.text));
  });

  app.get("/live", async (c) => {
    const after = offset(c.req.header("Last-Event-ID") ?? c.req.query("after"));
    const stream = await openStream(after, () => isLoggedIn(c, logins));
    if (stream === undefined) {
      c.header("Retry-After", "30");
      return c.text("Too many pages are open. Close some, or reload this one by hand.", 503);
    }
    return c.body(stream, 200, {
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-store, no-transform",
      "X-Accel-Buffering": "no",
    });
  });

  app.get("/stop", (c) => show(c, stopPage));
  app.post("/stop", async (c) => {
    const form = await c.req.parseBody();
    const why = plain(text(form["why"])).trim().slice(0, 200);
    await hub.stop(why);
    return c.redirect("/", 303);
  });
  app.get("/release", (c) => show(c, releasePage));
  app.post("/release", async (c) => {
    await hub.release();
    return c.redirect("/", 303);
  });

  addTaskActs(app, store, clock);

  app.all("*", (c) => missing(c));
  return app;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** A byte offset or an event's number: a whole number from zero; undefined for anything else. */
function offset(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}
