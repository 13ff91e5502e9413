import type { Hono } from "hono";
import { parseQuestionName, parseTaskName } from "../hub/base/ids.ts";
import { PAGE } from "../hub/base/session.ts";
import type { Store } from "../hub/stores/store.ts";
import { localPath } from "./guard.ts";
import type { Clockwork } from "./page.ts";
import { plain } from "./text.ts";
import { taskPath } from "./views/parts.ts";

/** Answering, steering and trying again: what the page's forms do, each a POST that leads back to where it was sent. */
export function addTaskActs(app: Hono, store: Store, clock: Clockwork): void {
  app.post("/questions/:name/answer", async (c, next) => {
    const form = await c.req.parseBody();
    const id = parseQuestionName(c.req.param("name"));
    const question = id === undefined ? undefined : await store.question(id);
    if (question === undefined) return next();
    // A button sends the number of its answer: words of any kind come back as they were kept.
    const option = form["option"] === undefined ? undefined : question.options[Number(text(form["option"]))];
    await store.answerQuestion(PAGE, question.id, option ?? text(form["answer"]), clock.now());
    return c.redirect(localPath(text(form["back"])), 303);
  });

  app.post("/tasks/:name/steer", async (c, next) => {
    const form = await c.req.parseBody();
    const task = await taskNamed(c.req.param("name"));
    if (task === undefined) return next();
    await store.say(PAGE, task.id, text(form["text"]), clock.now());
    return c.redirect(taskPath(task.id), 303);
  });

  app.post("/tasks/:name/retry", async (c, next) => {
    const task = await taskNamed(c.req.param("name"));
    if (task === undefined) return next();
    // A second tap finds it in the queue already.
    if (task.state === "blocked" || task.state === "failed")
      await store.reopenTask(PAGE, task.id, "to be tried again, from the page", clock.now());
    return c.redirect(taskPath(task.id), 303);
  });

  async function taskNamed(name: string) {
    const id = parseTaskName(name);
    return id === undefined ? undefined : store.task(id);
  }
}

/** A field as text without control characters; line ends as everywhere else, whatever the form sent. */
function text(value: unknown): string {
  return typeof value === "string" ? plain(value) : "";
}
