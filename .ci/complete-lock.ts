/**
 * `npm run lock`: brings package-lock.json into step with package.json.
 *
 * Two things that npm does not do by itself: the file holds no download addresses, and it
 * names the packages for every platform even when the registry at hand lacks those of some
 * (npm leaves them out then, and `npm ci` refuses the file that it wrote itself).
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

interface Entry {
  version?: string;
  resolved?: string;
  dev?: boolean;
  optional?: boolean;
  optionalDependencies?: Record<string, string>;
  cpu?: string[];
  os?: string[];
  libc?: string[];
}

execFileSync(
  "npm",
  ["install", "--package-lock-only", "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved=false"],
  {
    stdio: "inherit",
  },
);

const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as { packages: Record<string, Entry> };
for (const entry of Object.values(lock.packages)) delete entry.resolved;
for (const [path, entry] of Object.entries(lock.packages)) {
  if (path === "") continue;
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const place = `node_modules/${name}`;
    const platform = platformOf(name);
    if (lock.packages[place] !== undefined || platform === undefined || !/^\d/.test(version)) continue;
    lock.packages[place] = { version, ...platform, ...(entry.dev === true && { dev: true }), optional: true };
  }
}
const sorted = Object.fromEntries(Object.entries(lock.packages).toSorted(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync("package-lock.json", `${JSON.stringify({ ...lock, packages: sorted }, null, 2)}\n`);

/** What such packages are for is in their names: `@oxlint/binding-linux-x64-musl`. */
function platformOf(name: string): Pick<Entry, "os" | "cpu" | "libc"> | undefined {
  const match =
    /(?:^|[-/])(android|darwin|freebsd|linux|openharmony|win32)-(arm-eabi|arm64|arm|ia32|ppc64|riscv64|s390x|x64)(?:-(gnu|musl|gnueabihf|musleabihf|msvc))?$/.exec(
      name,
    );
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  const libc = (match[3] ?? "").startsWith("musl")
    ? ["musl"]
    : match[1] === "linux" && match[3] !== undefined
      ? ["glibc"]
      : undefined;
  return { cpu: [match[2].replace("arm-eabi", "arm")], os: [match[1]], ...(libc !== undefined && { libc }) };
}
