import { fold } from "./cells.ts";

/** A project as a row in Task Queue may name it. */
export interface NamedProject {
  /** The project's id, or the key of the row that makes it. */
  ref: number | string;
  name: string;
  slug: string;
}

export type FoundProject = { ref: number | string; name: string } | { why: string };

/** Finds projects by exact name, then slug, then a unique prefix of the name; case does not count. */
export function createProjectNames(projects: NamedProject[]): (text: string) => FoundProject {
  const exact = new Map<string, NamedProject>();
  for (const project of projects.toReversed()) exact.set(project.slug, project);
  for (const project of projects.toReversed()) exact.set(fold(project.name), project);
  const known = new Map<string, FoundProject>();

  function find(name: string): FoundProject {
    const found = exact.get(name);
    if (found !== undefined) return found;
    const starting = projects.filter((project) => fold(project.name).startsWith(name));
    const [only] = starting;
    if (only !== undefined && starting.length === 1) return only;
    return only === undefined
      ? { why: "no project has that name: add it in Projects, or correct it" }
      : {
          why: `it could be ${starting
            .slice(0, 3)
            .map((each) => `"${each.name}"`)
            .join(" or ")}: write more of it`,
        };
  }

  return (text) => {
    const name = fold(text);
    if (name === "") return { why: "it names no project" };
    let found = known.get(name);
    if (found === undefined) {
      found = find(name);
      known.set(name, found);
    }
    return found;
  };
}
