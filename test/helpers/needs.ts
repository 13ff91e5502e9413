import { existsSync } from "node:fs";

/**
 * Says why a test is skipped, for `{ skip: … }`: `missing` is what the machine lacks, or false.
 * In continuous integration nothing that can be installed is skipped: the test then runs and
 * fails, so that a lost installation step is seen.
 */
export function needs(missing: string | false): string | false {
  return process.env["CI"] === undefined ? missing : false;
}

/** Chromium as Debian installs it; tests of pages drive it. */
export const CHROMIUM = "/usr/bin/chromium";

export function needsChromium(): string | false {
  return needs(existsSync(CHROMIUM) ? false : "there is no /usr/bin/chromium: apt-get install chromium");
}
