import { accessSync, constants, existsSync, statSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import type { AgentConfig, Config } from "./config.ts";

/** Whether the hub knows how to start agents of this kind, whatever it finds of their program. */
export function hasAdapter(cli: AgentConfig["cli"]): boolean {
  return cli === "command" || cli === "claude-code";
}

/**
 * What there is to say about the paths that a configuration names, looked at once at the start: an
 * agent whose program is not there gets a `why` and is not started, and a folder of the sheet
 * that will be made is named, since it may be a slip. `path` is PATH as the hub has it.
 */
export function withPathsChecked(config: Config, path: string): Config {
  const agents = Object.fromEntries(
    Object.entries(config.agents).map(([name, agent]) => {
      const why = agent.enabled && hasAdapter(agent.cli) ? programTrouble(agent.command, path) : undefined;
      return [name, why === undefined ? agent : { ...agent, why }];
    }),
  );
  const missing = Object.entries(agents).flatMap(([name, { why }]) =>
    why === undefined ? [] : [`agent ${name} is not started: ${why}`],
  );
  const { folder } = config.sheets;
  const made = folder === "" || existsSync(folder) ? [] : [`sheets.folder ${resolve(folder)} is not there: it is made`];
  return { ...config, agents, warnings: [...config.warnings, ...missing, ...made] };
}

/** Why a program cannot be started; undefined when it can. A relative path is one of the workspace's, which is not there yet. */
function programTrouble(command: string, path: string): string | undefined {
  if (isAbsolute(command)) {
    if (!existsSync(command)) return `its program ${command} is not there`;
    return isProgram(command) ? undefined : `its program ${command} cannot be executed`;
  }
  if (command.includes("/")) return undefined;
  const found = path.split(":").some((folder) => folder !== "" && isProgram(join(folder, command)));
  return found ? undefined : `its program ${command} is not in PATH`;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
