import { endAllRuns } from "../../supervisor/machines/native.ts";
import { codeOf } from "../base/errors.ts";
import { setStop } from "../base/stop-file.ts";
import { readArguments, switchOption, textOption } from "./arguments.ts";
import { CommandError, type Command } from "./command.ts";
import { findHub, homeOf } from "./hub-client.ts";
import { short } from "./words.ts";

/** How long a session has to end by itself. All of it is over well within the ten seconds that STOP may take. */
const GRACE_MS = 2_000;

export const command: Command = {
  name: "stop",
  summary: "STOP: end every agent now; nothing starts until cto release",
  usage: `Usage: cto stop [--why TEXT] [--json]

Ends every session with all its processes and keeps anything from starting, across a reboot
too, until cto release. Works when the hub is down. The hub itself keeps running.

Example: cto stop --why "it deletes files"
`,
  async run(args, io) {
    const parsed = readArguments(args, { why: { type: "string" }, json: { type: "boolean" } }, 0);
    const why = short(textOption(parsed, "why") ?? "", 500);
    const home = homeOf(io);
    // The file first: from here on nothing starts, whatever happens to the rest.
    const trouble = attempt(() => setStop(home.stopFile, { at: new Date().toISOString(), by: "cto stop", why }));
    const hub = await findHub(home).catch(() => undefined);
    const told =
      hub === undefined
        ? false
        : await hub.post("/stop", { why }).then(
            () => true,
            () => false,
          );
    // Also when it could not be set: what runs is to end.
    const { runs } = await endAllRuns(home, GRACE_MS).catch((error: unknown) => {
      if (trouble === undefined) throw error;
      return { runs: [] };
    });
    if (trouble !== undefined && !told) throw notSet(home.stopFile, trouble, runs);
    if (switchOption(parsed, "json")) {
      io.stdout.write(`${JSON.stringify({ stopped: true, running: hub !== undefined, ended: runs })}\n`);
      return 0;
    }
    const ended = runs.length === 0 ? "No session was left running." : `Ended: ${runs.join(", ")}.`;
    io.stdout.write(`STOP is set. ${ended} Nothing starts until: cto release\n`);
    if (hub !== undefined && !told) io.stderr.write("cto: the hub did not answer; it reads STOP from the file.\n");
    return 0;
  },
};

/** What `work` threw; undefined when it went well. */
function attempt(work: () => void): { error: unknown } | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return { error };
  }
}

function notSet(file: string, { error }: { error: unknown }, runs: string[]): CommandError {
  const ended = runs.length === 0 ? "" : ` Ended all the same: ${runs.join(", ")}.`;
  return new CommandError(
    `STOP is NOT set: ${file} cannot be written (${codeOf(error)}).${ended} Run it as the user that the folder belongs to, or look at CTO_HOME.`,
    { cause: error },
  );
}
