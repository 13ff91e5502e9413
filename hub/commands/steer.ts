import { readArguments, switchOption } from "./arguments.ts";
import { UsageError, type Command } from "./command.ts";
import { homeOf, needHub } from "./hub-client.ts";
import { short } from "./words.ts";

export const command: Command = {
  name: "steer",
  summary: "tell whoever works on a task something",
  usage: `Usage: cto steer T12 "text" [--json]

Hands your words to the session that works on the task, and says when it gets them: with its next
call, or, when no session works on it now, at the beginning of the next one. What nobody has got
yet is shown by cto status.

  --json   print it as data

Example: cto steer T12 "Leave the old parser as it is"
`,
  async run(args, io) {
    const parsed = readArguments(args, { json: { type: "boolean" } }, 2);
    const [task, text] = parsed.positionals;
    if (task === undefined || text === undefined || text.trim() === "")
      throw new UsageError('say which task, and what: cto steer T12 "Leave the old parser as it is".');
    const hub = await needHub(homeOf(io));
    const path = `/tasks/${encodeURIComponent(task)}/steer`;
    const steered = await hub.post<{ task: string; say: string }>(path, { text });
    io.stdout.write(
      switchOption(parsed, "json")
        ? `${JSON.stringify(steered, null, 2)}\n`
        : `${short(steered.task)}: ${steered.say}\n`,
    );
    return 0;
  },
};
