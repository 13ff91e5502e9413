import type { AgentEvent, AgentParser } from "./agent.ts";

/**
 * A parser of output that comes line by line, in pieces cut anywhere, also inside a character.
 * `add` takes in a piece of the line at hand, `take` ends that line and answers its events.
 */
export function createChunkParser(add: (piece: string) => void, take: () => AgentEvent[]): AgentParser {
  const decoder = new TextDecoder();
  return {
    push(chunk) {
      const pieces = (typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true })).split("\n");
      const events: AgentEvent[] = [];
      for (const [index, piece] of pieces.entries()) {
        if (index > 0) events.push(...take());
        add(piece);
      }
      return events;
    },
    end() {
      add(decoder.decode());
      return take();
    },
  };
}
