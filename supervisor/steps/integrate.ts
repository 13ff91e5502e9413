import { ProviderError } from "../../hub/base/errors.ts";
import type { Step } from "./step.ts";
import { unlessHalted, placeOf, type Parts } from "../parts.ts";
import { bringUpToDate, commitWork, type Commits } from "./commit.ts";
import { check } from "./check.ts";
import { stillOurs, type Findings } from "./step.ts";

/** How often the integration branch may move on under a task before it is tried again later. */
const ROUNDS = 5;

/**
 * What happens after `complete_task`, as one story: commit what is there, stand it on what was
 * integrated meanwhile, check that very commit, then review and integrate. Findings go back to
 * the session, or into the queue when it is gone.
 *
 * Run again after it was cut off anywhere, it reaches the same end: every step either finds
 * its own result (the recorded commit, the check's run, the integrated commit) or does again
 * what has no effect twice, and everything is written under the task's fence. `finish` comes
 * only after `integrate`, which answers the commit again when it is there already.
 */
export async function concludeTask(parts: Parts, taskId: number, signal: AbortSignal): Promise<void> {
  const { store, clock, workspaces } = parts;
  const task = await store.task(taskId);
  const project = task === undefined ? undefined : await store.project(task.projectId);
  if (task?.state !== "checking" || project === undefined) return;
  const step: Step = { parts, place: await placeOf(parts, project), project, task, signal };
  let work = await commitWork(step);
  for (let round = 1; round <= ROUNDS; round += 1) {
    unlessHalted(signal);
    if ("source" in work) return returnFindings(step, work);
    const verdict = await check(step, work.head);
    if ("source" in verdict) return returnFindings(step, verdict);
    unlessHalted(signal);
    if (project.review === "required") {
      stillOurs(await store.toReview(task.id, task.fence, "waits for a reviewer: none is configured", clock.now()));
      return;
    }
    const integrated = await workspaces.integrate(project, task, work.head);
    if (integrated !== "moved") return finish(step, verdict.checked, integrated.commit);
    work = await bringUpToDate(step, work satisfies Commits);
  }
  throw new ProviderError("other work was integrated each time this one was ready; it is tried again");
}

async function finish({ parts, project, task }: Step, checked: "passed" | "unchecked", commit: string): Promise<void> {
  const review = project.review === "none" ? null : "unreviewed";
  stillOurs(
    await parts.store.finish(task.id, task.fence, { integratedCommit: commit, checked, review }, parts.clock.now()),
  );
  parts.log.info({ task: task.id, commit, checked }, "task done");
}

async function returnFindings({ parts, task }: Step, findings: Findings): Promise<void> {
  const lives = await holderLives(parts, task.sessionId);
  stillOurs(await parts.store.returnFindings(task.id, task.fence, findings, lives, parts.clock.now()));
  parts.log.info({ task: task.id, source: findings.source, holderLives: lives }, "findings");
}

/** A session of ours lives as long as its process is observed; an attached one as long as its lease. */
async function holderLives(parts: Parts, sessionId: string | null): Promise<boolean> {
  const session = sessionId === null ? undefined : await parts.store.session(sessionId);
  if (session === undefined || session.state === "ended") return false;
  if (session.kind === "attached") return true;
  const run = await parts.machines.get(session.machine)?.observe(session.id);
  return run?.state === "running";
}
