/** One figure of a run: a number for each round, the median of them, and the goal it is held against. */
export interface Figure {
  name: string;
  unit: "x" | "ms" | "µs" | "KiB" | "MiB";
  goal: { is: "at least" | "at most"; value: number };
  /** Whether missing the goal fails the run. Wall times do not: they are mostly the machine. */
  gate: boolean;
  /** What each round gave, in the order of the rounds. A ratio is one of the same round. */
  rounds: number[];
  /** The median of `rounds`, unless it is told otherwise in `note`. */
  value: number;
  /** What the two sides of the ratio were, in words. */
  note: string;
}

/** Something that the run did not measure, by name, and why. */
export interface Skipped {
  name: string;
  why: string;
}

export interface Settings {
  /** The largest queue as well, and longer rounds. */
  full: boolean;
  /** A folder of this run, removed at its end. */
  folder: string;
  skip(name: string, why: string): void;
  /** A line for the person who waits. */
  tell(line: string): void;
}

/** One part of the bench: a name that can be given on the command line. */
export interface Scenario {
  name: string;
  run(settings: Settings): Promise<Figure[]>;
}

export function isMet({ value, goal }: Figure): boolean {
  return goal.is === "at least" ? value >= goal.value : value <= goal.value;
}

/** A figure whose value is the median of its rounds. */
export function figure(parts: Omit<Figure, "value">): Figure {
  return { ...parts, value: median(parts.rounds) };
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which a share `q` (0 to 1) of `values` lies; NaN of none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

/** The same list, begun at another place each round, so that no side is always the first. */
export function rotated<Item>(items: readonly Item[], round: number): Item[] {
  const from = round % items.length;
  return [...items.slice(from), ...items.slice(0, from)];
}

/** Three significant digits. */
export function digits(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "none";
}
