import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * What to put before a program's own argument vector so that it runs in a PID namespace of its
 * own, which the kernel empties when its first process ends; undefined when the host cannot.
 */
export type Isolation = readonly string[] | undefined;

const NAMESPACE = ["--pid", "--fork", "--kill-child", "--mount-proc", "--"];

/** Arguments of `unshare`, best first: as root, or with a user namespace that maps the current user to itself. */
export const ISOLATIONS: readonly (readonly string[])[] = [NAMESPACE, ["--user", "--map-current-user", ...NAMESPACE]];

const PROBE_MS = 5_000;
/** Any code that nothing else here leaves: it shows that codes come through. */
const PROBE_CODE = 7;

/** Tries which isolation works on this host, by using it: the first of `candidates` that does. */
export async function probeIsolation(candidates = ISOLATIONS): Promise<Isolation> {
  const unshare = findProgram("unshare");
  if (unshare === undefined) return undefined;
  for (const args of candidates) {
    const isolation = [unshare, ...args];
    if (await works(isolation)) return isolation;
  }
  return undefined;
}

/** Its whole path: the programs that it is put before may have a PATH where it is not. */
function findProgram(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
  return folders
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function works(isolation: readonly string[]): Promise<boolean> {
  const [program = "", ...args] = isolation;
  return new Promise((resolve) => {
    const script = `test "$$" = 1 && test -r /proc/1/stat && exit ${PROBE_CODE}`;
    const child = spawn(program, [...args, "/bin/sh", "-c", script], {
      stdio: "ignore",
      timeout: PROBE_MS,
      killSignal: "SIGKILL",
    });
    child.on("error", () => resolve(false));
    child.on("exit", (code) => resolve(code === PROBE_CODE));
  });
}
