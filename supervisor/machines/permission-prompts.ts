import { ConfigurationError } from "../../hub/base/errors.ts";

/** Arguments by which the agent CLIs that we know stop asking before they act. */
const FLAGS = ["--yolo", "--allow-dangerously-skip-permissions"];
const FLAG_PREFIX = "--dangerously-";
/** Options whose value decides, given as `--option value` or `--option=value`. */
const OPTIONS: Record<string, readonly string[]> = {
  "--permission-mode": ["bypasspermissions"],
  "--approval-mode": ["yolo"],
  "--sandbox": ["danger-full-access"],
};

/**
 * Throws `ConfigurationError` when an argument vector would make an agent skip its permission
 * prompts. For machines that are no isolation: there every prompt stays.
 */
export function refuseSkippedPrompts(argv: readonly string[]): void {
  const found = argv.find((argument, index) => skipsPrompts(argument, argv[index + 1] ?? ""));
  if (found === undefined) return;
  throw new ConfigurationError(
    `"${found.split("=")[0]}" skips permission prompts, which is allowed only inside a container or a virtual machine. ` +
      `Take it out of the agent's args, or give the project such a machine.`,
  );
}

function skipsPrompts(argument: string, next: string): boolean {
  if (FLAGS.includes(argument) || argument.startsWith(FLAG_PREFIX)) return true;
  const [option = "", value = next] = argument.split("=", 2);
  return OPTIONS[option]?.includes(value.toLowerCase()) ?? false;
}
