import { parseArgs } from "node:util";
import { didYouMean } from "../nearest.ts";
import { UsageError } from "./command.ts";

/** An option as the command declares it. */
export interface OptionSpec {
  type: "string" | "boolean";
  short?: string;
}

export interface ParsedArguments {
  values: Record<string, string | boolean | undefined>;
  positionals: string[];
}

/**
 * Reads `args` by `options`. Throws `UsageError` for an option that is not known (with the
 * nearest that is), one that lacks its value, and more than `maxPositionals` other words.
 */
export function readArguments(
  args: string[],
  options: Record<string, OptionSpec>,
  maxPositionals: number,
): ParsedArguments {
  const known = { ...options, help: { type: "boolean", short: "h" } } satisfies Record<string, OptionSpec>;
  const { values, positionals, tokens } = parseArgs({
    args,
    options: known,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const spec = known[token.name as keyof typeof known] as OptionSpec | undefined;
    if (spec === undefined) throw unknownOption(token.rawName, token.name, Object.keys(known));
    if (spec.type === "string" && (token.value === undefined || looksLikeOption(token)))
      throw new UsageError(`${token.rawName} needs a value.`);
    if (spec.type === "boolean" && token.value !== undefined) throw new UsageError(`${token.rawName} takes no value.`);
  }
  if (positionals.length > maxPositionals)
    throw new UsageError(`"${positionals[maxPositionals]}" is one word too many. Quote text that has spaces.`);
  return { values, positionals };
}

/** A text option's value; undefined when it was not given. */
export function textOption(parsed: ParsedArguments, name: string): string | undefined {
  const value = parsed.values[name];
  return typeof value === "string" ? value : undefined;
}

/** Whether a switch was given. */
export function switchOption(parsed: ParsedArguments, name: string): boolean {
  return parsed.values[name] === true;
}

/** The value of an option that knows only some words; throws `UsageError` for another. */
export function choiceOption<Choice extends string>(
  parsed: ParsedArguments,
  name: string,
  choices: readonly Choice[],
): Choice | undefined {
  const value = textOption(parsed, name);
  if (value === undefined) return undefined;
  const choice = choices.find((each) => each === value.toLowerCase());
  if (choice !== undefined) return choice;
  throw new UsageError(
    `--${name} is "${value}", and must be one of ${choices.join(", ")}.${didYouMean(value, choices)}`,
  );
}

/** The longest duration that is taken, in days. */
const LONGEST_DAYS = 366;

/** Milliseconds for `90s`, `30m`, `8h`, `7d`, up to 366 days; throws `UsageError` for anything else. */
export function durationOf(text: string, name: string): number {
  const match = /^(\d{1,6})([smhd])$/.exec(text.trim());
  const amount = Number(match?.[1] ?? 0);
  if (match === null || amount === 0)
    throw new UsageError(`--${name} is "${text}", and must be a number with s, m, h or d, such as 8h.`);
  const unit = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] as "s" | "m" | "h" | "d"];
  if (amount * unit > LONGEST_DAYS * 86_400_000)
    throw new UsageError(`--${name} is "${text}", and the longest is ${LONGEST_DAYS}d.`);
  return amount * unit;
}

function looksLikeOption(token: { value?: string | undefined; inlineValue?: boolean | undefined }): boolean {
  return token.inlineValue !== true && (token.value?.startsWith("--") ?? false);
}

function unknownOption(raw: string, name: string, known: string[]): UsageError {
  return new UsageError(
    `there is no option ${raw}.${didYouMean(
      `--${name}`,
      known.map((each) => `--${each}`),
    )}`,
  );
}
