import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { serve } from "@hono/node-server";
import { chromium, type Browser, type BrowserContext } from "playwright-core";
import { DAY, HOUR, MINUTE } from "../../hub/base/clock.ts";
import { SHEET, SUPERVISOR } from "../../hub/base/session.ts";
import { createDashboard } from "../../dashboard/dashboard.ts";
import { fillStore, NOW, session, startOn, withPage, type TestPage } from "./filled.ts";

const CHROMIUM = "/usr/bin/chromium";
const skip = existsSync(CHROMIUM) ? false : `${CHROMIUM} is missing: install Debian's package chromium`;

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const PAYLOADS = [
  `<script>alert(1)</script>`,
  `"><img src=x onerror=alert(2)><i id=injected>`,
  `'><svg onload=alert(3)></svg><i id=injected>`,
  `</pre></textarea></title><i id=injected><script>alert(4)</script>`,
  `javascript:alert(5)`,
  `<a href="javascript:alert(6)" id=injected>x</a>`,
  `<form action="//evil.example"><input id=injected autofocus onfocus=alert(7)></form>`,
  `<meta http-equiv=refresh content="0;url=//evil.example"><base href=//evil.example>`,
  `<style>*{display:none}</style><link rel=stylesheet href=//evil.example/x.css>`,
  `<iframe srcdoc="<script>parent.alert(8)</script>"></iframe>`,
  `\${alert(9)} {{alert(9)}} &lt;script&gt;alert(9)&lt;/script&gt; &#60;i id=injected&#62;`,
  `\u202Egnp.exe\u202C \u0000<\u0000script>alert(10)</script> \u001B]8;;javascript:alert(11)\u0007x\u001B]8;;\u0007`,
];

/** Run in the page: how many elements and attributes there are that no template of ours makes. */
const FOREIGN_MARKUP = `(() => {
  const nodes = document.querySelectorAll(
    "#injected, iframe, base, style, meta[http-equiv], main script, main img, object, embed",
  ).length;
  const attributes = [...document.querySelectorAll("*")]
    .flatMap((element) => [...element.attributes])
    .filter(({ name, value }) => /^on/i.test(name) || /^\\s*javascript:/i.test(value)).length;
  return String(nodes + attributes);
})()`;

interface Opened {
  url: string;
  browser: Browser;
  /** A context that is logged in, and everything that went wrong in it. */
  logIn(width?: number): Promise<{ context: BrowserContext; troubles: string[] }>;
}

async function withBrowser(page: TestPage, run: (opened: Opened) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const app = createDashboard({
    store: page.store,
    logins: page.logins,
    live: page.hub,
    clock: page.clock,
    zone: "Europe/Zurich",
    signal: stop.signal,
  });
  const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }) as Server;
  await new Promise((resolve) => server.once("listening", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  try {
    await run({ url, browser, logIn: (width) => logIn(browser, url, page, width) });
  } finally {
    await browser.close();
    stop.abort();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function logIn(browser: Browser, url: string, page: TestPage, width = 390) {
  const context = await browser.newContext({ viewport: { width, height: 844 } });
  const troubles: string[] = [];
  context.on("dialog", (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  context.on("console", (message) => {
    if (message.type() === "error" || /content security policy/i.test(message.text())) troubles.push(message.text());
  });
  context.on("weberror", (error) => troubles.push(String(error.error())));
  context.on("request", (request) => {
    if (!request.url().startsWith(url)) troubles.push(`asked for ${request.url()}`);
  });
  const tab = await context.newPage();
  await tab.goto(`${url}/login#${page.logins.newCode()}`);
  await tab.waitForURL(`${url}/`);
  await tab.close();
  return { context, troubles };
}

/** Puts one payload into every stored field that a page shows. */
async function poison(page: TestPage, payload: string, n: number): Promise<string[]> {
  const { store, hub } = page;
  const at = NOW - HOUR;
  const text = `${payload} [${n}]`;
  const project = await store.addProject(
    SHEET,
    {
      name: text,
      priority: 1,
      deadlineText: text,
      model: text,
      repo: text,
      path: text,
      setup: text,
      check: text,
      dependsOn: text,
      budget: text,
      machine: text,
      nextAction: text,
    },
    at,
  );
  await store.changeProject(SHEET, project.id, { model: "" }, at);
  const own = { projectId: project.id, origin: "sheet" as const };
  const task = (await store.tasks({ projectId: project.id }))[0];
  assert.ok(task);
  const id = `s-${n.toString(16).padStart(12, "0")}`;
  const held = await startOn(store, id, "claude", project.id, at);
  assert.equal(held.id, task.id);
  await store.reportProgress(session(id), held.id, 1, text, at);
  await store.complete(session(id), held.id, 1, { summary: text, nextAction: text, output: text }, at);
  await store.recordCommit(held.id, 1, { base: text, head: text }, at);
  await store.recordCheck({
    taskId: held.id,
    fence: 1,
    commit: text,
    command: text,
    outcome: "failed",
    exitCode: 1,
    tail: text,
    durationMs: 1,
    at,
  });
  await store.returnFindings(held.id, 1, { source: "check", text }, true, at);
  const again = await store.task(held.id);
  await store.block(session(id), held.id, again?.fence ?? 1, { text, options: [text, text] }, at);
  await store.writeContinuation(
    session(id),
    {
      projectId: project.id,
      taskId: held.id,
      author: "agent",
      agent: text,
      continuation: {
        currentTask: text,
        progress: [{ done: false, text }],
        context: text,
        keyDecisions: [text],
        blockers: [text],
        nextAction: text,
        references: [text],
      },
    },
    at,
  );
  const other = await store.addTask(SHEET, { ...own, description: text, alias: text, wantedAgent: text }, at);
  await store.wait(other.id, { reason: "machine", until: NOW + 9 * MINUTE, why: text }, at);
  await store.changeProject(SUPERVISOR, project.id, { blockedWhy: text }, at);
  for (const key of ["why", "text", "outcome", "name", "label", "agent", "source"]) {
    await store.note({ ...SHEET, name: text }, { kind: "sheet_problem", data: { [key]: text, isEscaped: true } }, at);
  }
  await store.note(
    SHEET,
    { kind: "task_changed", data: { changed: [text, { isEscaped: true }] }, taskId: held.id },
    at,
  );
  hub.transcripts.set(id, `${text}\n`);
  await store.endSession(id, { outcome: text, exitCode: 1 }, at);
  return [
    `/tasks/T${held.id}`,
    `/tasks/T${other.id}`,
    `/projects/${project.slug}`,
    `/tasks?project=${project.slug}`,
    `/activity?project=${project.slug}`,
    `/sessions/${id}`,
  ];
}

test("law 13: text from outside is data: no payload in any stored field runs or becomes markup", { skip }, () =>
  withPage(async (page) => {
    const paths = ["/", "/tasks", "/activity", "/stop", "/release"];
    for (const [n, payload] of PAYLOADS.entries()) paths.push(...(await poison(page, payload, n)));
    page.hub.sheet = () => ({ ok: false, words: PAYLOADS[1] ?? "" });
    await page.hub.stop(PAYLOADS.join(" "));
    await withBrowser(page, async ({ url, logIn }) => {
      const { context, troubles } = await logIn();
      const tab = await context.newPage();
      let shown = 0;
      for (const path of paths) {
        await tab.goto(url + path);
        const found = await tab.evaluate<string>(FOREIGN_MARKUP);
        assert.equal(found, "0", path);
        if ((await tab.content()).includes("alert(")) shown++;
        assert.ok(new URL(tab.url()).pathname === new URL(url + path).pathname);
      }
      assert.ok(shown >= paths.length - PAYLOADS.length, `the payloads are on ${shown} of ${paths.length} pages`);
      // What the script fetches and puts in place is as harmless as what was loaded.
      await tab.goto(`${url}/`);
      const last = await page.store.tasks({ limit: 1 });
      await page.store.changeTask(SHEET, last[0]?.id ?? 1, { description: `${PAYLOADS[1]} refreshed` }, NOW);
      await page.store.note(SHEET, { kind: "sheet_synced", data: { words: PAYLOADS[1] } }, NOW);
      await tab.goto(`${url}/activity`);
      await page.store.note(SHEET, { kind: "sheet_problem", data: { words: `${PAYLOADS[1]} seen live` } }, NOW);
      await tab.getByText("seen live").waitFor();
      assert.equal(await tab.locator("#injected").count(), 0);
      assert.deepEqual(troubles, []);
    });
  }),
);

test("an open page follows what happens, and logs out when the login ends", { skip }, () =>
  withPage(async (page) => {
    await fillStore(page.store, page.hub);
    await withBrowser(page, async ({ url, logIn }) => {
      const { context } = await logIn();
      const tab = await context.newPage();
      await tab.goto(`${url}/`);
      await tab.getByText("memory limit next").first().waitFor();
      await page.store.reportProgress(session("s-bb02bb02bb02"), 1, 1, "Memory limit holds", NOW);
      await tab.getByText("Memory limit holds").first().waitFor();

      await tab.goto(`${url}/sessions/s-bb02bb02bb02`);
      page.hub.transcripts.set("s-bb02bb02bb02", `${page.hub.transcripts.get("s-bb02bb02bb02")}<b>newest line</b>\n`);
      await tab.getByText("<b>newest line</b>").waitFor();

      page.clock.advance(31 * DAY);
      await page.store.note(SUPERVISOR, { kind: "sheet_synced", data: {} }, NOW);
      await tab.getByRole("heading", { name: "Log in" }).waitFor();
    });
  }),
);

test("a question is answered with a tap, and what is being typed survives what happens meanwhile", { skip }, () =>
  withPage(async (page) => {
    await fillStore(page.store, page.hub);
    await withBrowser(page, async ({ url, logIn }) => {
      const { context, troubles } = await logIn();
      const tab = await context.newPage();
      await tab.goto(`${url}/tasks/T1`);
      const field = tab.getByLabel("Its session is told with its next call.");
      await field.pressSequentially("Keep the old");
      await page.store.reportProgress(session("s-bb02bb02bb02"), 1, 1, "Memory limit holds", NOW);
      await tab.getByText("Memory limit holds").first().waitFor();
      await tab.keyboard.type(" loader");
      assert.equal(await field.inputValue(), "Keep the old loader");
      await tab.getByRole("button", { name: "Tell T1" }).click();
      await tab.getByText("not delivered yet").waitFor();
      assert.equal((await page.store.undelivered(5))[0]?.text, "Keep the old loader");

      await tab.goto(`${url}/`);
      await tab.getByRole("button", { name: "Use the June list" }).click();
      await tab.waitForURL(`${url}/`);
      assert.equal(await tab.getByRole("button", { name: "Use the June list" }).count(), 0);
      assert.deepEqual(await page.store.openQuestions(), []);
      assert.deepEqual(troubles, []);
    });
  }),
);

test("STOP takes two taps, is seen on every page, and is released the same way", { skip }, () =>
  withPage(async (page) => {
    await fillStore(page.store, page.hub);
    await withBrowser(page, async ({ url, logIn }) => {
      const { context, troubles } = await logIn();
      const tab = await context.newPage();
      await tab.goto(`${url}/tasks`);
      await tab.getByRole("link", { name: "STOP" }).click();
      assert.equal(page.hub.stopped(), undefined);
      await tab.getByLabel("Why (optional)").fill("the fan burns");
      await tab.getByRole("button", { name: "Stop all agents" }).click();
      await tab.getByText("STOP is set.").waitFor();
      assert.equal(page.hub.stopped()?.why, "the fan burns");
      await tab.getByRole("link", { name: "Release…" }).click();
      await tab.getByRole("button", { name: "Release STOP" }).click();
      await tab.waitForURL(`${url}/`);
      assert.equal(page.hub.stopped(), undefined);
      assert.deepEqual(troubles, []);
    });
  }),
);

test("no page is wider than a phone, and each works without script", { skip }, () =>
  withPage(async (page) => {
    await fillStore(page.store, page.hub);
    const long = "w".repeat(4_000);
    await page.store.addProject(SHEET, { name: long.slice(0, 190), priority: 1, nextAction: long, check: long }, NOW);
    const paths = [
      "/",
      "/tasks",
      "/tasks/T2",
      "/tasks/T8",
      "/activity",
      "/stop",
      "/sessions/s-bb02bb02bb02",
      "/nothing",
    ];
    await withBrowser(page, async ({ url, browser, logIn }) => {
      const { context } = await logIn();
      const tab = await context.newPage();
      for (const path of paths) {
        await tab.goto(url + path);
        const over = await tab.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
        assert.ok(over <= 0, `${path} is ${over} px too wide`);
      }
      const bare = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 390, height: 844 } });
      const plain = await bare.newPage();
      await plain.goto(`${url}/tasks/T2`);
      await plain.getByLabel("Code").fill(page.logins.newCode());
      await plain.getByRole("button", { name: "Log in" }).click();
      await plain.getByRole("heading", { name: "T2 Create decoder tests" }).waitFor();
      await plain.getByRole("link", { name: "Tasks" }).click();
      await plain.getByLabel("State").selectOption("Blocked");
      await plain.getByRole("button", { name: "Show" }).click();
      await plain.getByText("Fetch the species list").click();
      await plain.getByLabel("Or in your words").fill("Ask again in June");
      await plain.getByRole("button", { name: "Answer Q1" }).click();
      await plain.getByText("Ask again in June").first().waitFor();
    });
  }),
);
