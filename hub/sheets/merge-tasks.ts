import type { Complexity, TaskType } from "../base/task.ts";
import type { NewTask, SheetChanges, TaskChanges } from "../stores/store.ts";
import { DAY } from "../base/clock.ts";
import { dependencyNames } from "../queue/dependencies.ts";
import { fold } from "./cells.ts";
import type { Layout } from "./columns.ts";
import type { TaskHubRow } from "./hub-rows.ts";
import type { CellEdit, MergeInput, NewRow, TabRules } from "./merge.ts";
import type { FoundProject } from "./names.ts";
import type { SheetRow } from "./row.ts";
import { NOTE_STATUS, TYPED } from "./snapshots.ts";
import { askOfNewTask, askOfTask } from "./status.ts";

const OUR_NAME = /^T[1-9]\d*$/i;
const ALIAS_LIMIT = 100;

export interface TaskRules extends TabRules<TaskHubRow> {
  /** Once all rows are read: Depends On of new rows means the row where a name of the hub's form was typed. */
  refer(): void;
}

/** What a row in Task Queue means for the hub. `find` finds the project that a row names. */
export function createTaskRules(
  input: MergeInput,
  changes: SheetChanges,
  find: (text: string) => FoundProject,
): TaskRules {
  const hub = new Map(input.tasks.map((row) => [row.id, row]));
  const aliases = new Map<string, number | string>();
  for (const row of input.tasks) if (row.alias !== null) aliases.set(fold(row.alias), row.id);

  /** Names of the hub's own form that a person typed, and the task (id) or new row (key) where that was. */
  const typedNames = new Map<string, number | string>();
  for (const row of input.tasks) {
    const until = input.histories.get(`T${row.id}`)?.at(-1)?.cells[NOTE_STATUS] ?? "";
    const name = until.startsWith(TYPED) ? until.slice(TYPED.length) : "";
    if (name !== "" && typedStays(row, name)) typedNames.set(name, row.id);
  }

  function typedStays(row: TaskHubRow, typed: string): boolean {
    return typed !== `T${row.id}` && input.now - row.createdAt < DAY;
  }

  function change(id: number, fields: TaskChanges): void {
    const entry = changes.changeTasks.find((each) => each.id === id);
    if (entry === undefined) changes.changeTasks.push({ id, changes: fields });
    else Object.assign(entry.changes, fields);
  }

  function comparable(column: string, text: string): string {
    if (column !== "Project") return text;
    const found = find(text);
    return "why" in found ? fold(text) : `#${found.ref}`;
  }

  function edit(column: string, text: string, row: TaskHubRow): CellEdit {
    switch (column) {
      case "Task ID":
        return nameEdit(text, row);
      case "Project":
        return { bad: "cannot be changed: a task stays in its project (take this row out and type a new one)" };
      case "Status":
        return statusEdit(text, row);
      case "Assigned To":
        if (row.agent === "") return { take: () => change(row.id, { wantedAgent: text === "" ? null : text }) };
        return { putBack: `${row.agent} has it` };
      default:
        return { take: () => change(row.id, fieldOf(column, text)) };
    }
  }

  function statusEdit(text: string, row: TaskHubRow): CellEdit {
    if (row.rests && text !== "Cancelled")
      return { putBack: "its project's row was taken out: put it back in Projects and this goes on" };
    const ask = askOfTask(text, row.state);
    if (typeof ask === "object") return ask;
    return {
      take: () => {
        if (ask === "cancel") changes.cancelTasks.push(row.id);
        if (ask === "reopen") changes.reopenTasks.push(row.id);
      },
    };
  }

  function nameEdit(text: string, row: TaskHubRow): CellEdit {
    const own = text === "" || text.toUpperCase() === `T${row.id}`;
    const why = own ? undefined : notAnAlias(text, row.id);
    if (why !== undefined) return { putBack: why };
    return {
      take: () => {
        if (row.alias !== null) aliases.delete(fold(row.alias));
        if (!own) aliases.set(fold(text), row.id);
        change(row.id, { alias: own ? null : text });
      },
    };
  }

  function notAnAlias(text: string, owner: number | string): string | undefined {
    if (OUR_NAME.test(text)) return `names such as "${text}" are given by the hub`;
    if (text.length > ALIAS_LIMIT) return `a name may have at most ${ALIAS_LIMIT} characters`;
    const other = aliases.get(fold(text));
    return other === undefined || other === owner ? undefined : `"${text}" is another task's name`;
  }

  function take(row: SheetRow, layout: Layout, read: (column: string) => string): NewRow {
    const [project, description] = [read("Project"), read("Description")];
    if (project === "" && description === "") return undefined;
    if (!layout.index.has("Project") || !layout.index.has("Description")) return undefined;
    if (description === "") return { why: "give it a Description, then it becomes a task" };
    if (description.length > 20_000) return { why: "its Description is longer than 20000 characters: shorten it" };
    const found = find(project);
    if ("why" in found) return { why: `Project: ${found.why}` };
    const original = row.copyOf === undefined ? undefined : hub.get(row.copyOf);
    // What a copy shows in the hub's columns says what is true of the original.
    const typed = (column: string) => (original?.cells[column] === read(column) ? "" : read(column));
    const asked = askOfNewTask(typed("Status"));
    if ("wait" in asked) return { why: asked.wait };
    const key = `Task Queue ${row.at}`;
    const name = typed("Task ID");
    const refused = name === "" ? undefined : notAnAlias(name, key);
    const alias = name === "" || refused !== undefined ? null : name;
    if (alias !== null) aliases.set(fold(alias), key);
    const ours = refused !== undefined && OUR_NAME.test(name);
    if (ours) typedNames.set(name.toUpperCase(), key);
    const task: Omit<NewTask, "projectId"> = {
      description,
      origin: "sheet",
      alias,
      wantedAgent: typed("Assigned To") || null,
      dependsOn: read("Depends On"),
      ...(read("Type") === "" ? {} : { type: read("Type") as TaskType }),
      ...(read("Complexity") === "" ? {} : { complexity: read("Complexity") as Complexity }),
      ...(read("Priority") === "" ? {} : { priority: Number(read("Priority")) }),
    };
    return {
      key,
      take: (agreed) => {
        // Output is taken with the next merge, which knows the task that it belongs to.
        const before = { ...agreed, ...(agreed["Output"] === undefined ? {} : { Output: "" }) };
        const output = original === undefined ? before : agreed;
        changes.addTasks.push({
          key,
          project: found.ref,
          input: task,
          agreed: output,
          ...(asked.state === undefined ? {} : { state: asked.state }),
        });
      },
      ...(refused === undefined || original !== undefined
        ? {}
        : {
            note: ours
              ? { text: renamed(name), status: `${TYPED}${name.toUpperCase()}` }
              : { text: `Task ID was put back: ${refused}`, status: "Queued" },
          }),
    };
  }

  return {
    tab: "Task Queue",
    hub,
    revives: false,
    links: {
      identity: (text) => {
        const [project, description] = [fold(text("Project")), text("Description")];
        return description === "" ? undefined : JSON.stringify([project, description, fold(text("Task ID"))]);
      },
      name: (text) => text("Task ID"),
      place: (text) => ({ place: fold(text("Project")), words: text("Description") }),
      typed: (text) => !OUR_NAME.test(text("Task ID")),
      nameIsEnough: true,
    },
    adopt: () => undefined,
    comparable,
    edit,
    typedStays,
    refer() {
      for (const entry of changes.addTasks) {
        const names = dependencyNames(entry.input.dependsOn ?? "").map((name) => name.toUpperCase());
        const refers = names.flatMap((name) => {
          const ref = typedNames.get(name);
          return ref === undefined ? [] : [[name, ref] as const];
        });
        if (refers.length > 0) entry.refers = Object.fromEntries(refers);
      }
    },
    revive() {},
    take,
    end: (id) => void changes.cancelTasks.push(id),
  };
}

function renamed(typed: string): string {
  return `you typed ${typed} as Task ID, but such names are given by the hub: Task ID says what it is called now, and Depends On ${typed} of rows typed with it means this one`;
}

/** The task's field behind a column, for a cell's canonical text. */
function fieldOf(column: string, text: string): TaskChanges {
  switch (column) {
    case "Description":
      return { description: text };
    case "Type":
      return { type: text as TaskType };
    case "Complexity":
      return { complexity: text as Complexity };
    case "Priority":
      return { priority: text === "" ? null : Number(text) };
    case "Depends On":
      return { dependsOn: text };
    case "Output":
      return { output: text === "" ? null : text };
    default:
      return {};
  }
}
