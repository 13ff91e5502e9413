/** The names in a Depends On cell: `T3, T4` or aliases, separated by commas, semicolons or line ends. */
export function dependencyNames(text: string): string[] {
  const names = text
    .split(/[,;\n]+/)
    .flatMap((part) => (/^\s*(T\d+\s+)+T\d+\s*$/i.test(part) ? part.trim().split(/\s+/) : [part]))
    .map((name) => name.trim())
    .filter((name) => name !== "" && name !== "-");
  return [...new Set(names)];
}

/**
 * The tasks on a circle that would arise if `task` stood on `on`, as a path back to `task`;
 * undefined when there is none. `dependenciesOf` answers what a task stands on.
 */
export function findCycle(
  task: number,
  on: number[],
  dependenciesOf: (task: number) => number[],
): number[] | undefined {
  const seen = new Set<number>();
  const walk = (at: number, path: number[]): number[] | undefined => {
    if (at === task) return [...path, at];
    if (seen.has(at)) return undefined;
    seen.add(at);
    for (const next of dependenciesOf(at)) {
      const found = walk(next, [...path, at]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  for (const first of on) {
    const found = walk(first, [task]);
    if (found !== undefined) return found;
  }
  return undefined;
}
