import type { Clock } from "../hub/base/clock.ts";
import type { StoredContinuation } from "../hub/base/continuation.ts";
import type { Home } from "../hub/base/home.ts";
import type { Log } from "../hub/base/log.ts";
import type { Project } from "../hub/base/project.ts";
import type { Config } from "../hub/config.ts";
import type { Store } from "../hub/stores/store.ts";
import type { AgentCli } from "./agents/agent.ts";
import type { Machine } from "./machines/machine.ts";
import { machineKind } from "./plan.ts";
import type { Place, Workspaces } from "./workspaces/workspaces.ts";

/** What the supervisor is made of. Everything that touches the world is in here. */
export interface Parts {
  store: Store;
  clock: Clock;
  log: Log;
  home: Home;
  config: Pick<Config, "scheduler" | "agents">;
  /** By kind. A kind that is not in it does not exist, and whoever asks for it waits. */
  machines: ReadonlyMap<string, Machine>;
  /** By the configuration's `cli`. An agent whose cli is not in it is never started. */
  agents: ReadonlyMap<string, AgentCli>;
  workspaces: Workspaces;
  /** Where agents reach the hub, as seen from inside a machine: `http://…/mcp`. */
  mcpUrl: () => string;
  /** A token of role agent for one session and project. It ends with the session, after `ttlMs` at the latest. */
  issueSessionToken: (sessionId: string, projectId: number, ttlMs: number) => Promise<string>;
  /** The program, with its first arguments, that an agent's hooks run; without it sessions have no hooks. */
  hookCommand?: string[];
  /** CONTINUATION.md for a workspace. */
  renderContinuation: (projectName: string, continuation: StoredContinuation) => string;
  /** Makes session ids: lower-case letters, digits and dashes. */
  newId: () => string;
}

/** The supervisor is being stopped, or STOP was set: work that notices ends at once, to be done again later. */
export class Halted extends Error {
  override name = "Halted";
}

/** The machine cannot do it now: the task waits for it, and nobody has failed. */
export class MachineTrouble extends Error {
  override name = "MachineTrouble";
}

/** Throws `Halted` when `signal` has aborted. */
export function unlessHalted(signal: AbortSignal): void {
  if (signal.aborted) throw new Halted("halted");
}

/** The machine of a project. Throws `MachineTrouble` when there is none of its kind: never another one instead. */
export function machineOf(parts: Pick<Parts, "machines">, project: Pick<Project, "machine">): Machine {
  const kind = machineKind(project.machine);
  const machine = parts.machines.get(kind);
  if (machine === undefined) throw new MachineTrouble(`${kind.slice(0, 40)} is not there yet`);
  return machine;
}

/** Makes sure of the project's machine. Throws `MachineTrouble` in the machine's own words. */
export async function placeOf(parts: Pick<Parts, "machines">, project: Project): Promise<Place> {
  const machine = machineOf(parts, project);
  return { machine, name: await withMachine(() => machine.ensure(project.slug)) };
}

/** Runs something of a machine; what it throws is the machine's trouble. */
export async function withMachine<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new MachineTrouble(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
