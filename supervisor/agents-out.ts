import type { Parts } from "./parts.ts";
import type { KnownAgent } from "./plan.ts";
import { waitsForPerson } from "./outcome.ts";

const MAX_TASKS = 500;

/**
 * Which agents nothing can be started with, since one of their tasks says so: it waits for a
 * window to renew, or for a person because the agent cannot work at all. Derived from the tasks
 * each time, so that it survives a restart and ends with what a person does about the task.
 * Agents with the same account share its windows.
 */
export async function agentsOut({ store, config }: Parts): Promise<(agent: string) => Pick<KnownAgent, "out">> {
  const accountOf = (agent: string) => config.agents[agent]?.account || agent;
  const [waiting, blocked] = await Promise.all([
    store.tasks({ states: ["waiting"], limit: MAX_TASKS }),
    store.tasks({ states: ["blocked"], limit: MAX_TASKS }),
  ]);
  const windows = new Map<string, { why: string; until: number | null }>();
  for (const { agent, waitReason, waitUntil, why } of waiting) {
    if (waitReason !== "window" || agent === null) continue;
    const known = windows.get(accountOf(agent));
    if (known === undefined || (waitUntil ?? 0) > (known.until ?? 0))
      windows.set(accountOf(agent), { why, until: waitUntil });
  }
  const people = new Map(
    blocked
      .filter(waitsForPerson)
      .map(({ agent, why }) => [agent ?? "", { why: why.replace(/^asks: /, ""), until: null }]),
  );
  return (agent) => {
    const out = people.get(agent) ?? windows.get(accountOf(agent));
    return out === undefined ? {} : { out };
  };
}
