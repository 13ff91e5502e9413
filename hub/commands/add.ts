import { resolve } from "node:path";
import { randomId } from "../base/ids.ts";
import { COMPLEXITIES, TASK_TYPES } from "../base/task.ts";
import { choiceOption, readArguments, switchOption, textOption, type ParsedArguments } from "./arguments.ts";
import { CommandError, UsageError, type Command, type Io } from "./command.ts";
import { homeOf, needHub, type HubClient } from "./hub-client.ts";
import { plain, type TaskLine } from "./words.ts";

/** What describes a project that is made along with its first task. */
const PROJECT_OPTIONS = ["repo", "check", "setup", "machine"] as const;

export const command: Command = {
  name: "add",
  summary: "put a task into the queue",
  usage: `Usage: cto add "what is to be done" --project NAME [options]

Adds a task to a project; it appears in the sheet as a row of Task Queue.

  -p, --project NAME     the project: its name, or the beginning of it
  --type TYPE            ${TASK_TYPES.join(", ")}
  --complexity WORD      ${COMPLEXITIES.join(", ")}
  --priority N           1 (highest) to 9; without it the project's counts
  --depends-on TASKS     tasks that must be done before, such as T3,T4
  --agent NAME           the agent that is to do it
  --json                 print the task as data

  --new-project          make the project NAME along with it, described by:
  --repo PATH|URL        its repository (without it, a new one is made)
  --check COMMAND        the command that proves work
  --setup COMMAND        runs before a project's first session
  --machine native       it runs as your own user on this machine: you trust it

Example: cto add "Write the parser" --project Compiler --type implementation --depends-on T3
`,
  async run(args, io) {
    const parsed = readArguments(args, OPTIONS, 1);
    const [description] = parsed.positionals;
    if (description === undefined || description.trim() === "")
      throw new UsageError('say what is to be done: cto add "Write the parser" --project Compiler');
    const project = textOption(parsed, "project");
    if (project === undefined) throw new UsageError("say for which project: --project NAME.");
    const task = taskOf(parsed, project, description);
    const newProject = projectOf(parsed, project, io);
    const hub = await needHub(homeOf(io));
    if (newProject !== undefined) await hub.post("/projects", newProject);
    const added = await addTask(hub, task).catch((error: unknown) => {
      if (newProject === undefined || !(error instanceof CommandError)) throw error;
      throw new CommandError(`${error.message} The project is there now: leave --new-project out.`, { cause: error });
    });
    io.stdout.write(
      switchOption(parsed, "json")
        ? `${JSON.stringify(added, null, 2)}\n`
        : `${added.id} is ${added.state} in ${plain(added.project)}${added.why === "" ? "" : `: ${plain(added.why)}`}\n`,
    );
    return 0;
  },
};

const OPTIONS = {
  project: { type: "string", short: "p" },
  type: { type: "string" },
  complexity: { type: "string" },
  priority: { type: "string" },
  "depends-on": { type: "string" },
  agent: { type: "string" },
  json: { type: "boolean" },
  "new-project": { type: "boolean" },
  repo: { type: "string" },
  check: { type: "string" },
  setup: { type: "string" },
  machine: { type: "string" },
} as const;

function taskOf(parsed: ParsedArguments, project: string, description: string): object {
  return {
    project,
    description,
    type: choiceOption(parsed, "type", TASK_TYPES),
    complexity: choiceOption(parsed, "complexity", COMPLEXITIES),
    priority: priorityOf(parsed),
    dependsOn: textOption(parsed, "depends-on"),
    agent: textOption(parsed, "agent"),
  };
}

function priorityOf(parsed: ParsedArguments): number | undefined {
  const value = textOption(parsed, "priority");
  if (value === undefined) return undefined;
  if (/^[1-9]$/.test(value)) return Number(value);
  throw new UsageError(`--priority is "${value}", and must be a number from 1 (highest) to 9.`);
}

function projectOf(parsed: ParsedArguments, name: string, io: Io): object | undefined {
  const given = PROJECT_OPTIONS.filter((option) => textOption(parsed, option) !== undefined);
  if (!switchOption(parsed, "new-project")) {
    if (given.length === 0) return undefined;
    throw new UsageError(
      `--${given[0]} describes a new project: give --new-project as well, or change the sheet's row.`,
    );
  }
  const repo = textOption(parsed, "repo");
  return {
    name,
    ...Object.fromEntries(given.map((option) => [option, textOption(parsed, option)])),
    ...(repo !== undefined && { repo: isUrl(repo) ? repo : resolve(io.cwd, repo) }),
  };
}

/** `https://…`, `ssh://…` or `git@host:path`; anything else is a path as seen from here. */
function isUrl(repo: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(repo) || /^[^/\s]+@[^/\s]+:/.test(repo);
}

/** One key for both attempts: when only the answer was lost, the second call finds the first's task. */
async function addTask(hub: HubClient, task: object): Promise<TaskLine> {
  const body = { ...task, key: randomId(12) };
  const post = () => hub.post<{ task: TaskLine }>("/tasks", body);
  const { task: added } = await post().catch((error: unknown) => {
    if (error instanceof CommandError && error.cause !== undefined) return post();
    throw error;
  });
  return added;
}
