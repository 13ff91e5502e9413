import type { Continuation, StoredContinuation } from "../hub/base/continuation.ts";

/** A project's continuation in the brief's format, without the heading that names the project. */
export function handOverText(continuation: StoredContinuation): string {
  const who = continuation.author === "hub" ? "the hub, from what it observed" : `agent ${continuation.agent}`;
  return [
    `Version ${continuation.version}, ${new Date(continuation.at).toISOString()}, written by ${who}`,
    section("Current Task", [continuation.currentTask]),
    section(
      "Progress",
      continuation.progress.map((step) => `- [${step.done ? "x" : " "}] ${step.text}`),
    ),
    section("Context", [continuation.context]),
    section("Key decisions", bullets(continuation.keyDecisions)),
    section("Blockers", bullets(continuation.blockers)),
    section("Next Action", [continuation.nextAction]),
    section("References", bullets(continuation.references)),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

/** Whether two say the same. */
export function sameHandOver(a: Continuation, b: Continuation): boolean {
  return JSON.stringify(fields(a)) === JSON.stringify(fields(b));
}

function fields(c: Continuation): unknown[] {
  const steps = c.progress.map((step) => [step.done, step.text]);
  return [c.currentTask, steps, c.context, c.keyDecisions, c.blockers, c.nextAction, c.references];
}

function section(title: string, lines: string[]): string {
  const text = lines.filter((line) => line.trim() !== "").join("\n");
  return text === "" ? "" : `## ${title}\n${text}`;
}

function bullets(items: string[]): string[] {
  return items.filter((item) => item.trim() !== "").map((item) => `- ${item}`);
}
