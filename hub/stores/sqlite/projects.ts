import { UserInputError } from "../../base/errors.ts";
import { slugOf } from "../../base/ids.ts";
import type { Project, StateCounts } from "../../base/project.ts";
import type { Principal } from "../../base/session.ts";
import type { TaskState } from "../../base/task.ts";
import { dependencyNames } from "../../queue/dependencies.ts";
import { laneOf } from "../../queue/lane.ts";
import * as schema from "../schema.ts";
import type { NewProject, ProjectChanges } from "../store.ts";
import type { Core } from "./core.ts";
import type { Ready } from "./ready.ts";
import type { ProjectRow, Rows } from "./rows.ts";

const NAME_LIMIT = 200;

/** Projects inside a transaction; the store's methods wrap these. */
export interface Projects {
  add(by: Principal, input: NewProject, now: number): ProjectRow;
  change(by: Principal, id: number, changes: ProjectChanges, now: number): ProjectRow;
  find(name: string): ProjectRow | undefined;
  all(archived: boolean): ProjectRow[];
  counts(): Map<number, StateCounts>;
}

export type QueueNextAction = (by: Principal, project: ProjectRow, text: string, now: number) => void;

/** `queueNextAction` makes the task of a new Next Action text. */
export function createProjects(core: Core, rows: Rows, ready: Ready, queueNextAction: QueueNextAction): Projects {
  const { db, orm } = core;
  const sql = {
    slugTaken: db.prepare("SELECT 1 FROM projects WHERE slug = ?").pluck(),
    byName: db
      .prepare(
        "SELECT id FROM projects WHERE name = ? COLLATE NOCASE OR slug = ? ORDER BY hold = 'archived', id LIMIT 1",
      )
      .pluck(),
    byPrefix: db
      .prepare(
        "SELECT id FROM projects WHERE hold IS NOT 'archived' AND substr(lower(name), 1, length(?)) = lower(?) LIMIT 2",
      )
      .pluck(),
    counts: db.prepare(
      "SELECT project_id AS projectId, state, sum(n) AS n FROM task_counts WHERE n > 0 GROUP BY project_id, state",
    ),
    clearDependencies: db.prepare("DELETE FROM project_dependencies WHERE project_id = ?"),
    addDependency: db.prepare("INSERT OR IGNORE INTO project_dependencies VALUES (?, ?)"),
  };
  const allRows = orm.select().from(schema.projects).orderBy(schema.projects.id).prepare();

  function freeSlug(name: string): string {
    const base = slugOf(name);
    if (sql.slugTaken.get(base) === undefined) return base;
    for (let n = 2; ; n++) if (sql.slugTaken.get(`${base}-${n}`) === undefined) return `${base}-${n}`;
  }

  function find(name: string): ProjectRow | undefined {
    const text = name.trim();
    if (text === "") return undefined;
    const exact = sql.byName.get(text, text.toLowerCase()) as number | undefined;
    if (exact !== undefined) return rows.project(exact);
    const [only, second] = sql.byPrefix.all(text, text) as number[];
    return only === undefined || second !== undefined ? undefined : rows.project(only);
  }

  /** Projects named in Depends On; names that are not there are told by the sheet, not here. */
  function setDependencies(id: number, text: string): void {
    sql.clearDependencies.run(id);
    for (const name of dependencyNames(text)) {
      const on = find(name);
      if (on !== undefined && on.id !== id) sql.addDependency.run(id, on.id);
    }
  }

  function add(by: Principal, input: NewProject, now: number): ProjectRow {
    const name = checkName(input.name);
    const same = sql.byName.get(name, "") as number | undefined;
    if (same !== undefined && rows.project(same)?.hold !== "archived") {
      throw new UserInputError(`There is a project called "${name}" already. Choose another name, or change that one.`);
    }
    const id = core.insert(schema.projects, {
      slug: freeSlug(name),
      name,
      priority: input.priority ?? 3,
      hold: input.hold ?? null,
      deadline: input.deadline ?? null,
      deadlineText: input.deadlineText ?? "",
      gpu: input.gpu ?? false,
      model: input.model ?? "",
      repo: input.repo ?? "",
      path: input.path ?? "",
      setup: input.setup ?? "",
      check: input.check ?? "",
      dependsOn: input.dependsOn ?? "",
      budget: input.budget ?? "",
      autonomy: input.autonomy ?? "ask",
      machine: input.machine ?? "",
      review: input.review ?? "auto",
      lane: "",
      createdAt: now,
      updatedAt: now,
    });
    core.update(schema.projects, id, { lane: laneOf(input.repo ?? "", id) });
    setDependencies(id, input.dependsOn ?? "");
    core.append(by, "project_added", { projectId: id }, { name }, now);
    ready.refreshProject(id, now);
    if (input.nextAction !== undefined && input.nextAction !== "") takeNextAction(by, id, input.nextAction, now);
    return rows.needProject(id);
  }

  function change(by: Principal, id: number, changes: ProjectChanges, now: number): ProjectRow {
    const before = rows.needProject(id);
    const { nextAction, ...rest } = changes;
    if (rest.name !== undefined) rest.name = checkName(rest.name);
    const differing = Object.fromEntries(
      Object.entries(rest).filter(([key, value]) => value !== undefined && before[key as keyof ProjectRow] !== value),
    );
    if (differing["repo"] !== undefined && differing["lane"] === undefined)
      differing["lane"] = laneOf(rest.repo ?? "", id);
    if (Object.keys(differing).length > 0) {
      core.update(schema.projects, id, { ...differing, updatedAt: now });
      if (rest.dependsOn !== undefined) setDependencies(id, rest.dependsOn);
      core.append(
        by,
        "project_changed",
        { projectId: id },
        { changed: Object.keys(differing), ...shortValues(differing) },
        now,
      );
      ready.refreshProject(id, now);
    }
    if (nextAction !== undefined && nextAction !== before.nextAction) takeNextAction(by, id, nextAction, now);
    return rows.needProject(id);
  }

  /** Each new text of the person makes one task; text that was consumed, or that the hub wrote, makes none. */
  function takeNextAction(by: Principal, id: number, text: string, now: number): void {
    const project = rows.needProject(id);
    const action = text.trim();
    const fresh = action !== "" && action !== "-" && action !== project.consumedAction;
    core.update(schema.projects, id, {
      nextAction: text,
      updatedAt: now,
      ...(fresh ? { consumedAction: action } : {}),
    });
    core.append(by, "project_changed", { projectId: id }, { changed: ["nextAction"] }, now);
    if (fresh) queueNextAction(by, rows.needProject(id), action, now);
  }

  return {
    add,
    change,
    find,
    all: (archived) => allRows.all().filter((project) => archived || project.hold !== "archived"),
    counts() {
      const result = new Map<number, StateCounts>();
      for (const row of sql.counts.all() as { projectId: number; state: TaskState; n: number }[]) {
        const counts = result.get(row.projectId) ?? {};
        counts[row.state] = row.n;
        result.set(row.projectId, counts);
      }
      return result;
    },
  };
}

function checkName(name: string): string {
  const text = name.trim();
  if (text === "") throw new UserInputError("A project needs a name.");
  if (text.length > NAME_LIMIT) throw new UserInputError(`A project's name may have at most ${NAME_LIMIT} characters.`);
  return text;
}

/** Short values are kept in the event, long texts are not. */
function shortValues(changes: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(changes).filter(([, value]) => typeof value !== "string" || value.length <= 200),
  );
}

/** A project as the rest of the hub knows it. */
export function toProject(row: ProjectRow): Project {
  const { openGate: _gate, boost: _boost, boostWhy: _why, boostDueAt: _due, ...project } = row;
  return project;
}
