import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { ProviderError } from "../../hub/base/errors.ts";
import { systemClock } from "../../hub/base/clock.ts";
import type { Clock } from "../../hub/base/clock.ts";

/**
 * Processes of this host, as /proc tells them. A pid alone names nobody: it is used again.
 * Boot id, pid and start time together name one process for ever.
 */
export interface ProcessIdentity {
  bootId: string;
  pid: number;
  /** Clock ticks since boot: field 22 of /proc/<pid>/stat. */
  startTime: number;
}

/** What belongs together: everything below `roots`, and whatever carries one of `markers`. */
export interface ProcessTree {
  roots: readonly ProcessIdentity[];
  /** Whole environment entries such as `CTO_SESSION_ID=s-1`. */
  markers: ReadonlySet<string>;
}

interface ProcessStat {
  pid: number;
  isKernel: boolean;
  parent: number;
  group: number;
  session: number;
  /** Clock ticks of itself and of the children it has waited for. */
  ticks: number;
  startTime: number;
}

const MS_PER_TICK = 10;
/** Flag of kernel threads in field 9 of stat (PF_KTHREAD). */
const KERNEL_THREAD = 0x00200000;

/** The id of the running boot; a pid that was noted under another one means nothing. */
export function currentBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** The identity of a living process; undefined when there is none with that pid. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  const stat = readStat(pid);
  return stat && { bootId: currentBootId(), pid, startTime: stat.startTime };
}

/** Whether exactly this process lives. A zombie has ended: it only waits to be collected. */
export function isAlive(identity: ProcessIdentity): boolean {
  if (identity.bootId !== currentBootId()) return false;
  return readStat(identity.pid)?.startTime === identity.startTime;
}

/** Every living process of the tree, but never the caller. Reads all of /proc: a few milliseconds. */
export function findTree(tree: ProcessTree): ProcessIdentity[] {
  const bootId = currentBootId();
  const all = readAllStats();
  const roots = tree.roots.filter((root) => isAlive(root)).map((root) => root.pid);
  const namespaces = new Set(roots.map(childNamespace).filter((link) => link !== undefined));
  const found = new Set<number>();
  for (const stat of all) {
    // Session and group numbers are looked at only under a living root: a dead one's may be a stranger's.
    const isBelow = roots.includes(stat.pid) || roots.includes(stat.session) || roots.includes(stat.group);
    if (isBelow || isInside(stat.pid, namespaces) || isMarked(stat.pid, tree.markers)) found.add(stat.pid);
  }
  addDescendants(all, found);
  found.delete(process.pid);
  return all
    .filter((stat) => found.has(stat.pid))
    .map((stat) => ({ bootId, pid: stat.pid, startTime: stat.startTime }));
}

/** What a tree uses: resident bytes, and processor time of the living and of what they have waited for. */
export function treeFigures(tree: ProcessTree): { processes: number; rssBytes: number; cpuMs: number } {
  const figures = { processes: 0, rssBytes: 0, cpuMs: 0 };
  for (const { pid } of findTree(tree)) {
    const stat = readStat(pid);
    if (stat === undefined) continue;
    figures.processes += 1;
    figures.rssBytes += residentBytes(pid);
    figures.cpuMs += stat.ticks * MS_PER_TICK;
  }
  return figures;
}

/** How long the part after SIGTERM may take before it is an error. */
const KILL_MS = 6_000;
const POLL_MS = 20;

/**
 * Ends a tree: SIGTERM to each process, SIGKILL to what is left after `graceMs`, until nothing
 * is found any more. Throws `ProviderError` naming the pids that the kernel does not let go.
 */
export async function endTree(tree: ProcessTree, graceMs: number, clock: Clock = systemClock): Promise<void> {
  const known = new Map<number, ProcessIdentity>();
  const remember = () => {
    const fresh = findTree(tree).filter((found) => !known.has(found.pid));
    for (const found of fresh) known.set(found.pid, found);
    return fresh;
  };
  for (const found of remember()) signal(found, "SIGTERM");
  await allGone(known, graceMs, clock);
  const deadline = clock.monotonic() + KILL_MS;
  for (;;) {
    dropDead(known);
    // Stopped first, and looked again until nobody new is found: a process that forks while it
    // is being ended would leave a child whose parent, its only trace, is gone.
    let fresh = [...known.values(), ...remember()];
    if (fresh.length === 0) return;
    while (fresh.length > 0) {
      for (const found of fresh) signal(found, "SIGSTOP");
      fresh = remember();
    }
    for (const found of known.values()) signal(found, "SIGKILL");
    await allGone(known, 500, clock);
    if (clock.monotonic() > deadline && known.size > 0) {
      throw new ProviderError(`Processes ${[...known.keys()].join(", ")} do not end; look at them with ps.`);
    }
  }
}

async function allGone(known: Map<number, ProcessIdentity>, ms: number, clock: Clock): Promise<void> {
  const deadline = clock.monotonic() + ms;
  for (dropDead(known); known.size > 0 && clock.monotonic() < deadline; dropDead(known)) await clock.sleep(POLL_MS);
}

function dropDead(known: Map<number, ProcessIdentity>): void {
  for (const [pid, identity] of known) if (!isAlive(identity)) known.delete(pid);
}

function signal(identity: ProcessIdentity, name: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, name);
  } catch {
    // Gone meanwhile, or another user's: whoever waits for its end sees which.
  }
}

function readAllStats(): ProcessStat[] {
  const stats: ProcessStat[] = [];
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = readStat(Number(entry));
    if (stat && !stat.isKernel) stats.push(stat);
  }
  return stats;
}

/** Undefined for what does not exist and for what has ended. */
function readStat(pid: number): ProcessStat | undefined {
  const text = readProc(pid, "stat");
  // The command's name stands in brackets and may hold anything, brackets too.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const state = fields[0] ?? "";
  if (fields.length < 20 || state === "Z" || state === "X") return undefined;
  const number = (field: number) => Number(fields[field - 3]);
  const ticks = number(14) + number(15) + number(16) + number(17);
  return {
    pid,
    isKernel: (number(9) & KERNEL_THREAD) !== 0,
    parent: number(4),
    group: number(5),
    session: number(6),
    ticks,
    startTime: number(22),
  };
}

function addDescendants(all: ProcessStat[], found: Set<number>): void {
  for (let size = -1; size !== found.size;) {
    size = found.size;
    for (const stat of all) if (found.has(stat.parent)) found.add(stat.pid);
  }
}

function isMarked(pid: number, markers: ReadonlySet<string>): boolean {
  return readProc(pid, "environ")
    .split("\0")
    .some((entry) => markers.has(entry));
}

/** The PID namespace that a root made for its children; undefined when it is our own. */
function childNamespace(pid: number): string | undefined {
  const link = readLink(`/proc/${pid}/ns/pid_for_children`);
  return link === readLink("/proc/self/ns/pid") ? undefined : link;
}

function isInside(pid: number, namespaces: ReadonlySet<string>): boolean {
  return namespaces.size > 0 && namespaces.has(readLink(`/proc/${pid}/ns/pid`) ?? "");
}

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readProc(pid, "status"))?.[1] ?? 0) * 1024;
}

/** Empty for a process that is gone or not ours to look at. */
function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
