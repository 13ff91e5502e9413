import { homeAt } from "../../hub/base/home.ts";
import { createNativeMachine } from "../../supervisor/machines/native.ts";
import type { RunSpec } from "../../supervisor/machines/machine.ts";

/**
 * Stands for a hub: starts the run it is given, runs a command that takes long, says so and
 * waits to be killed. Arguments: the home's folder, the run's spec and the command as JSON.
 */
const [root = "", spec = "{}", command = "[]"] = process.argv.slice(2);
const machine = createNativeMachine(homeAt(root));
const run = JSON.parse(spec) as RunSpec;
await machine.start("native", run);
const executed = machine.exec("native", JSON.parse(command) as string[], { cwd: run.cwd, timeoutMs: 600_000 });
process.stdout.write("started\n");
await executed;
