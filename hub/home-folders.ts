import { accessSync, constants, existsSync, mkdirSync } from "node:fs";
import { codeOf, ConfigurationError } from "./base/errors.ts";
import type { Home } from "./base/home.ts";

/**
 * Makes the folders of `home` that a hub needs. Throws `ConfigurationError` in one line when one
 * of them cannot be made or written, or a file that is there already belongs to somebody else.
 */
export function makeHomeFolders(home: Home): void {
  for (const folder of [home.root, home.run, home.runs, home.artefacts, home.logs]) {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      accessSync(folder, constants.W_OK | constants.X_OK);
    } catch (error) {
      throw notWritable(folder, error);
    }
  }
  for (const file of [home.lockFile, home.database].filter((path) => existsSync(path))) {
    try {
      accessSync(file, constants.R_OK | constants.W_OK);
    } catch (error) {
      throw notWritable(file, error);
    }
  }
}

function notWritable(path: string, error: unknown): ConfigurationError {
  return new ConfigurationError(
    `${path} cannot be written (${codeOf(error)}). Give your user write access to it, or set CTO_HOME to another folder.`,
    { cause: error },
  );
}
