import { codeOf } from "../base/errors.ts";
import { readStop, releaseStop } from "../base/stop-file.ts";
import { readArguments, switchOption } from "./arguments.ts";
import { CommandError, type Command } from "./command.ts";
import { findHub, homeOf } from "./hub-client.ts";

export const command: Command = {
  name: "release",
  summary: "take STOP back: work may start again",
  usage: `Usage: cto release [--json]

Removes the STOP that cto stop (or the page, or the sheet) has set. Works when the hub is down.

Example: cto release
`,
  async run(args, io) {
    const json = switchOption(readArguments(args, { json: { type: "boolean" } }, 0), "json");
    const home = homeOf(io);
    const was = readStop(home.stopFile) !== undefined;
    // The hub writes it into its log. The file is what counts, so it goes in any case.
    const hub = await findHub(home).catch(() => undefined);
    await hub?.post("/release", {}).catch(() => undefined);
    takeBack(home.stopFile);
    const running = hub !== undefined;
    if (json) io.stdout.write(`${JSON.stringify({ released: was, running })}\n`);
    else if (!was) io.stdout.write("STOP was not set.\n");
    else io.stdout.write(running ? "Released: work starts again.\n" : "Released. The hub is not running: cto up\n");
    return 0;
  },
};

function takeBack(file: string): void {
  try {
    releaseStop(file);
  } catch (error) {
    // Where there is none, nothing has to be removed.
    if (readStop(file) === undefined) return;
    throw new CommandError(
      `STOP is still set: ${file} cannot be removed (${codeOf(error)}). Run it as the user that the folder belongs to.`,
      { cause: error },
    );
  }
}
