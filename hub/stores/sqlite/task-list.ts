import type { Task } from "../../base/task.ts";
import { and, asc, desc, eq, inArray, lt, sql } from "../drizzle.ts";
import * as schema from "../schema.ts";
import type { Store } from "../store.ts";
import type { Core } from "./core.ts";
import { toTask } from "./rows.ts";

type Filter = NonNullable<Parameters<Store["tasks"]>[0]>;

const PAGE = 1_000_000;

/** Lists tasks; each combination of filters is prepared once. */
export function createTaskList({ orm }: Core): (filter: Filter) => Task[] {
  const { tasks } = schema;
  const prepared = new Map<string, ReturnType<typeof build>>();
  const held = sql`${tasks.state} IN ('running', 'checking', 'in_review')`;

  function build(filter: Filter) {
    const conditions = [
      ...(filter.projectId === undefined ? [] : [eq(tasks.projectId, sql.placeholder("projectId"))]),
      ...(filter.states === undefined ? [] : [inArray(tasks.state, filter.states)]),
      ...(filter.beforeId === undefined ? [] : [lt(tasks.id, sql.placeholder("beforeId"))]),
    ];
    const order =
      filter.order === "queue"
        ? [desc(held), desc(sql`${tasks.state} = 'queued'`), asc(tasks.band), desc(tasks.front), asc(tasks.id)]
        : [desc(tasks.id)];
    return orm
      .select()
      .from(tasks)
      .where(and(...conditions))
      .orderBy(...order)
      .limit(sql.placeholder("limit"))
      .prepare();
  }

  return (filter) => {
    const key = [
      filter.projectId !== undefined,
      filter.states?.join(",") ?? "",
      filter.beforeId !== undefined,
      filter.order,
    ].join("|");
    let statement = prepared.get(key);
    if (statement === undefined) {
      statement = build(filter);
      prepared.set(key, statement);
    }
    return statement
      .all({ projectId: filter.projectId, beforeId: filter.beforeId, limit: filter.limit ?? PAGE })
      .map(toTask);
  };
}
