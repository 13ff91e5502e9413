import { SUPERVISOR } from "../hub/base/session.ts";
import type { Project } from "../hub/base/project.ts";
import type { Parts } from "./parts.ts";

/** What begins each reason of ours, so that a restarted hub knows which ones it may take back. */
const PREFIX = "repository: ";

/**
 * A project whose repository cannot be used is blocked with the reason, and looked at again:
 * a network that was down, or a cell that was corrected, needs no further act of the person.
 */
export const repositoryBlock = {
  isSet: (project: Pick<Project, "blockedWhy">): boolean => project.blockedWhy?.startsWith(PREFIX) ?? false,

  async set(parts: Pick<Parts, "store" | "clock">, projectId: number, why: string): Promise<void> {
    await parts.store.changeProject(
      SUPERVISOR,
      projectId,
      { blockedWhy: `${PREFIX}${why.slice(0, 400)}` },
      parts.clock.now(),
    );
  },

  /** Looks again; true when the project is free to go on. */
  async retry(parts: Pick<Parts, "store" | "clock" | "workspaces">, project: Project): Promise<boolean> {
    const refreshed = await parts.workspaces.refresh(project);
    if (refreshed.ok) await parts.store.changeProject(SUPERVISOR, project.id, { blockedWhy: null }, parts.clock.now());
    else if (project.blockedWhy !== `${PREFIX}${refreshed.why.slice(0, 400)}`)
      await this.set(parts, project.id, refreshed.why);
    return refreshed.ok;
  },
};
