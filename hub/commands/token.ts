import { choiceOption, durationOf, readArguments, switchOption, textOption } from "./arguments.ts";
import { UsageError, type Command } from "./command.ts";
import { homeOf, needHub } from "./hub-client.ts";

const ROLES = ["agent", "human", "admin"] as const;

export const command: Command = {
  name: "token",
  summary: "make a token for an agent, a person or a script",
  usage: `Usage: cto token create --role agent|human|admin [--project NAME] [--ttl 8h]

Prints a new token and nothing else. It is kept hashed: it cannot be shown again.

  --role ROLE      agent: claims tasks and works on them; human: your own client;
                   admin: everything, as this command line
  --project NAME   it is good for this project only
  --ttl TIME       how long it is good, such as 30m, 8h (without it) or 7d
  --label TEXT     what it is for
  --json           print it with its id and its end

Example: cto token create --role agent --project Compiler --ttl 1h
`,
  async run(args, io) {
    const parsed = readArguments(
      args,
      {
        role: { type: "string" },
        project: { type: "string" },
        ttl: { type: "string" },
        label: { type: "string" },
        json: { type: "boolean" },
      },
      1,
    );
    if (parsed.positionals[0] !== "create") throw new UsageError("say what to do with tokens: cto token create …");
    const role = choiceOption(parsed, "role", ROLES);
    if (role === undefined) throw new UsageError(`say for whom: --role ${ROLES.join("|")}.`);
    const ttl = textOption(parsed, "ttl");
    const request = {
      role,
      project: textOption(parsed, "project"),
      label: textOption(parsed, "label"),
      ttlMs: ttl === undefined ? undefined : durationOf(ttl, "ttl"),
    };
    const hub = await needHub(homeOf(io));
    const made = await hub.post<{ id: number; token: string; expiresAt: string }>("/tokens", request);
    io.stdout.write(`${switchOption(parsed, "json") ? JSON.stringify(made) : made.token}\n`);
    return 0;
  },
};
