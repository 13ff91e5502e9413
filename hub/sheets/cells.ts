import { COMPLEXITIES, TASK_TYPES } from "../base/task.ts";

/** What a cell means: its canonical text, or why it cannot be taken. */
export type CellValue = { ok: true; text: string } | { ok: false; why: string };
export type CellReader = (text: string) => CellValue;

const TEXT_LIMIT = 20_000;
const SHOWN_LIMIT = 2_000;
/** First characters that make a spreadsheet calculate, in their full-width forms too. */
const DANGEROUS = "=+\\-@\\t\\r\\n＝＋－＠";
const NEEDS_PREFIX = new RegExp(`^'*[${DANGEROUS}]`);
const HAS_PREFIX = new RegExp(`^'+[${DANGEROUS}]`);
/** What a terminal, a page or an editor would obey instead of show; tabs and line ends stay. */
// oxlint-disable-next-line no-control-regex -- these are the characters meant
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/** A formula is read as what it says and is never replaced. */
export function isFormula(raw: string): boolean {
  return raw.startsWith("=");
}

/**
 * Text as it is put into a cell: never a formula, whatever an agent wrote. The apostrophe that
 * this adds is taken off again by `plainText`, so that it is nobody's edit.
 */
export function safeCell(text: string): string {
  return NEEDS_PREFIX.test(text) ? `'${text}` : text;
}

/** The text that a cell stands for: `safeCell` undone. */
export function plainText(raw: string): string {
  return HAS_PREFIX.test(raw) ? raw.slice(1) : raw;
}

/** Text of the hub made fit for a cell: one line, no control characters, not endless. */
export function shownText(text: string): string {
  const line = text
    .replace(/\s*\r?\n\s*/g, " ")
    .replace(UNSEEN, "")
    .trim();
  return line.length > SHOWN_LIMIT ? `${line.slice(0, SHOWN_LIMIT - 1)}…` : line;
}

/** A cell's text without what editors add: the apostrophe, spaces around, other line ends; "-" is empty. */
export function cellText(raw: string): string {
  return raw === "" || raw === "-" ? "" : tidyText(plainText(raw));
}

/** Text as it is compared: whatever has the same tidy text is the same text. */
export function tidyText(text: string): string {
  const tidy = text.replace(/\r\n?/g, "\n").replace(UNSEEN, "").trim();
  return tidy === "-" || tidy === "–" ? "" : tidy;
}

function good(text: string): CellValue {
  return { ok: true, text };
}

function bad(why: string): CellValue {
  return { ok: false, why };
}

export const readText: CellReader = (text) =>
  text.length > TEXT_LIMIT ? bad(`is longer than ${TEXT_LIMIT} characters`) : good(text);

/** Text that must be there, at most `limit` characters. */
export function readRequired(limit: number): CellReader {
  return (text) => {
    if (text === "") return bad("is empty");
    return text.length > limit ? bad(`is longer than ${limit} characters`) : good(text);
  };
}

/** A whole number from 1 to 99, also as `P2` or `2.0`; `whenEmpty` for an empty cell. */
export function readPriority(whenEmpty: string): CellReader {
  return (text) => {
    if (text === "") return good(whenEmpty);
    const match = /^p?\s*(\d{1,2})(?:[.,]0+)?$/i.exec(text);
    const value = Number(match?.[1] ?? 0);
    return value >= 1 ? good(String(value)) : bad("is no priority: write a whole number from 1 (first) to 99");
  };
}

const YES = new Set(["yes", "y", "true", "1", "x", "on", "ja", "oui", "si", "sí", "✓", "✔"]);
const NO = new Set(["", "no", "n", "false", "0", "off", "nein", "non"]);

/** `Yes` or `No`; empty is No. */
export const readYesNo: CellReader = (text) => {
  const word = text.toLowerCase();
  if (YES.has(word)) return good("Yes");
  return NO.has(word) ? good("No") : bad("is neither yes nor no");
};

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/** `2026-01-15`, also from 2026/01/15, 15.1.2026, 1/15/2026 where the order is plain, 15 Jan 2026. Empty stays. */
export const readDate: CellReader = (text) => {
  if (text === "") return good("");
  const iso = isoDate(text);
  return iso === undefined ? bad("is no date: write it as 2026-01-15") : good(iso);
};

function isoDate(text: string): string | undefined {
  const day = text.replace(/[T ]+\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?$/i, "");
  const ymd = /^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})$/.exec(day);
  if (ymd !== null) return dateOf(ymd[1], ymd[2], ymd[3]);
  const dmy = /^(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})$/.exec(day);
  if (dmy !== null) return dateOf(dmy[3], dmy[2], dmy[1]);
  const slash = /^(\d{1,2})[/-](\d{1,2})[/-](\d{4})$/.exec(day);
  if (slash !== null) {
    const [first, second] = [Number(slash[1]), Number(slash[2])];
    if (first > 12) return dateOf(slash[3], slash[2], slash[1]);
    // 3/4/2026 is two different days to two readers, so it is nobody's.
    return second > 12 || first === second ? dateOf(slash[3], slash[1], slash[2]) : undefined;
  }
  const named = /^(\d{1,2})\.?\s+([a-z]{3,9})\.?,?\s+(\d{4})$/i.exec(day);
  if (named !== null) return dateOf(named[3], monthOf(named[2]), named[1]);
  const american = /^([a-z]{3,9})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})$/i.exec(day);
  return american === null ? undefined : dateOf(american[3], monthOf(american[1]), american[2]);
}

function monthOf(name = ""): string {
  return String(MONTHS.indexOf(name.slice(0, 3).toLowerCase()) + 1);
}

function dateOf(year = "", month = "", day = ""): string | undefined {
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  const same = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
  return same && Number(month) >= 1 ? date.toISOString().slice(0, 10) : undefined;
}

/** One of `words`, in any case, or a synonym of one; `whenEmpty` for an empty cell. */
export function readWord(
  words: readonly string[],
  whenEmpty: string,
  synonyms: Record<string, string> = {},
): CellReader {
  const known = new Map([...words.map((word) => [word.toLowerCase(), word] as const), ...Object.entries(synonyms)]);
  return (text) => {
    if (text === "") return good(whenEmpty);
    const word = known.get(text.toLowerCase().replace(/\s+/g, " "));
    return word === undefined ? bad(`is not one of ${words.join(", ")}`) : good(word);
  };
}

export const readType = readWord(TASK_TYPES, "implementation", {
  plan: "planning",
  implement: "implementation",
  feature: "implementation",
  test: "testing",
  tests: "testing",
  refactor: "refactoring",
  docs: "documentation",
  doc: "documentation",
  debug: "debugging",
  bug: "debugging",
  bugfix: "debugging",
});

export const readComplexity = readWord(COMPLEXITIES, "medium");

/** Text for comparing names: case, spaces around and inside do not count. */
export function fold(text: string): string {
  return text.trim().toLowerCase().replace(/\s+/g, " ");
}
