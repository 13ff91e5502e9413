/** The structured hand-over of a project, in the user's own format (CONTINUATION.md). */
export interface Continuation {
  currentTask: string;
  progress: { done: boolean; text: string }[];
  context: string;
  keyDecisions: string[];
  blockers: string[];
  nextAction: string;
  references: string[];
}

/** A continuation as the hub keeps it. */
export interface StoredContinuation extends Continuation {
  id: number;
  projectId: number;
  taskId: number | null;
  /** 1 for a project's first. */
  version: number;
  /** `hub` when nobody wrote one and it was made from what was observed. */
  author: "agent" | "hub";
  agent: string;
  at: number;
}
