import assert from "node:assert/strict";
import { test } from "node:test";
import { DAY, HOUR } from "../../hub/base/clock.ts";
import { SHEET } from "../../hub/base/session.ts";
import { fillStore, HOST, NOW, session, startOn, withPage } from "./filled.ts";

const PAGES = [
  "/",
  "/tasks",
  "/tasks/T1",
  "/projects/antenna-ml-pipeline",
  "/sessions/s-bb02bb02bb02",
  "/activity",
  "/stop",
  "/release",
];

test("every page is shown to somebody who is logged in, with its safe headers", () =>
  withPage(async (page) => {
    await fillStore(page.store, page.hub);
    for (const path of PAGES) {
      const answer = await page.get(path);
      assert.equal(answer.status, 200, path);
      assert.equal(
        answer.headers.get("content-security-policy"),
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      );
      assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
      assert.equal(answer.headers.get("cache-control"), "no-store");
      const text = await answer.text();
      assert.equal(text.match(/<h1>/g)?.length, 1, path);
      assert.doesNotMatch(text, /<script(?! src="\/assets\/)|<style| style=| on[a-z]+="|\[object/, path);
      assert.doesNotMatch(text, /(?:src|href)="(?:https?:)?\/\//, path);
    }
  }));

test("the overview says where each project stands, why, what is next and what runs", () =>
  withPage(async (page) => {
    await fillStore(page.store, page.hub);
    const text = words(await (await page.get("/")).text());
    assert.match(
      text,
      /Antenna ML Pipeline In Progress P1 · claude · GPU · 2 min ago|Antenna ML Pipeline In Progress P1 claude GPU 2 min ago/,
    );
    assert.match(text, /Implementing the batch processor: loader done, memory limit next/);
    assert.match(text, /Deadline: 24 Nov 2026/);
    assert.match(text, /APRS Audio Tools Waiting P2 qwen/);
    assert.match(text, /T3 The five-hour window of qwen is used up Next: T3 goes on 16:20/);
    assert.match(text, /Pipecat Voice Planning/);
    assert.match(
      text,
      /Should I use the public species list from June instead\? Use the June list Wait for a key Or in your words/,
    );
    assert.match(text, /claude on native Running T1 Implement batch processing.* last sign of life just now/);
    assert.match(text, /Up next T4 Refactor image preprocessing/);
    assert.match(text, /Sheet: In step with the local sheet since 15:31\./);
    assert.match(text, /Times are in Europe\/Zurich/);
  }));

test("a raised task says from where to where and why", () =>
  withPage(async (page) => {
    const project = await page.store.addProject(
      SHEET,
      { name: "Urgent", priority: 3, deadline: NOW + 3 * HOUR },
      NOW - HOUR,
    );
    await page.store.addTask(
      SHEET,
      { projectId: project.id, description: "Mend it", complexity: "high", origin: "sheet" },
      NOW - HOUR,
    );
    await page.store.applyDue(NOW);
    const [task] = await page.store.tasks();
    assert.match(task?.bandWhy ?? "", /P3 → P1/);
    const text = words(await (await page.get("/")).text());
    assert.equal(text.split(task?.bandWhy ?? "").length - 1, 2, "at the project and in the queue");
  }));

test("a task's page holds all that is known of it", () =>
  withPage(async (page) => {
    await fillStore(page.store, page.hub);
    const text = words(await (await page.get("/tasks/T2")).text());
    for (const part of [
      "T2 Create decoder tests for the AX.25 frame parser Complete",
      "Added 16 tests for the frame parser",
      "Passed 3 h ago, 6.4 s, commit 9f2c41d07b, exit code 0 Command: make check",
      "16 tests, 16 passed, 0 failed",
      "Branch cto/T2",
      "Key decisions Table-driven tests",
      "To do: Speed on the long recording",
      "Review Unreviewed",
    ]) {
      assert.ok(text.includes(part), `${part}\n${text}`);
    }
    assert.equal((await page.get("/tasks/t02")).headers.get("location"), "/tasks/T2");
    assert.equal((await page.get("/tasks/T99")).status, 404);
    assert.equal((await page.get("/tasks/constructor")).status, 404);
  }));

test("tasks are filtered by project and state, and paged", () =>
  withPage(async (page) => {
    const a = await page.store.addProject(SHEET, { name: "Alpha", priority: 1 }, NOW);
    const b = await page.store.addProject(SHEET, { name: "Beta", priority: 2 }, NOW);
    for (let n = 0; n < 120; n++) {
      await page.store.addTask(SHEET, { projectId: a.id, description: `alpha ${n}`, origin: "sheet" }, NOW);
    }
    const other = await page.store.addTask(SHEET, { projectId: b.id, description: "beta", origin: "sheet" }, NOW);
    await page.store.cancelTask(SHEET, other.id, "not wanted", NOW);
    const ids = async (path: string) =>
      [...(await (await page.get(path)).text()).matchAll(/class="task-link" href="\/tasks\/T(\d+)"/g)].map((m) =>
        Number(m[1]),
      );
    assert.deepEqual(await ids("/tasks?state=cancelled"), [other.id]);
    assert.deepEqual(await ids("/tasks?project=beta"), [other.id]);
    assert.deepEqual(await ids("/tasks?project=nobody"), []);
    const seen = [];
    let path: string | undefined = "/tasks?project=alpha";
    let pages = 0;
    while (path !== undefined) {
      seen.push(...(await ids(path)));
      const older: RegExpMatchArray | null = (await (await page.get(path)).text()).match(/href="([^"]+)" rel="next"/);
      path = older?.[1]?.replaceAll("&amp;", "&");
      pages++;
    }
    assert.equal(pages, 3);
    assert.equal(new Set(seen).size, 120);
    assert.deepEqual(
      seen,
      seen.toSorted((x, y) => y - x),
    );
    assert.equal((await ids("/tasks?state=queued&order=queue"))[0], Math.min(...seen));
  }));

test("nobody who is not logged in gets anything but the login", () =>
  withPage(async (page) => {
    await fillStore(page.store, page.hub);
    const paths = [
      ...PAGES,
      "/?fragment=live",
      "/live",
      "/sessions/s-bb02bb02bb02/transcript",
      "/nothing",
      "//tasks",
      "/%74asks",
      "/tasks/%2e%2e",
    ];
    for (const path of paths) {
      for (const cookie of ["", "cto_login=1.cto_" + "A".repeat(43), "cto_login=__proto__"]) {
        const answer = await page.app.request(`http://${HOST}${path}`, {
          headers: { Cookie: cookie, Accept: "text/html" },
        });
        const text = await answer.text();
        assert.ok(answer.status === 401 || answer.status === 303, `${path} ${answer.status}`);
        if (answer.status === 303) assert.match(answer.headers.get("location") ?? "", /^\/login(\?next=|$)/);
        assert.doesNotMatch(text, /Antenna|STOP/, path);
      }
      const plain = await page.app.request(`http://${HOST}${path}`, { headers: { Accept: "application/json" } });
      assert.equal(plain.status, 401, path);
    }
  }));

test("an agent's token is no login", () =>
  withPage(async (page) => {
    const { createTokens } = await import("../../hub/access/tokens.ts");
    const { id, token } = await createTokens(page.store, page.clock).issue(SHEET, {
      role: "agent",
      label: "x",
      ttlMs: HOUR,
    });
    const answer = await page.app.request(`http://${HOST}/`, { headers: { Cookie: `cto_login=${id}.${token}` } });
    assert.equal(answer.status, 401);
  }));

test("a code logs in once, and the login ends at logout and after its time", () =>
  withPage(async (page) => {
    const code = page.logins.newCode();
    const bare = { Cookie: "" };
    const first = await page.post("/login", { code, next: "/tasks/T1" }, bare);
    assert.equal(first.status, 303);
    assert.equal(first.headers.get("location"), "/tasks/T1");
    const set = first.headers.get("set-cookie") ?? "";
    assert.match(set, /^cto_login=\d+\.cto_[\w-]{43}; Max-Age=2592000; Path=\/; HttpOnly; SameSite=Strict$/);
    const cookie = { Cookie: set.split(";")[0] ?? "" };
    assert.equal((await page.post("/login", { code }, bare)).status, 401);
    assert.equal((await page.get("/", cookie)).status, 200);
    assert.equal((await page.post("/logout", {}, cookie)).status, 303);
    assert.equal((await page.get("/", { ...cookie, Accept: "*/*" })).status, 401);
    page.clock.advance(31 * DAY);
    assert.equal((await page.get("/", { Accept: "*/*" })).status, 401);
  }));

test("a login leads to a page of ours and nowhere else", () =>
  withPage(async (page) => {
    for (const next of [
      "//evil.example",
      "/\\evil.example",
      "https://evil.example",
      "javascript:alert(1)",
      "/\tevil",
      "",
    ]) {
      const answer = await page.post("/login", { code: page.logins.newCode(), next }, { Cookie: "" });
      assert.equal(answer.headers.get("location"), "/", next);
    }
  }));

test("STOP is set and released by a confirmed POST from the page itself, and by nothing else", () =>
  withPage(async (page) => {
    await page.get("/stop");
    await page.get("/release");
    assert.equal(page.hub.stopped(), undefined, "a GET changes nothing");
    const strangers: Record<string, string>[] = [
      { Origin: "http://evil.example", "Sec-Fetch-Site": "cross-site" },
      { Origin: "null", "Sec-Fetch-Site": "cross-site" },
      { Origin: `http://${HOST}`, "Sec-Fetch-Site": "same-site" },
      { Origin: `http://${HOST}`, "Sec-Fetch-Site": "none" },
    ];
    for (const headers of strangers) assert.equal((await page.post("/stop", {}, headers)).status, 403);
    for (const origin of [undefined, "http://127.0.0.1:9999", "null"]) {
      const headers = { Host: HOST, Cookie: page.cookie, ...(origin === undefined ? {} : { Origin: origin }) };
      const answer = await page.app.request(`http://${HOST}/stop`, { method: "POST", headers });
      assert.equal(answer.status, 403, String(origin));
    }
    assert.equal((await page.post("/stop", {}, { Cookie: "" })).status, 401);
    assert.equal(page.hub.stopped(), undefined);

    assert.equal((await page.post("/stop", { why: "the fan <b>burns</b>" })).status, 303);
    assert.equal(page.hub.stopped()?.why, "the fan <b>burns</b>");
    const text = await (await page.get("/tasks")).text();
    assert.match(text, /STOP is set\..*the fan &lt;b&gt;burns&lt;\/b&gt;/s);
    assert.equal((await page.post("/release", {})).status, 303);
    assert.equal(page.hub.stopped(), undefined);
  }));

test("law 6: an answer is given by a POST from the page itself, once, as a button or in own words", () =>
  withPage(async (page) => {
    await fillStore(page.store, page.hub);
    const [question] = await page.store.openQuestions();
    assert.equal(question?.id, 1);
    const task = question.taskId ?? 0;
    for (const path of ["/", `/tasks/T${task}`, "/projects/ebutterfly-export"]) {
      const text = await (await page.get(path)).text();
      assert.equal(text.match(/action="\/questions\/Q1\/answer"/g)?.length, 2, path);
      assert.ok(text.includes(`name="back" value="${path}"`), path);
      assert.match(text, /<button name="option" value="1"[^>]*><bdi>Wait for a key<\/bdi>/);
    }
    const strangers = { Origin: "http://evil.example", "Sec-Fetch-Site": "cross-site" };
    assert.equal((await page.post("/questions/Q1/answer", { option: "0" }, strangers)).status, 403);
    assert.equal((await page.post("/questions/Q1/answer", { option: "0" }, { Cookie: "" })).status, 401);
    for (const path of ["/questions/Q9/answer", "/questions/x/answer", "/tasks/T99/steer", "/tasks/T99/retry"])
      assert.equal((await page.post(path, { answer: "x", text: "x" })).status, 404, path);
    for (const form of [{}, { answer: " " }, { option: "7" }, { option: "constructor" }])
      assert.equal((await page.post("/questions/Q1/answer", form)).status, 409, JSON.stringify(form));
    assert.equal((await page.store.openQuestions()).length, 1);

    for (let tap = 0; tap < 2; tap += 1) {
      const answer = await page.post("/questions/Q1/answer", { option: "0", back: `/tasks/T${task}` });
      assert.deepEqual([answer.status, answer.headers.get("location")], [303, `/tasks/T${task}`]);
    }
    const after = await page.store.task(task);
    assert.deepEqual([after?.state, after?.front], ["queued", true]);
    const refused = await page.post("/questions/Q1/answer", { answer: "<b>no</b>" });
    assert.equal(refused.status, 409);
    assert.match(words(await refused.text()), /Q1 is answered already, with &quot;Use the June list&quot;/);
    const shown = words(await (await page.get(`/tasks/T${task}`)).text());
    assert.match(shown, /Answered The API wants a key.* Use the June list answered just now/);
    const away = await page.post("/questions/Q1/answer", { option: "0", back: "//evil.example" });
    assert.equal(away.headers.get("location"), "/");
  }));

test("law 13: text from outside is data: answers and messages of any kind come back as text", () =>
  withPage(async (page) => {
    await fillStore(page.store, page.hub);
    const payload = `</textarea><script>alert(1)</script>\u0000"'`;
    assert.equal((await page.post("/questions/Q1/answer", { answer: payload })).status, 303);
    assert.equal((await page.post("/tasks/T1/steer", { text: payload })).status, 303);
    for (const path of ["/tasks/T6", "/tasks/T1", "/activity"]) {
      const text = await (await page.get(path)).text();
      assert.doesNotMatch(text, /<script>/, path);
    }
    for (const path of ["/tasks/T6", "/tasks/T1"])
      assert.match(await (await page.get(path)).text(), /&lt;\/textarea&gt;&lt;script&gt;/, path);
  }));

test("a running task is steered from its page, which says when the words are delivered", () =>
  withPage(async (page) => {
    await fillStore(page.store, page.hub);
    const see = async (path: string) => words(await (await page.get(path)).text());
    assert.match(await see("/tasks/T1"), /Tell its session Its session is told with its next call\./);
    assert.equal((await page.post("/tasks/T1/steer", { text: "Keep the\r\nold loader" })).status, 303);
    assert.match(await see("/tasks/T1"), /Keep the old loader said just now not delivered yet/);
    await page.store.reportProgress(session("s-bb02bb02bb02"), 1, 1, "on it", NOW);
    assert.match(await see("/tasks/T1"), /Keep the old loader said just now delivered just now/);
    assert.match(await see("/tasks/T4"), /No session works on it now: the message waits for the next one\./);
    assert.doesNotMatch(await see("/tasks/T2"), /Tell/, "nobody works on what is done");
    assert.equal((await page.post("/tasks/T2/steer", { text: "x" })).status, 409);
    assert.equal((await page.post("/tasks/T1/steer", { text: "" })).status, 409);
  }));

test("a task that needs the person is tried again from its page, once", () =>
  withPage(async (page) => {
    await fillStore(page.store, page.hub);
    const ask = (await page.store.openQuestions())[0]?.taskId ?? 0;
    assert.match(words(await (await page.get(`/tasks/T${ask}`)).text()), /Go on without an answer/);
    for (let tap = 0; tap < 2; tap += 1)
      assert.equal((await page.post(`/tasks/T${ask}/retry`, {})).headers.get("location"), `/tasks/T${ask}`);
    assert.equal((await page.store.task(ask))?.state, "queued");
    assert.deepEqual(await page.store.openQuestions(), []);
    assert.equal((await page.post("/tasks/T1/retry", {})).status, 303);
    assert.equal((await page.store.task(1))?.state, "running", "what runs is left alone");
  }));

test("GET never changes anything", () =>
  withPage(async (page) => {
    await fillStore(page.store, page.hub);
    const before = await page.store.lastSeq();
    for (const path of [
      ...PAGES,
      "/questions/Q1/answer?option=0",
      "/tasks/T6/retry",
      "/tasks/T1/steer?text=x",
      "/login",
      "/login?code=x",
      "/logout",
      "/nothing",
    ]) {
      await page.get(path);
      await page.app.request(`http://${HOST}${path}`, { method: "HEAD", headers: { Cookie: page.cookie } });
    }
    assert.equal(await page.store.lastSeq(), before);
    assert.equal(page.hub.stopped(), undefined);
    assert.equal((await page.get("/")).status, 200, "still logged in");
  }));

test("a form that is too long is refused", () =>
  withPage(async (page) => {
    assert.equal((await page.post("/stop", { why: "x".repeat(20_000) })).status, 413);
    assert.equal(page.hub.stopped(), undefined);
  }));

test("a transcript is read in parts, newest first shown, without terminal sequences", () =>
  withPage(async (page) => {
    const project = await page.store.addProject(SHEET, { name: "P", priority: 1, nextAction: "go" }, NOW);
    await startOn(page.store, "s-00", "claude", project.id, NOW);
    const line = (n: number) => `line ${n} ${"x".repeat(90)}\n`;
    page.hub.transcripts.set(
      "s-00",
      Array.from({ length: 2_000 }, (_, n) => line(n)).join("") + "\u001B[31mred\u001B[0m\u0000\n",
    );
    const newest = await (await page.get("/sessions/s-00")).text();
    assert.match(newest, /line 1999/);
    assert.match(newest, /\nred\n<\/pre/);
    assert.doesNotMatch(newest, /line 3 /);
    assert.match(newest, />Earlier</);
    const first = await (await page.get("/sessions/s-00?from=0")).text();
    assert.match(first, /line 0 /);
    assert.doesNotMatch(first, /line 1999/);
    let from = 0;
    let all = "";
    for (let looks = 0; looks < 10; looks++) {
      const part = await page.get(`/sessions/s-00/transcript?from=${from}`);
      const text = await part.text();
      if (text === "") break;
      assert.equal(part.headers.get("content-type"), "text/plain; charset=UTF-8");
      assert.equal(part.headers.get("x-ended"), "no");
      all += text;
      from = Number(part.headers.get("x-next"));
    }
    assert.equal(all.split("\n").length, 2_002);
    assert.equal((await page.get("/sessions/nobody")).status, 404);
    assert.equal((await page.get("/sessions/nobody/transcript")).status, 404);
  }));

test("assets are kept by browsers under their content's name, and only under that", () =>
  withPage(async (page) => {
    const text = await (await page.get("/")).text();
    const paths = [...text.matchAll(/"(\/assets\/[^"]+)"/g)].map((match) => match[1] ?? "");
    assert.equal(paths.length, 3);
    for (const path of paths) {
      const answer = await page.app.request(`http://${HOST}${path}`);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get("cache-control"), "public, max-age=31536000, immutable");
    }
    for (const path of ["/assets/page.css", "/assets/page.0000000000000000.css", "/assets/..%2fdashboard.ts"]) {
      assert.equal((await page.app.request(`http://${HOST}${path}`)).status, 404, path);
    }
  }));

test("empty pages say what to do", () =>
  withPage(async (page) => {
    assert.match(await (await page.get("/")).text(), /Add a row with a name and a priority to the Projects tab/);
    assert.match(await (await page.get("/tasks")).text(), /No task yet\. Add a row to the Task Queue tab/);
    assert.match(await (await page.get("/tasks?state=failed")).text(), /No task matches/);
    assert.equal((await page.get("/nothing")).status, 404);
    assert.match(await (await page.get("/nothing")).text(), /There is nothing at this address/);
  }));

test("a fragment is the changing part alone", () =>
  withPage(async (page) => {
    await fillStore(page.store, page.hub);
    for (const path of ["/", "/tasks/T1", "/activity"]) {
      const whole = await (await page.get(path)).text();
      const part = await (await page.get(`${path}?fragment=live`)).text();
      assert.doesNotMatch(part, /<html|<header|<script/);
      assert.ok(whole.includes(part.trim().slice(0, 200)), path);
    }
  }));

test("a page on 1,000 projects and 10,000 tasks is made in under 100 ms", () =>
  withPage(async (page) => {
    for (let p = 0; p < 1_000; p++) {
      const project = await page.store.addProject(SHEET, { name: `Project ${p}`, priority: (p % 5) + 1 }, NOW);
      for (let t = 0; t < 10; t++) {
        await page.store.addTask(SHEET, { projectId: project.id, description: `Task ${t}`, origin: "sheet" }, NOW);
      }
    }
    for (const path of [
      "/",
      "/?page=20",
      "/tasks",
      "/tasks?order=queue&state=queued",
      "/projects/project-500",
      "/activity",
    ]) {
      const times = [];
      for (let n = 0; n < 7; n++) {
        const start = performance.now();
        const text = await (await page.get(path)).text();
        times.push(performance.now() - start);
        assert.ok(text.length < 200_000, `${path} is ${text.length} characters long`);
      }
      const best = Math.min(...times);
      assert.ok(best < 100, `${path} took ${best.toFixed(1)} ms`);
    }
  }));

test("a failure on our side shows no inside", () =>
  withPage(async (page) => {
    page.hub.transcript = async () => {
      throw new Error("/secret/path");
    };
    const project = await page.store.addProject(SHEET, { name: "P", priority: 1, nextAction: "go" }, NOW);
    await startOn(page.store, "s-00", "claude", project.id, NOW);
    await page.store.reportProgress(session("s-00"), 1, 1, "x", NOW);
    const answer = await page.get("/sessions/s-00");
    assert.equal(answer.status, 500);
    assert.doesNotMatch(await answer.text(), /secret/);
  }));

/** What a person reads of a document, with single spaces. */
function words(document: string): string {
  return document
    .replace(/<head>.*?<\/head>/s, "")
    .replace(/<[^>]*>/g, " ")
    .replaceAll("&#39;", "'")
    .replace(/\s+/g, " ")
    .replace(/ ([,.])/g, "$1");
}
