import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { digits, isMet, type Figure, type Scenario, type Skipped } from "./lib/figure.ts";
import { calls } from "./scenarios/calls.ts";
import { claim } from "./scenarios/claim.ts";
import { latency } from "./scenarios/latency.ts";
import { memory } from "./scenarios/memory.ts";
import { start } from "./scenarios/start.ts";
import { wake } from "./scenarios/wake.ts";

const SCENARIOS: readonly Scenario[] = [claim, calls, latency, start, memory, wake];
/** A run that hangs ends by itself. */
const LONGEST_MS = { usual: 6 * 60_000, full: 30 * 60_000 };

const USAGE = `Usage: npm run bench [-- [--full] [NAME…]]

Measures the figures of docs/performance.md, each beside a baseline in the same run. Ends with 1
when a gated one misses its goal. Names: ${SCENARIOS.map(({ name }) => name).join(", ")}.
`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { full: { type: "boolean", default: false }, help: { type: "boolean", short: "h", default: false } },
    allowPositionals: true,
  });
  const unknown = positionals.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  if (values.help || unknown.length > 0) {
    tell(USAGE);
    return unknown.length > 0 ? 2 : 0;
  }
  const chosen = SCENARIOS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const limit = values.full ? LONGEST_MS.full : LONGEST_MS.usual;
  setTimeout(() => giveUp(limit), limit).unref();
  tell(`Node ${process.version}, ${process.platform} ${process.arch}, ${cpus().length} x ${cpus()[0]?.model ?? "?"}`);
  const skipped: Skipped[] = [];
  const figures: Figure[] = [];
  const failed: string[] = [];
  const folder = mkdtempSync(join(tmpdir(), "cto-bench-"));
  // However the run ends, Ctrl-C and giving up included.
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
  for (const scenario of chosen) {
    tell(`\n${scenario.name} (load ${load()})`);
    const skip = (name: string, why: string) => void skipped.push({ name, why });
    try {
      const found = await scenario.run({ full: values.full, folder, skip, tell });
      figures.push(...found);
      for (const each of found) tell(lines(each));
    } catch (error) {
      failed.push(scenario.name);
      tell(`  failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
  return report(figures, skipped, failed);
}

function report(figures: Figure[], skipped: Skipped[], failed: string[]): number {
  const missed = figures.filter((each) => !isMet(each));
  const gated = missed.filter(({ gate }) => gate);
  tell(`\n${figures.length - missed.length} of ${figures.length} goals met (load at the end ${load()}).`);
  for (const each of missed) tell(`missed${each.gate ? "" : " (not gated)"}: ${headline(each)}`);
  for (const { name, why } of skipped) tell(`skipped: ${name}: ${why}`);
  for (const name of failed) tell(`failed: ${name}`);
  return gated.length > 0 || failed.length > 0 ? 1 : 0;
}

function lines(each: Figure): string {
  const sign = isMet(each) ? "ok  " : each.gate ? "MISS" : "miss";
  return `  ${sign} ${headline(each)}\n       rounds ${each.rounds.map(digits).join(", ")}; ${each.note}`;
}

function headline({ name, value, unit, goal, gate }: Figure): string {
  return `${name}: ${digits(value)} ${unit} (goal: ${goal.is} ${goal.value} ${unit}${gate ? ", gated" : ""})`;
}

function load(): string {
  return loadavg().map(digits).join(" ");
}

function giveUp(limit: number): void {
  tell(`gave up after ${limit / 1_000} s`);
  // Children end with their channel; what is started without one is ended on exit.
  process.exit(1);
}

function tell(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.exitCode = await main();
