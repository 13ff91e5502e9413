import { createNativeMachine } from "../../supervisor/machines/native.ts";
import type { Home } from "../base/home.ts";
import { readStop, type Stop } from "../base/stop-file.ts";
import type { HubStatus } from "../api.ts";
import { readArguments, switchOption } from "./arguments.ts";
import type { Command } from "./command.ts";
import { findHub, homeOf } from "./hub-client.ts";
import { plain, short, table, taskRow } from "./words.ts";

/** Finished tasks that are worth a line. */
const SHOWN_ENDED = 10;

export const command: Command = {
  name: "status",
  summary: "show projects, tasks, sessions and what waits for you",
  usage: `Usage: cto status [--json]

Shows what the hub is doing, why what does not run does not, and a fresh login link for the page.
Exit code 1 when the hub is not running.

  --json   print the whole state (the shape of GET /api/status)

Example: cto status --json
`,
  async run(args, io) {
    const json = switchOption(readArguments(args, { json: { type: "boolean" } }, 0), "json");
    const home = homeOf(io);
    const hub = await findHub(home);
    if (hub === undefined) {
      const stopped = readStop(home.stopFile) ?? null;
      const sessions = await livingRuns(home);
      const known = {
        running: false,
        home: home.root,
        stopped,
        sessions: sessions.map((id) => ({ id, state: "running" })),
      };
      io.stdout.write(json ? `${JSON.stringify(known, null, 2)}\n` : notRunning(home.root, stopped, sessions));
      return 1;
    }
    const status = await hub.get<HubStatus>("/status");
    if (json) {
      io.stdout.write(`${JSON.stringify(status, null, 2)}\n`);
      return 0;
    }
    const login = await hub.post<{ url: string }>("/login-code", {});
    io.stdout.write(`${summary(status)}\nLog in (this link works once, for ten minutes): ${login.url}\n`);
    return 0;
  },
};

/** Sessions outlive the hub: whoever asks should hear of them. */
async function livingRuns(home: Home): Promise<string[]> {
  const machine = createNativeMachine(home);
  const living = [];
  for (const id of await machine.list()) if ((await machine.observe(id)).state === "running") living.push(id);
  return living;
}

function notRunning(home: string, stopped: Stop | null, sessions: string[]): string {
  return [
    `CTO Sidekick is not running (home ${home}).`,
    ...(stopped === null ? [] : [stopLine(stopped)]),
    ...(sessions.length === 0 ? [] : [`Sessions that still run: ${sessions.join(", ")} (cto stop ends them).`]),
    "Start it with: cto up",
    "",
  ].join("\n");
}

function stopLine({ at, by, why }: Stop): string {
  const words = [by === "" ? "" : `by ${by}`, at === "" ? "" : `at ${at}`, why === "" ? "" : `(${why})`];
  return `STOP is set ${words.filter((word) => word !== "").join(" ")}`.trim() + ". Nothing starts until: cto release";
}

function summary(status: HubStatus): string {
  const open = status.tasks.filter((task) => task.completedAt === null && !isEnded(task.state));
  const ended = status.tasks.filter((task) => isEnded(task.state)).slice(0, SHOWN_ENDED);
  return [
    `CTO Sidekick is running at ${status.url} (since ${status.startedAt}).`,
    ...(status.stopped === null ? [] : [stopLine(status.stopped)]),
    ...(status.sheet.ok ? [] : [`Sheet: ${short(status.sheet.words, 200)}`]),
    "",
    section("Projects", status.projects, (project) => [
      "",
      `P${project.priority}`,
      project.status,
      short(project.name, 32),
      short(project.why !== "" ? project.why : project.progress, 80),
    ]),
    section("Tasks", open, taskRow),
    section("Ended", ended, taskRow),
    section("Sessions", status.sessions, (session) => [
      "",
      session.id,
      session.agent,
      session.state,
      session.task ?? "no task",
      `since ${session.startedAt}`,
    ]),
    section("Agents", status.agents, (agent) => ["", agent.name, agent.status, agent.cli, short(agent.why, 80)]),
    section('Waiting for you (cto answer Q1 "…")', status.questions, (question) => [
      "",
      question.name,
      question.task ?? "",
      short(plain(question.text), 100),
    ]),
    section("Said, and not delivered yet", status.messages, (message) => ["", message.task, short(message.text, 100)]),
  ]
    .filter((part) => part !== undefined)
    .join("\n");
}

function section<Item>(title: string, items: Item[], row: (item: Item) => string[]): string | undefined {
  return items.length === 0 ? undefined : `${title}\n${table(items.map(row))}`;
}

function isEnded(state: string): boolean {
  return ["done", "landed", "failed", "cancelled", "discarded"].includes(state);
}
