import assert from "node:assert/strict";
import { test } from "node:test";
import { HOUR } from "../../hub/base/clock.ts";
import { SUPERVISOR } from "../../hub/base/session.ts";
import { withHub } from "./hub.ts";

test("errors have one shape and the right code", async () => {
  await withHub(async ({ call, url }) => {
    const cases: [string, unknown, number, RegExp][] = [
      ["/nothing", undefined, 404, /nothing here/],
      ["/tasks/T9", undefined, 404, /no such task/i],
      ["/sessions/s-1/log", undefined, 404, /no such session/i],
      ["/tasks?stat=done", undefined, 400, /stat/],
      ["/events?after=x", undefined, 400, /after/],
      ["/tasks", {}, 400, /project/],
      ["/tasks", { project: "P", description: "d", colour: "red" }, 400, /colour/],
      ["/tasks", { project: "P", description: "d" }, 404, /no project "P"/],
      ["/projects", { name: "P", priority: 0 }, 400, /priority/],
      ["/stop", { whay: "x" }, 400, /whay/],
      ["/questions/Q1/answer", { answer: "" }, 400, /answer/],
      ["/questions/x/answer", { answer: "x" }, 404, /no such question/i],
      ["/tasks/T1/steer", { words: "x" }, 400, /text/],
      ["/tasks/T1/steer", { text: "x" }, 404, /no such task/i],
      ["/release", { a: 1 }, 400, /a/],
    ];
    for (const [path, body, status, says] of cases) {
      const { status: got, answer } = await call("admin", path, body);
      assert.equal(got, status, path);
      assert.match((answer as { error: { message: string } }).error.message, says, path);
    }
    const admin = async (init: RequestInit) => (await fetch(`${url}/api/stop`, { method: "POST", ...init })).status;
    assert.equal(await admin({ body: "{}" }), 401);
  });
});

test("only JSON is taken, so that another site's form cannot post", async () => {
  await withHub(async ({ url, tokens }) => {
    const { token } = await tokens.issue(SUPERVISOR, { role: "human", label: "t", ttlMs: HOUR });
    const post = (type: string, body: string) =>
      fetch(`${url}/api/stop`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": type },
        body,
      });
    assert.equal((await post("text/plain", "{}")).status, 415);
    assert.equal((await post("application/x-www-form-urlencoded", "why=x")).status, 415);
    assert.equal((await post("application/json", "{")).status, 400);
    assert.equal((await post("application/json; charset=utf-8", "{}")).status, 200);
  });
});

test("admin may do all, human all but tokens and logins, agent nothing of it", async () => {
  await withHub(async ({ call, store }) => {
    await store.addProject(SUPERVISOR, { name: "P" }, Date.now());
    const paths: [string, unknown, number, number][] = [
      ["/status", undefined, 200, 200],
      ["/next", undefined, 200, 200],
      ["/projects", undefined, 200, 200],
      ["/tasks", undefined, 200, 200],
      ["/sessions", undefined, 200, 200],
      ["/questions", undefined, 200, 200],
      ["/events", undefined, 200, 200],
      ["/tasks", { project: "P", description: "d" }, 201, 201],
      ["/tasks/T1/steer", { text: "mind the gap" }, 200, 200],
      ["/questions/1/answer", { answer: "x" }, 404, 404],
      ["/projects", { name: "Q" }, 201, 409],
      ["/stop", {}, 200, 200],
      ["/release", {}, 200, 200],
      ["/tokens", { role: "admin" }, 201, 403],
      ["/login-code", {}, 201, 403],
    ];
    for (const [path, body, admin, human] of paths) {
      assert.equal((await call("admin", path, body)).status, admin, `admin ${path}`);
      assert.equal((await call("human", path, body)).status, human, `human ${path}`);
      assert.equal((await call("agent", path, body)).status, 403, `agent ${path}`);
      assert.equal((await call("cto_none", path, body)).status, 401, `nobody ${path}`);
    }
  });
});

test("what becomes a command or a path is refused to a client of the person's: only the command line sets it", async () => {
  await withHub(async ({ call, store }) => {
    for (const [field, value] of Object.entries({
      setup: "make",
      check: "make",
      repo: "/r",
      path: "p",
      machine: "native",
    })) {
      const { status, answer } = await call("human", "/projects", { name: `P ${field}`, [field]: value });
      assert.equal(status, 403, field);
      assert.match((answer as { error: { message: string } }).error.message, new RegExp(`sets ${field}: in the sheet`));
      assert.equal((await call("admin", "/projects", { name: `P ${field}`, [field]: value })).status, 201);
    }
    assert.equal((await store.projects()).length, 5);
  });
});

test("a task for an agent, or after a task, that is not there is refused with those that are", async () => {
  await withHub(async ({ call, store, cto }) => {
    await store.addProject(SUPERVISOR, { name: "P" }, Date.now());
    const add = (more: object) => call("human", "/tasks", { project: "P", description: "d", ...more });
    const message = ({ answer }: { answer: unknown }) => (answer as { error: { message: string } }).error.message;
    assert.equal(message(await add({ agent: "nobody" })), 'There is no agent "nobody". There is: worker.');
    assert.equal(message(await add({ dependsOn: "T99" })), 'There is no task "T99" to depend on. P has none yet.');
    assert.equal((await add({ agent: "Worker" })).status, 201);
    assert.equal(message(await add({ dependsOn: "T1, T99" })), 'There is no task "T99" to depend on. P has: T1.');
    assert.equal((await add({ dependsOn: "T1" })).status, 201);
    assert.equal((await store.tasks()).length, 2);
    const refused = await cto("add", "x", "-p", "Q", "--new-project", "--agent", "nobody");
    assert.equal(refused.code, 1);
    assert.match(
      refused.err,
      /no agent "nobody"\. There is: worker\. The project is there now: leave --new-project out/,
    );
  });
});

test("a token of one project sees and changes that project alone", async () => {
  await withHub(async ({ call, store, tokens }) => {
    const own = await store.addProject(SUPERVISOR, { name: "Own" }, Date.now());
    const other = await store.addProject(SUPERVISOR, { name: "Other" }, Date.now());
    for (const { id } of [own, other])
      await store.addTask(SUPERVISOR, { projectId: id, description: "d", origin: "sheet" }, Date.now());
    const { token } = await tokens.issue(SUPERVISOR, { role: "human", projectId: own.id, label: "t", ttlMs: HOUR });
    const { answer: status } = await call(token, "/status");
    assert.doesNotMatch(JSON.stringify(status), /Other/);
    assert.match(JSON.stringify(status), /Own/);
    assert.doesNotMatch(
      JSON.stringify((await call(token, "/events")).answer),
      new RegExp(`"projectId":${other.id}\\b`),
    );
    assert.doesNotMatch(JSON.stringify((await call(token, "/tasks")).answer), /Other/);
    assert.equal((await call(token, "/tasks/T1")).status, 200);
    assert.equal((await call(token, "/tasks/T2")).status, 404);
    await store.say(SUPERVISOR, 2, "for the Other", Date.now());
    assert.deepEqual(((await call(token, "/status")).answer as { messages: unknown[] }).messages, []);
    assert.equal((await call(token, "/tasks/T2/steer", { text: "x" })).status, 404);
    await store.openSession(
      { id: "s-1", agent: "a", projectId: other.id, kind: "attached", machine: "native" },
      Date.now(),
    );
    const held = (await store.claim("s-1", Date.now()))?.task;
    const by = { role: "agent" as const, name: "session:s-1", sessionId: "s-1", projectId: null };
    await store.block(by, held?.id ?? 0, held?.fence ?? 0, { text: "Other?", options: [] }, Date.now());
    assert.deepEqual((await call(token, "/questions")).answer, { questions: [] });
    assert.equal((await call(token, "/questions/1/answer", { answer: "x" })).status, 404);
    assert.equal((await call(token, "/tasks", { project: "Other", description: "d" })).status, 404);
    assert.equal((await call(token, "/projects", { name: "New" })).status, 403);
    assert.equal((await call(token, "/stop", {})).status, 403);
  });
});

test("the same key adds one task", async () => {
  await withHub(async ({ call, store }) => {
    await store.addProject(SUPERVISOR, { name: "P" }, Date.now());
    const body = { project: "P", description: "d", key: "key-of-this-call" };
    const first = await call("admin", "/tasks", body);
    const second = await call("admin", "/tasks", body);
    assert.deepEqual(second.answer, first.answer);
    assert.equal((await store.tasks()).length, 1);
  });
});

test("status tells the whole state in one shape", async () => {
  await withHub(async ({ call, store }) => {
    const project = await store.addProject(SUPERVISOR, { name: "P", priority: 2 }, Date.now());
    await store.addTask(SUPERVISOR, { projectId: project.id, description: "d", origin: "sheet" }, Date.now());
    const { answer } = await call("human", "/status");
    const status = answer as Record<string, unknown>;
    assert.deepEqual(Object.keys(status).toSorted(), [
      "agents",
      "home",
      "lastSeq",
      "messages",
      "now",
      "pid",
      "projects",
      "questions",
      "running",
      "sample",
      "sessions",
      "sheet",
      "startedAt",
      "stopped",
      "tasks",
      "truncated",
      "url",
      "version",
      "warnings",
    ]);
    const [task] = status["tasks"] as Record<string, unknown>[];
    assert.deepEqual(
      [task?.["id"], task?.["project"], task?.["state"], task?.["branch"]],
      ["T1", "P", "queued", "cto/T1"],
    );
    const { answer: events } = await call("human", `/events?after=${String(status["lastSeq"])}`);
    assert.deepEqual(events, { events: [], next: status["lastSeq"] });
  });
});

test("a login code logs one browser in, once", async () => {
  await withHub(async ({ call, url }) => {
    const { answer } = await call("admin", "/login-code", {});
    const link = new URL((answer as { url: string }).url);
    assert.equal(link.origin, url);
    const log = () =>
      fetch(`${url}/login`, {
        method: "POST",
        headers: { origin: url, "sec-fetch-site": "same-origin" },
        body: new URLSearchParams({ code: link.hash.slice(1) }),
        redirect: "manual",
      });
    assert.equal((await log()).status, 303);
    assert.equal((await log()).status, 401);
  });
});
