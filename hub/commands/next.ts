import { readArguments, switchOption } from "./arguments.ts";
import type { Command } from "./command.ts";
import { homeOf, needHub } from "./hub-client.ts";
import { plain } from "./words.ts";

export const command: Command = {
  name: "next",
  summary: "say what happens next and what waits for you",
  usage: `Usage: cto next [--json]

Prints what the tool whats_next answers: what runs, what comes next and why, and what only you
can do.

  --json   print it as data

Example: cto next
`,
  async run(args, io) {
    const json = switchOption(readArguments(args, { json: { type: "boolean" } }, 0), "json");
    const hub = await needHub(homeOf(io));
    const next = await hub.get<{ text: string; data: unknown }>("/next");
    io.stdout.write(json ? `${JSON.stringify(next.data, null, 2)}\n` : `${plain(next.text).trimEnd()}\n`);
    return 0;
  },
};
