import { posix } from "node:path";
import { CONTINUATION_FILE } from "./clone.ts";
import type { SideRepository } from "./inside.ts";
import { fetchInto, withSideRepository } from "./inside.ts";
import type { Mirror } from "./mirror.ts";
import { branchRef, commitName } from "./mirror.ts";
import type { Place } from "./workspaces.ts";

const MAX_DIFFERENCES = 50;
const MAX_IGNORE_FILES = 500;

/**
 * See `Workspaces.verify`. Every file is read anew, against an index of our own, and what is
 * untracked counts as ignored only where the commit's own .gitignore files say so: neither
 * flags in the agent's index, nor filters in its configuration, nor an ignore file that it
 * left uncommitted can hide a difference.
 */
export async function verifyWorkspace(
  place: Place,
  mirror: Mirror,
  path: string,
  task: number,
  commit: string,
): Promise<string[]> {
  return withSideRepository(place, path, commitName(commit), async (side) => {
    const known = await side.git(["cat-file", "-e", `${commit}^{tree}`], { codes: [0, 1, 128] });
    if (known.code !== 0) {
      await fetchInto(place, mirror, { [branchRef(task)]: branchRef(task) }, (args) => side.git(args), side.path);
    }
    await side.git(["read-tree", commit]);
    await side.git(["update-index", "-q", "--refresh"], { codes: [0, 1] });
    const ignore = `${side.path}/ignore`;
    await place.machine.put(place.name, ignore, await committedIgnores(mirror, commit), 0o600);
    return shown([...(await changedFiles(side)), ...(await untrackedFiles(side, ignore))]);
  });
}

async function changedFiles(side: SideRepository): Promise<string[]> {
  const diff = await side.git(["diff-files", "-z", "--name-status", "--no-renames", "--ignore-submodules=dirty"]);
  const parts = diff.stdout.split("\0");
  const found: string[] = [];
  for (let i = 0; i + 1 < parts.length; i += 2) {
    found.push(`${parts[i] === "D" ? "missing" : "changed"}: ${parts[i + 1]}`);
  }
  return found;
}

async function untrackedFiles(side: SideRepository, ignore: string): Promise<string[]> {
  const args = ["ls-files", "-z", "--others", "--directory", "--no-empty-directory", `--exclude-from=${ignore}`];
  const names = (await side.git(args)).stdout.split("\0").filter((name) => name !== "");
  return names.map((name) =>
    name.endsWith("/") ? `not committed: ${name} (commit it, or name it in .gitignore)` : `not committed: ${name}`,
  );
}

function shown(differences: string[]): string[] {
  const clean = differences.map((line) => line.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "?").slice(0, 300));
  if (clean.length <= MAX_DIFFERENCES) return clean;
  return [...clean.slice(0, MAX_DIFFERENCES), `and ${clean.length - MAX_DIFFERENCES} more`];
}

/** All .gitignore files of a commit as one, deeper ones last, since they weigh more. */
async function committedIgnores(mirror: Mirror, commit: string): Promise<string> {
  const tree = await mirror.git(["ls-tree", "-r", "-z", "--full-tree", commit]);
  const entries = tree.stdout.split("\0").map((line) => /^100\d{3} blob ([0-9a-f]+)\t([^]*)$/.exec(line));
  const files = entries
    .map((match) => ({ blob: match?.[1] ?? "", path: match?.[2] ?? "" }))
    .filter(({ path }) => posix.basename(path) === ".gitignore")
    .toSorted((a, b) => a.path.split("/").length - b.path.split("/").length)
    .slice(0, MAX_IGNORE_FILES);
  const texts: string[] = [];
  for (const { blob, path } of files) {
    const text = (await mirror.git(["cat-file", "blob", commitName(blob)])).stdout;
    texts.push(rootedIgnores(posix.dirname(path), text));
  }
  // Ours, wherever the project does not keep one itself; then it is tracked and nothing ignores it.
  return `/${CONTINUATION_FILE}\n${texts.join("\n")}\n`;
}

/** The lines of the .gitignore in `folder` as they would read in the topmost one. */
export function rootedIgnores(folder: string, text: string): string {
  if (folder === ".") return text;
  if (folder.includes("\n")) return "";
  const root = `/${folder.replace(/[\\*?[\]]/g, "\\$&")}`;
  const lines = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
  return lines.map((line) => rooted(root, line)).join("\n");
}

function rooted(root: string, line: string): string {
  const not = line.startsWith("!") ? "!" : "";
  const pattern = line.slice(not.length);
  if (pattern.startsWith("/")) return `${not}${root}${pattern}`;
  const anchored = pattern.trimEnd().replace(/\/$/, "").includes("/");
  return `${not}${root}/${anchored ? "" : "**/"}${pattern}`;
}
