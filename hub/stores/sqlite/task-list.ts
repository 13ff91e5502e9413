import { TASK_STATES, type Task, type TaskState } from "../../base/task.ts";
import { and, asc, desc, eq, inArray, lt, sql } from "../drizzle.ts";
import * as schema from "../schema.ts";
import type { Store } from "../store.ts";
import type { Core } from "./core.ts";
import { toTask, type TaskRow } from "./rows.ts";

type Filter = NonNullable<Parameters<Store["tasks"]>[0]>;

/** What runs comes first, then the queue, then what waits, then what is over. */
const QUEUE_ORDER: readonly TaskState[] = [
  "running",
  "checking",
  "in_review",
  "queued",
  "waiting",
  "blocked",
  ...TASK_STATES.filter((state) => ["failed", "done", "landed", "cancelled", "discarded"].includes(state)),
];
const NO_LIMIT = 1_000_000_000;

/** Lists tasks; each combination of filters is prepared once. */
export function createTaskList({ orm }: Core): (filter: Filter) => Task[] {
  const { tasks } = schema;
  const prepared = new Map<string, ReturnType<typeof build>>();

  function build(filter: Filter) {
    const conditions = [
      ...(filter.projectId === undefined ? [] : [eq(tasks.projectId, sql.placeholder("projectId"))]),
      ...(filter.states === undefined ? [] : [oneOf(filter.states)]),
      ...(filter.beforeId === undefined ? [] : [lt(tasks.id, sql.placeholder("beforeId"))]),
    ];
    const order = filter.order === "queue" ? [asc(tasks.band), desc(tasks.front), asc(tasks.id)] : [desc(tasks.id)];
    return orm
      .select()
      .from(tasks)
      .where(and(...conditions))
      .orderBy(...order)
      .limit(sql.placeholder("limit"))
      .prepare();
  }

  function oneOf(states: TaskState[]) {
    const [only, second] = states;
    return only !== undefined && second === undefined ? eq(tasks.state, only) : inArray(tasks.state, states);
  }

  function read(filter: Filter): TaskRow[] {
    const { projectId, beforeId, states, order, limit = NO_LIMIT } = filter;
    const key = [projectId !== undefined, states?.join(",") ?? "", beforeId !== undefined, order].join("|");
    let statement = prepared.get(key);
    if (statement === undefined) {
      statement = build(filter);
      prepared.set(key, statement);
    }
    return statement.all({ projectId, beforeId, limit });
  }

  /** State by state, so that each is read in its index's order and no more than is asked for. */
  function inQueueOrder(filter: Filter): TaskRow[] {
    const found: TaskRow[] = [];
    const limit = filter.limit ?? NO_LIMIT;
    for (const state of QUEUE_ORDER) {
      if (found.length >= limit) break;
      if (filter.states?.includes(state) === false) continue;
      found.push(...read({ ...filter, states: [state], limit: limit - found.length }));
    }
    return found;
  }

  return (filter) => (filter.order === "queue" ? inQueueOrder(filter) : read(filter)).map(toTask);
}
