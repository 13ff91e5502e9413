/** An agent that can be given work. */
export interface Agent {
  name: string;
  model: string;
}

/**
 * Which agents may have a task. Every agent may, until the person narrows it: the task's
 * "Assigned To" comes first, then the project's "Model". Either names an agent or (part of)
 * its model, case-insensitive; several are separated by commas. A name in brackets, as in
 * "Claude (VM1)", is where it ran and is ignored.
 */
export function allowedAgents(agents: Agent[], wantedAgent: string | null, projectModel: string): Agent[] {
  const { names } = wishOf(wantedAgent, projectModel);
  if (names.length === 0) return agents;
  return agents.filter((agent) => names.some((name) => matches(agent, name)));
}

/** All words that say that nobody may have a task begin like this; see `saysNobody`. */
const NOBODY = "no agent ";
/** Agents that are named in a reason. */
const NAMED = 5;

/**
 * Why no agent may have a task: which cell names whom, and who is there. Undefined when one may.
 * `agents` can be started, `off` cannot, with what keeps them.
 */
export function nobodyWords(
  agents: { name: string; model?: string }[],
  off: (Agent & { why: string })[],
  wantedAgent: string | null,
  projectModel: string,
): string | undefined {
  const there = agents.map(({ name, model = "" }) => ({ name, model }));
  if (allowedAgents(there, wantedAgent, projectModel).length > 0) return undefined;
  const { cell, text } = wishOf(wantedAgent, projectModel);
  const resting = allowedAgents(off, wantedAgent, projectModel) as typeof off;
  if (resting.length > 0)
    return `${NOBODY}that may have it can be started: ${listed(resting.map(({ name, why }) => `${name} (${why})`))}`;
  if (text === "") return `${NOBODY}is configured: name one under agents in config.yaml`;
  const others = there.length === 0 ? "none can be started" : `there is: ${listed(there.map(({ name }) => name))}`;
  return `${NOBODY}here is called ${JSON.stringify(text.slice(0, 60))} (${cell}); ${others}`;
}

/** Whether `why` is of `nobodyWords`: such a task starts when a person has changed something, and not before. */
export function saysNobody(why: string): boolean {
  return why.startsWith(NOBODY);
}

function listed(words: string[]): string {
  const more = words.length - NAMED;
  return [...words.slice(0, NAMED), ...(more > 0 ? [`${more} more`] : [])].join(", ");
}

/** The cell that decides, and the names in it; no names when any agent may have the task. */
function wishOf(wantedAgent: string | null, projectModel: string): { cell: string; text: string; names: string[] } {
  const wishes = namesIn(wantedAgent ?? "");
  if (wishes.length > 0) return { cell: "its Assigned To", text: (wantedAgent ?? "").trim(), names: wishes };
  const names = namesIn(projectModel);
  return { cell: "Model of its project", text: names.length === 0 ? "" : projectModel.trim(), names };
}

function namesIn(text: string): string[] {
  return text
    .replace(/\([^)]*\)/g, "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "" && name !== "-");
}

function matches(agent: Agent, name: string): boolean {
  const words = agent.model.toLowerCase();
  return agent.name.toLowerCase() === name || (words !== "" && words.includes(name));
}
