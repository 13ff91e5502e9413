/** What a tool of a baseline answers at once: as little as its output schema allows. */
export function trivialAnswer(name: string): object {
  const data =
    name === "claim_next_task"
      ? { status: "nothing", say: "ok" }
      : { task: "T1", directive: "continue", say: "ok", messages: [] };
  return { content: [{ type: "text", text: "ok" }], structuredContent: data };
}
