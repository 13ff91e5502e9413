import { spawn } from "node:child_process";

/**
 * What to put before a program's own argument vector so that it runs in a PID namespace of its
 * own, which the kernel empties when its first process ends; undefined when the host cannot.
 */
export type Isolation = readonly string[] | undefined;

const NAMESPACE = ["--pid", "--fork", "--kill-child", "--mount-proc", "--"];

/** The ways, best first: as root, or with a user namespace that maps the current user to itself. */
export const ISOLATIONS: readonly (readonly string[])[] = [
  ["unshare", ...NAMESPACE],
  ["unshare", "--user", "--map-current-user", ...NAMESPACE],
];

const PROBE_MS = 5_000;
/** Any code that nothing else here leaves: it shows that codes come through. */
const PROBE_CODE = 7;

/** Tries which isolation works on this host, by using it: the first of `candidates` that does. */
export async function probeIsolation(candidates = ISOLATIONS): Promise<Isolation> {
  for (const isolation of candidates) {
    if (await works(isolation)) return isolation;
  }
  return undefined;
}

function works(isolation: readonly string[]): Promise<boolean> {
  const [program = "", ...args] = isolation;
  return new Promise((resolve) => {
    const script = `test "$$" = 1 && test -r /proc/1/stat && exit ${PROBE_CODE}`;
    const child = spawn(program, [...args, "sh", "-c", script], {
      stdio: "ignore",
      timeout: PROBE_MS,
      killSignal: "SIGKILL",
    });
    child.on("error", () => resolve(false));
    child.on("exit", (code) => resolve(code === PROBE_CODE));
  });
}
