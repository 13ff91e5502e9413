import type { Project } from "../base/project.ts";
import { slugOf } from "../base/ids.ts";
import type { Cells, ProjectChanges, SheetChanges } from "../stores/store.ts";
import { fold } from "./cells.ts";
import { NAME_LIMIT, type Layout } from "./columns.ts";
import type { ProjectHubRow } from "./hub-rows.ts";
import type { CellEdit, MergeInput, NewRow, TabRules } from "./merge.ts";
import { createProjectNames, type FoundProject, type NamedProject } from "./names.ts";
import { textIn, type SheetRow } from "./row.ts";
import { askOfProject, holdOfNewProject, unknownProjectWord } from "./status.ts";
import { endOfDay } from "./zone.ts";

export interface ProjectRules extends TabRules<ProjectHubRow> {
  /** Finds a project by what a row in Task Queue names it, new rows included. */
  find(text: string): FoundProject;
}

/** What a row in Projects means for the hub. */
export function createProjectRules(input: MergeInput, changes: SheetChanges): ProjectRules {
  const hub = new Map(input.projects.map((row) => [row.id, row]));
  /** Names in use after this merge, by the row or project that has them. */
  const names = new Map<string, number | string>();
  const renamed = new Map<number, string>();
  const added: NamedProject[] = [];
  /** Rows that have a name and lack something else. */
  const untaken = new Map<string, string>();
  let find: ((text: string) => FoundProject) | undefined;
  for (const row of input.projects) if (row.hold !== "archived") names.set(fold(row.name), row.id);

  function change(id: number, fields: ProjectChanges): void {
    const entry = changes.changeProjects.find((each) => each.id === id);
    if (entry === undefined) changes.changeProjects.push({ id, changes: fields });
    else Object.assign(entry.changes, fields);
  }

  function edit(column: string, text: string, row: ProjectHubRow): CellEdit {
    if (column === "Project") return rename(text, row);
    if (column === "Status") {
      const ask = askOfProject(text, row.hold, row.cells["Status"] ?? "");
      if (ask === "nothing") return { take: () => undefined };
      if ("putBack" in ask) return ask;
      return {
        take: () => change(row.id, { hold: ask.hold }),
        ...(ask.note === undefined ? {} : { note: { text: ask.note, status: "Paused" } }),
      };
    }
    return { take: () => change(row.id, fieldOf(column, text, input.zone)) };
  }

  function rename(name: string, row: ProjectHubRow): CellEdit {
    const other = names.get(fold(name));
    if (other !== undefined && other !== row.id) return { bad: "is another project's name" };
    return {
      take: () => {
        names.delete(fold(row.name));
        names.set(fold(name), row.id);
        renamed.set(row.id, name);
        change(row.id, { name });
      },
    };
  }

  function take(row: SheetRow, layout: Layout, read: (column: string) => string): NewRow {
    const name = read("Project");
    if (name === "") return unnamed(row, layout);
    if (names.has(fold(name))) return { why: "there is a project of this name already: give this one another" };
    const lacks =
      textIn(row, layout, "Priority") === ""
        ? "give it a Priority (1 is first), then it is taken up"
        : unknownProjectWord(read("Status"));
    if (lacks !== undefined) {
      const why = lacks.startsWith('"') ? `Status ${lacks}; until then it is not taken up` : lacks;
      untaken.set(fold(name), why);
      return { why };
    }
    const key = `Projects ${row.at}`;
    names.set(fold(name), key);
    added.push({ ref: key, name, slug: slugOf(name) });
    const fields: Cells = {};
    for (const { column } of layout.columns) if (column.owner !== "hub") fields[column.name] = read(column.name);
    // A copied row's next action was the original's, and done there.
    const original = row.copyOf === undefined ? undefined : hub.get(row.copyOf);
    if (original !== undefined && fields["Next Action"] === original.cells["Next Action"]) fields["Next Action"] = "";
    const word = read("Status");
    const rests = word === "Blocked" || word === "Done";
    return {
      key,
      ...(rests ? { note: { text: `you typed ${word}: it rests until you type Queued`, status: "Paused" } } : {}),
      take: (agreed) => {
        const hold = holdOfNewProject(word);
        const known = Object.entries(fields).reduce<ProjectChanges>(
          (all, [column, text]) => Object.assign(all, text === "" ? {} : fieldOf(column, text, input.zone)),
          {},
        );
        changes.addProjects.push({ key, input: { ...known, name, ...(hold === null ? {} : { hold }) }, agreed });
      },
    };
  }

  /** A row that says something of a project, but not of which; a note in a column of the person's own is none. */
  function unnamed(row: SheetRow, layout: Layout): NewRow {
    const typed = textIn(row, layout, "Project") ?? "";
    if (typed !== "") return { why: `its Project name is longer than ${NAME_LIMIT} characters: shorten it` };
    const says = layout.columns.some(
      ({ column }) => column.owner !== "hub" && (textIn(row, layout, column.name) ?? "") !== "",
    );
    return says ? { why: "give it a Project name, then it is taken up" } : undefined;
  }

  return {
    tab: "Projects",
    hub,
    revives: true,
    links: {
      identity: (text) => fold(text("Project")) || undefined,
      name: (text) => text("Project"),
      place: (text) => ({ place: "", words: text("Project") }),
      typed: () => true,
      nameIsEnough: true,
    },
    adopt(row, layout) {
      const name = fold(textIn(row, layout, "Project") ?? "");
      if (name === "" || row.copyOf !== undefined) return undefined;
      const own = input.projects.find(
        (each) => fold(each.name) === name && (input.histories.get(`P${each.id}`)?.length ?? 0) === 0,
      );
      return own?.id;
    },
    comparable: (_column, text) => text,
    edit,
    revive(row) {
      if (row.hold === "archived") change(row.id, { hold: null });
    },
    take,
    typedStays: () => false,
    end: (id) => void changes.archiveProjects.push(id),
    find(text) {
      find ??= createProjectNames([
        ...input.projects
          .filter((row) => row.hold !== "archived")
          .map(({ id, name, slug }) => ({ ref: id, name: renamed.get(id) ?? name, slug })),
        ...added,
      ]);
      const found = find(text);
      const waits = "why" in found && untaken.has(fold(text));
      return waits ? { why: "its row in Projects is not taken up yet: Why says there what it needs" } : found;
    },
  };
}

/** The project's field behind a column, for a cell's canonical text. */
function fieldOf(column: string, text: string, zone: string): ProjectChanges {
  switch (column) {
    case "Priority":
      return { priority: Number(text) };
    case "Next Action":
      return { nextAction: text };
    case "Deadline":
      return { deadline: text === "" ? null : endOfDay(text, zone), deadlineText: text };
    case "GPU?":
      return { gpu: text === "Yes" };
    case "Model":
      return { model: text };
    case "Repo":
      return { repo: text };
    case "Path":
      return { path: text };
    case "Setup":
      return { setup: text };
    case "Check":
      return { check: text };
    case "Depends On":
      return { dependsOn: text };
    case "Budget":
      return { budget: text };
    case "Autonomy":
      return { autonomy: text as Project["autonomy"] };
    case "Machine":
      return { machine: text };
    case "Review":
      return { review: text as Project["review"] };
    default:
      return {};
  }
}
