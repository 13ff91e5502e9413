import { MINUTE } from "../hub/base/clock.ts";
import { withMachine } from "./parts.ts";
import type { Place } from "./workspaces/workspaces.ts";

const MAX_BYTES = 40_000;

/**
 * Prints CLAUDE.md and AGENTS.md of the folders in its arguments, each file once: one is often a
 * link to the other. The first argument is the workspace; what a link leads to outside it is left
 * out, since a repository could otherwise have any file of the machine read.
 */
const SCRIPT = `
root=$(realpath -e -- "$1") || exit 0
seen=
for folder; do
  for name in CLAUDE.md AGENTS.md; do
    file=$(realpath -e -- "$folder/$name" 2>/dev/null) || continue
    case $file in "$root"/.git/*) continue ;; "$root"/*) ;; *) continue ;; esac
    case $seen in *"|$file|"*) continue ;; esac
    [ -f "$file" ] || continue
    seen="$seen|$file|"
    printf '%s:\\n' "$name"
    head -c ${MAX_BYTES} -- "$file"
    printf '\\n\\n'
  done
done
`;

/**
 * What the repository says to agents, as text: its CLAUDE.md and AGENTS.md, of the root and of
 * the project's folder. Empty when there is none. Read inside the machine, where the files are.
 */
export async function repositoryWords({ machine, name }: Place, workspace: string, folder: string): Promise<string> {
  const folders = [...new Set([workspace, folder])];
  const result = await withMachine(() =>
    machine.exec(name, ["sh", "-c", SCRIPT, "words", ...folders], { cwd: workspace, timeoutMs: MINUTE }),
  );
  return result.stdout.trim().slice(0, MAX_BYTES);
}
