import { taskName } from "../../hub/base/ids.ts";
import { checkRunId } from "./check.ts";
import { stillOurs, type Findings, type Step } from "./step.ts";

export interface Commits {
  /** What the task started from. */
  base: string;
  /** What is checked, and integrated when the check passes. */
  head: string;
}

const HAND_OVER_FILE = "CONTINUATION.md";
const CONFLICT_LIMIT = 30;

/**
 * The commit that the task's check is about: what is left in the workspace is committed, there
 * is something to show, and it stands on the integration branch.
 *
 * A commit that a check has run on under this fence is taken as it is. The check may have
 * left files behind, and collecting anew would commit them.
 */
export async function commitWork(step: Step): Promise<Commits | Findings> {
  const { parts, place, project, task } = step;
  const begun = await checkedBefore(step);
  if (begun !== undefined) return begun;
  const { base, head } = await parts.workspaces.collect(place, project, task);
  if (!(await hasSomethingToShow(step, base, head))) return { source: "check", text: nothingToShow(step) };
  return bringUpToDate(step, { base, head });
}

/** Merges what was integrated meanwhile. A conflict is a finding: whoever did the work knows best how to mend it. */
export async function bringUpToDate(step: Step, { base, head }: Commits): Promise<Commits | Findings> {
  const { parts, place, project, task } = step;
  const result = await parts.workspaces.bringUpToDate(place, project, task, head);
  if ("conflicts" in result) return { source: "merge", text: conflictWords(result.conflicts) };
  const commits = { base, head: result.head };
  stillOurs(await parts.store.recordCommit(task.id, task.fence, commits, parts.clock.now()));
  return commits;
}

async function checkedBefore({ parts, place, task }: Step): Promise<Commits | undefined> {
  const { baseCommit: base, headCommit: head } = task;
  if (base === null || head === null) return undefined;
  const recorded = (await parts.store.checks(task.id)).some(
    (check) => check.fence === task.fence && check.commit === head,
  );
  if (recorded) return { base, head };
  const run = await place.machine.observe(checkRunId(task, head, 1));
  return run.state === "missing" ? undefined : { base, head };
}

/** A change of any file but the hand-over, or the file that the task named as its product. */
async function hasSomethingToShow({ parts, project, task }: Step, base: string, head: string): Promise<boolean> {
  if (base !== head) {
    const { files } = await parts.workspaces.changes(project, base, head);
    if (files.some(({ path }) => path !== HAND_OVER_FILE)) return true;
  }
  const output = task.output?.trim() ?? "";
  return output !== "" && (await parts.workspaces.hasFile(project, head, output));
}

function nothingToShow({ task }: Step): string {
  const output = task.output?.trim() ?? "";
  const file =
    output === "" ? "" : ` The file that was named as its output (${output.slice(0, 200)}) is not there either.`;
  return (
    `Nothing to show: ${taskName(task.id)} was completed, but its branch changes no file.${file} ` +
    "Make the change in the workspace, or name the file that it produced as output, then complete it again. " +
    "When there is nothing to do, say so with block_task."
  );
}

function conflictWords(files: string[]): string {
  const shown = files.slice(0, CONFLICT_LIMIT).map((file) => `- ${file}`);
  const more = files.length > shown.length ? [`- and ${files.length - shown.length} more`] : [];
  return [
    "Other finished work has changed the same places, so yours cannot be merged as it is. These files conflict:",
    ...shown,
    ...more,
    "The branch cto/integration in your workspace holds that work: merge it into yours (git merge cto/integration), resolve the conflicts, run the check, and complete the task again.",
  ].join("\n");
}
