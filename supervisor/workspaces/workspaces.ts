import type { Project } from "../../hub/base/project.ts";
import type { Task } from "../../hub/base/task.ts";
import type { Machine } from "../machines/machine.ts";

/** A machine by adapter and name: where a workspace is. */
export interface Place {
  machine: Machine;
  name: string;
}

/**
 * Mirrors, clones, branches and the integration branch.
 *
 * The hub keeps a bare mirror of each project's repository. A task is worked on in a clone
 * inside its machine, on branch `cto/T12`, started from `cto/integration`. Results come back
 * by `git fetch` into the mirror; no other git command of ours runs on the host inside a
 * `.git` that an agent could write: what must happen there happens by `exec` in the machine.
 * Every method is safe to run again after it was cut off at any point.
 */
export interface Workspaces {
  /**
   * Makes or refreshes the project's mirror and its integration branch (default branch, plus
   * what was integrated). A repository that cannot be had is an answer, not an exception.
   * `note` says what the person should know although work goes on: the remote is offline, the
   * default branch conflicts with finished work or was rewritten.
   */
  refresh(project: Project): Promise<{ ok: true; note?: string } | { ok: false; why: string }>;

  /**
   * Makes (or finds, with what an earlier session left in it) the workspace of a task, and
   * writes the continuation into it as CONTINUATION.md, excluded from git.
   */
  open(place: Place, project: Project, task: Task, continuation: string): Promise<{ path: string; base: string }>;

  /**
   * Commits what is left in the workspace (by `exec`, without hooks) and fetches the branch
   * into the mirror. `head === base` when there is nothing to show.
   */
  collect(place: Place, project: Project, task: Task): Promise<{ base: string; head: string }>;

  /**
   * Merges the integration branch into the task's branch where it has moved since, in the
   * mirror, and brings the workspace to the merge: what is checked is what will be integrated.
   */
  bringUpToDate(
    place: Place,
    project: Project,
    task: Task,
    head: string,
  ): Promise<{ head: string } | { conflicts: string[] }>;

  /** Whether the workspace's files are exactly those of `commit` (but for ignored ones), and if not, what differs. */
  verify(place: Place, project: Project, task: Task, commit: string): Promise<string[]>;

  /**
   * Moves the integration branch forward to `head`. Answers the commit, or `moved` when the
   * branch has gone on meanwhile: bring the task up to date and check again.
   */
  integrate(project: Project, task: Task, head: string): Promise<{ commit: string } | "moved">;

  /** What there is to show between two commits of the mirror. */
  changes(
    project: Project,
    base: string,
    head: string,
  ): Promise<{
    commits: { hash: string; subject: string }[];
    files: { path: string; added: number; removed: number }[];
  }>;

  /** Whether `path` is a file in `commit`. Paths that leave the repository are never. */
  hasFile(project: Project, commit: string, path: string): Promise<boolean>;

  /** Removes a task's workspace; its commits stay in the mirror. */
  discard(place: Place, project: Project, task: Task): Promise<void>;
}
