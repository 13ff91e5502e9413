import { readConfig } from "../config.ts";
import { createHubLog } from "../log-file.ts";
import { readArguments, switchOption } from "./arguments.ts";
import type { Command, Io } from "./command.ts";
import { homeOf } from "./hub-client.ts";

export const command: Command = {
  name: "up",
  summary: "start the hub and keep it running in this terminal",
  usage: `Usage: cto up [--verbose]

Starts the hub in the foreground and prints the page's address with a login link that works
once. Without a config.yaml in the home it brings up the sample project.

Ctrl-C (or SIGTERM) stops it; sessions that run keep running and are found again at the next
start. A second Ctrl-C ends it at once. To end the sessions as well: cto stop.

  --verbose   show the whole log here (it is in logs/hub.log of the home in any case)

Environment: CTO_HOME (default ~/.cto-sidekick), CTO_PORT (0 picks a free port).

Example: CTO_PORT=8080 cto up
`,
  async run(args, io) {
    const verbose = switchOption(readArguments(args, { verbose: { type: "boolean" } }, 0), "verbose");
    const home = homeOf(io);
    const config = readConfig(home.config, io.env);
    const level = config?.monitoring.log_level ?? "info";
    // A person at a terminal wants to see what is wrong; a service manager collects all of it.
    const log = createHubLog(home, level, io.stderr, verbose || io.stderr.isTTY !== true ? level : "warn");
    for (const warning of config?.warnings ?? []) io.stderr.write(`cto: ${warning}\n`);
    const { startHub } = await import("../main.ts");
    const hub = await startHub({ home, config, env: io.env, log });
    const forget = stopOnSignals(io, () => hub.stop());
    io.stdout.write(`CTO Sidekick is ready at ${hub.url}\n`);
    io.stdout.write(`Log in (this link works once): ${hub.loginLink}\n`);
    if (config === undefined)
      io.stdout.write(`There is no ${home.config}: this is the sample. Its sheet is in ${home.sheet}\n`);
    await hub.stopped;
    forget();
    return 0;
  },
};

/** The first signal asks for the end, the second takes it. */
function stopOnSignals(io: Io, stop: () => Promise<void>): () => void {
  let asked = false;
  return io.signals.on((signal) => {
    if (asked) return io.signals.exit(signal === "SIGINT" ? 130 : 143);
    asked = true;
    io.stderr.write("cto: stopping; sessions keep running (cto stop ends them). Once more ends this at once.\n");
    stop().catch((error: unknown) => {
      io.stderr.write(`cto: stopping failed: ${error instanceof Error ? error.message : String(error)}\n`);
      io.signals.exit(1);
    });
  });
}
