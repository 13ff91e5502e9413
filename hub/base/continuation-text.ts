import type { Continuation, StoredContinuation } from "./continuation.ts";

/** The longest CONTINUATION.md that is ever written, in characters: under 5,000 tokens for whoever starts from it. */
export const CONTINUATION_LIMIT = 20_000;

interface Limits {
  task: number;
  context: number;
  next: number;
  steps: number;
  items: number;
  item: number;
}

/** From generous to tight: the first under which the whole text fits is taken. The last always fits. */
const LIMITS: readonly Limits[] = [
  { task: 1_500, context: 4_500, next: 1_500, steps: 50, items: 30, item: 500 },
  { task: 1_200, context: 4_000, next: 1_200, steps: 40, items: 20, item: 150 },
  { task: 1_000, context: 3_000, next: 1_000, steps: 30, items: 12, item: 120 },
];

const NONE = /^none(?: currently)?\.?$/i;
const TITLES = ["Current Task", "Progress", "Context", "Blockers", "Next Action", "References"] as const;
type Title = (typeof TITLES)[number];

/**
 * A project's continuation as CONTINUATION.md, in the format of the user's brief. Times are
 * UTC. Fields are cleaned and bounded first (see `boundContinuation`), and nothing inside a
 * field can pass for a heading, a checkbox or a field of ours. `creditsUsed` is what was
 * booked, in the agent's own unit; what is not known is said to be unknown.
 */
export function renderContinuation(
  projectName: string,
  stored: StoredContinuation,
  facts: { creditsUsed?: string } = {},
): string {
  const header = [
    `# Continuation State: ${shorten(oneLine(projectName), 120) || "Unnamed project"}`,
    `Last Updated: ${new Date(stored.at).toISOString().slice(0, 19).replace("T", " ")}`,
    `Agent: ${shorten(oneLine(stored.agent), 80) || "unknown"}`,
    `Credits Used: ${shorten(oneLine(facts.creditsUsed ?? ""), 40) || "unknown"}`,
  ];
  return `${header.join("\n")}\n\n${renderBody(boundContinuation(stored))}`;
}

/**
 * The continuation in a CONTINUATION.md, also in one that a person has edited: sections may
 * come in any order, case and heading level, lists may use any bullet, and what is missing
 * is empty. The header is not read: the hub knows those facts itself.
 */
export function parseContinuation(markdown: string): Continuation {
  const sections = splitSections(cleanText(markdown));
  const text = (title: Title) => unescaped(sections.get(title) ?? []);
  const [context, keyDecisions] = splitContext(sections.get("Context") ?? []);
  return boundContinuation({
    currentTask: text("Current Task"),
    progress: listItems(sections.get("Progress") ?? []).map(stepOf),
    context: unescaped(context),
    keyDecisions: listItems(keyDecisions).map(unescapeLine),
    blockers: listItems(sections.get("Blockers") ?? []).map(unescapeLine),
    nextAction: text("Next Action"),
    references: listItems(sections.get("References") ?? []).map(unescapeLine),
  });
}

/**
 * The same continuation, cleaned (control, direction and invisible characters removed, list
 * items on one line, empty ones dropped) and short enough for CONTINUATION_LIMIT. What was
 * cut says so where it was cut. Bounding twice changes nothing.
 */
export function boundContinuation(continuation: Continuation): Continuation {
  let bounded: Continuation | undefined;
  for (const limits of LIMITS) {
    bounded = boundTo(continuation, limits);
    if (renderBody(bounded).length <= CONTINUATION_LIMIT - 400) break;
  }
  return bounded ?? continuation;
}

/** What the hub saw of a session that ended without handing over. */
export interface Observation {
  taskName: string;
  description: string;
  agent: string;
  branch: string;
  /** One sentence: "the session ended with exit code 137". */
  ending: string;
  /** Newest first or oldest first; shown in the order given. */
  commits: { hash: string; subject: string }[];
  files: { path: string; added: number; removed: number }[];
  /** The last words of `report_progress`; empty when there were none. */
  lastProgress: string;
  lastCheck?: { outcome: string; command: string; tail: string } | undefined;
  /** What the last check, review or merge found, if it has not been mended. */
  findings?: string | undefined;
  /** The project's continuation before this session, whose decisions and references still hold. */
  previous?: Continuation | undefined;
}

/** A hand-over made from what was observed, for whoever goes on after a session that wrote none. */
export function continuationFromObservation(seen: Observation): Continuation {
  const commits = seen.commits.map(({ hash, subject }) => ({ done: true, text: `${hash.slice(0, 10)} ${subject}` }));
  const said = seen.lastProgress.trim() === "" ? [] : [{ done: false, text: `Last reported: ${seen.lastProgress}` }];
  return boundContinuation({
    currentTask: `${seen.taskName}: ${seen.description}`,
    progress: [...commits, ...said, { done: false, text: `Finish ${seen.taskName} and call complete_task` }],
    context: contextOf(seen),
    keyDecisions: seen.previous?.keyDecisions ?? [],
    blockers: blockersOf(seen),
    nextAction: nextActionOf(seen),
    references: [`Branch: ${seen.branch}`, ...(seen.previous?.references ?? [])],
  });
}

function contextOf(seen: Observation): string {
  const files = seen.files.slice(0, 40).map((file) => `- ${oneLine(file.path)} (+${file.added} -${file.removed})`);
  const more = seen.files.length > files.length ? [`- and ${seen.files.length - files.length} more`] : [];
  const changed = files.length === 0 ? ["No file was changed."] : ["Changed files:", ...files, ...more];
  const who = `The hub wrote this from what it observed: ${seen.agent} left no hand-over (${seen.ending}).`;
  return [who, "", ...changed].join("\n");
}

function blockersOf(seen: Observation): string[] {
  const check = seen.lastCheck;
  const failed = check !== undefined && check.outcome !== "passed" && check.outcome !== "unchecked";
  const words = failed ? [`The check \`${check.command}\` ended ${check.outcome}: ${lastLines(check.tail)}`] : [];
  return seen.findings === undefined || failed ? words : [`Found, not yet mended: ${lastLines(seen.findings)}`];
}

function nextActionOf(seen: Observation): string {
  if (blockersOf(seen).length > 0) return `Mend what stands under Blockers, then finish ${seen.taskName}.`;
  if (seen.commits.length + seen.files.length === 0) return `Start ${seen.taskName}: nothing of it is done yet.`;
  return `Read the changes on ${seen.branch}, finish what is missing of ${seen.taskName}, then call complete_task.`;
}

function lastLines(text: string): string {
  const line = oneLine(text);
  return line.length <= 400 ? line : `…${line.slice(-400)}`;
}

function renderBody(c: Continuation): string {
  const decisions = ["Key decisions:", ...bullets(c.keyDecisions, "- None")].join("\n");
  const parts: Record<Title, string> = {
    "Current Task": escaped(c.currentTask) || "None",
    Progress: c.progress.map((s) => `- [${s.done ? "x" : " "}] ${escapeLine(s.text)}`).join("\n") || "None",
    Context: c.context === "" ? decisions : `${escaped(c.context)}\n\n${decisions}`,
    Blockers: bullets(c.blockers, "None currently").join("\n"),
    "Next Action": escaped(c.nextAction) || "None",
    References: bullets(c.references, "None").join("\n"),
  };
  return TITLES.map((title) => `## ${title}\n${parts[title]}\n`).join("\n");
}

function bullets(items: string[], none: string): string[] {
  return items.length === 0 ? [none] : items.map((item) => `- ${escapeLine(item)}`);
}

// What would start something of ours, or swallow what follows, if it began a line: a heading
// (`#`, or a line of = or -), a checkbox, a code fence, raw HTML, the words of a field. List and quote
// marks before it are looked through, since a renderer looks through them too.
const SPECIAL =
  "#{1,6}(?=\\s|$)|(?:=+|-+)\\s*$|\\[[ xX]?\\]|`{3}|~{3}|<|key decisions\\s*:|(?:[-*+]|\\d{1,9}[.)])\\s+\\[[ xX]?\\]";
const MARKS = "(\\s*(?:(?:[-*+>]|\\d{1,9}[.)])\\s+)*?)";
const NEEDS_ESCAPE = new RegExp(`^${MARKS}(\\\\*(?:${SPECIAL}))`, "i");
const HAS_ESCAPE = new RegExp(`^${MARKS}\\\\(\\\\*(?:${SPECIAL}))`, "i");

function escapeLine(line: string): string {
  return line.replace(NEEDS_ESCAPE, "$1\\$2");
}

function unescapeLine(line: string): string {
  return line.replace(HAS_ESCAPE, "$1$2");
}

function escaped(text: string): string {
  return text.split("\n").map(escapeLine).join("\n");
}

function unescaped(lines: string[]): string {
  const text = lines.map(unescapeLine).join("\n").trim();
  return NONE.test(text) ? "" : text;
}

function splitSections(text: string): Map<Title, string[]> {
  const sections = new Map<Title, string[]>();
  let lines: string[] | undefined;
  for (const line of text.split("\n")) {
    const title = titleOf(line);
    if (title === undefined) lines?.push(line);
    else sections.set(title, (lines = sections.get(title) ?? []));
  }
  return sections;
}

function titleOf(line: string): Title | undefined {
  const name = /^ {0,3}#{1,6}\s+(.*?)[\s:#]*$/.exec(line)?.[1]?.toLowerCase();
  return name === undefined ? undefined : TITLES.find((title) => title.toLowerCase() === name);
}

function splitContext(lines: string[]): [string[], string[]] {
  const at = lines.findIndex((line) => /^\s*[*_]*key decisions[*_]*\s*:[*_]*\s*$/i.test(line));
  return at === -1 ? [lines, []] : [lines.slice(0, at), lines.slice(at + 1)];
}

/** Items of a list, or its plain lines; "None" is no item. */
function listItems(lines: string[]): string[] {
  return lines
    .map((line) => /^\s*(?:[-*+]|\d{1,9}[.)])\s+(.*)$/.exec(line)?.[1] ?? line)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !NONE.test(line));
}

function stepOf(item: string): { done: boolean; text: string } {
  const box = /^\[([ xX]?)\]\s*(.*)$/.exec(item);
  if (box === null) return { done: false, text: unescapeLine(item) };
  return { done: box[1]?.toLowerCase() === "x", text: unescapeLine(box[2] ?? "") };
}

function boundTo(c: Continuation, limits: Limits): Continuation {
  const list = (items: string[]) =>
    capped(plainItems(items, limits.item), limits.items, (left) => `… ${left} more left out`);
  return {
    currentTask: plainText(c.currentTask, limits.task),
    progress: boundSteps(c.progress, limits),
    context: plainText(c.context, limits.context),
    keyDecisions: list(c.keyDecisions),
    blockers: list(c.blockers),
    nextAction: plainText(c.nextAction, limits.next),
    references: list(c.references),
  };
}

/** Of too many steps the open ones and the latest done ones are kept. */
function boundSteps(progress: Continuation["progress"], limits: Limits): Continuation["progress"] {
  const steps = progress
    .map(({ done, text }) => ({ done, text: shorten(oneLine(text), limits.item) }))
    .filter((step) => step.text !== "");
  const tooMany = steps.length - limits.steps;
  if (tooMany <= 0) return steps;
  let toDrop = tooMany + 1;
  const kept = steps.filter((step) => !step.done || toDrop-- <= 0).slice(0, limits.steps - 1);
  return [{ done: true, text: `… ${steps.length - kept.length} more left out` }, ...kept];
}

function plainItems(items: string[], limit: number): string[] {
  return items.map((item) => shorten(oneLine(item), limit)).filter((item) => item !== "" && !NONE.test(item));
}

function capped(items: string[], limit: number, words: (left: number) => string): string[] {
  if (items.length <= limit) return items;
  return [...items.slice(0, limit - 1), words(items.length - limit + 1)];
}

function plainText(text: string, limit: number): string {
  const clean = cleanText(text).trim();
  return NONE.test(clean) ? "" : shorten(clean, limit);
}

/** Cut to `limit` characters, saying how many are missing. */
function shorten(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const kept = limit - 40;
  const cut = text
    .slice(0, kept)
    .toWellFormed()
    .replace(/\uFFFD$/, "")
    .trimEnd();
  return `${cut} … (shortened: ${text.length - cut.length} more characters)`;
}

// Control characters, direction overrides, zero-width and tag characters: invisible to the person,
// readable for a model. Joiners stay, since scripts and emoji need them.
const INVISIBLE = /[^\P{Cc}\t\n]|[\u200B\u200E\u200F\u202A-\u202E\u2060-\u2069\uFEFF\u{E0000}-\u{E007F}]/gu;

function cleanText(text: string): string {
  return text
    .toWellFormed()
    .replace(/\r\n?|[\u0085\u2028\u2029\v\f]/g, "\n")
    .replace(INVISIBLE, "")
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

function oneLine(text: string): string {
  return cleanText(text).replace(/\s+/g, " ").trim();
}
