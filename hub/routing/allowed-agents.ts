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
  const wishes = namesIn(wantedAgent ?? "");
  const names = wishes.length > 0 ? wishes : namesIn(projectModel);
  if (names.length === 0) return agents;
  return agents.filter((agent) => names.some((name) => matches(agent, name)));
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
