import { UserInputError } from "../../base/errors.ts";
import { taskName } from "../../base/ids.ts";
import type { Principal } from "../../base/session.ts";
import { isOpen } from "../../base/task.ts";
import type { Delivery } from "../../queue/questions.ts";
import { desc, eq, sql } from "../drizzle.ts";
import * as schema from "../schema.ts";
import type { Message } from "../store.ts";
import type { Core } from "./core.ts";
import type { Rows } from "./rows.ts";
import { about } from "./tasks.ts";

const MESSAGE_LIMIT = 4_000;
/** Messages that wait for one task; more would not be read. */
const WAITING_LIMIT = 20;

/** What people say to whoever works on a task, inside a transaction where it writes. */
export interface Messages {
  say(by: Principal, taskId: number, text: string, now: number): Delivery;
  of(taskId: number, limit: number): Message[];
  undelivered(limit: number): Message[];
}

export function createMessages(core: Core, rows: Rows): Messages {
  const { db, orm } = core;
  const { messages } = schema;
  const statements = {
    waiting: db.prepare("SELECT text FROM messages WHERE task_id = ? AND delivered_at IS NULL").pluck(),
    of: orm
      .select()
      .from(messages)
      .where(eq(messages.taskId, sql.placeholder("taskId")))
      .orderBy(desc(messages.id))
      .limit(sql.placeholder("limit"))
      .prepare(),
    undelivered: db.prepare(
      "SELECT m.id, m.task_id AS taskId, m.text, m.principal, m.at, m.delivered_at AS deliveredAt, m.delivered_to AS deliveredTo " +
        "FROM messages m JOIN tasks t ON t.id = m.task_id WHERE m.delivered_at IS NULL " +
        "AND t.state IN ('queued', 'running', 'checking', 'in_review', 'waiting', 'blocked') ORDER BY m.id LIMIT ?",
    ),
  };

  function say(by: Principal, taskId: number, text: string, now: number): Delivery {
    const task = rows.needTask(taskId);
    const words = text.trim();
    if (words === "" || words.length > MESSAGE_LIMIT)
      throw new UserInputError(`A message has 1 to ${MESSAGE_LIMIT} characters.`);
    if (!isOpen(task.state))
      throw new UserInputError(
        `${taskName(taskId)} is ${task.state}: nobody works on it any more. Add a task for what is missing.`,
      );
    const session = task.sessionId === null ? undefined : rows.session(task.sessionId);
    const live = task.state === "running" && session !== undefined && session.state !== "ended";
    const delivery = { state: task.state, live };
    const waiting = statements.waiting.all(taskId) as string[];
    if (waiting.includes(words)) return delivery;
    if (waiting.length >= WAITING_LIMIT)
      throw new UserInputError(
        `${waiting.length} messages wait for ${taskName(taskId)} already. Change its description instead.`,
      );
    core.insert(messages, { taskId, text: words, principal: by.name, at: now });
    core.append(by, "message_sent", about(task), { text: words.slice(0, 500) }, now);
    return delivery;
  }

  return {
    say,
    of: (taskId, limit) => statements.of.all({ taskId, limit }),
    undelivered: (limit) => statements.undelivered.all(limit) as Message[],
  };
}
