/** One run of an agent on one machine, with a token of its own. */
export interface Session {
  id: string;
  agent: string;
  projectId: number | null;
  /** `supervised` is ours to start and stop; `attached` is somebody else's program that called us. */
  kind: "supervised" | "attached";
  machine: string;
  state: "preparing" | "running" | "ended";
  taskId: number | null;
  /** What identifies the process, as its machine gave it; opaque here. */
  handle: string | null;
  /** One short sentence on how it ended. */
  outcome: string | null;
  exitCode: number | null;
  /** Completed tasks of this session. */
  tasksDone: number;
  startedAt: number;
  /** The last real sign of life: a call, a stream event, output. */
  lastSeenAt: number;
  endedAt: number | null;
}

export type Role = "agent" | "human" | "admin";

/** Who makes a call: what a token says, and nothing that the caller says itself. */
export interface Principal {
  role: Role;
  /** Names the principal in the event log: `session:s-…`, `token:4`, `sheet`, `supervisor`. */
  name: string;
  sessionId: string | null;
  /** The project that the token is bound to; null for all. */
  projectId: number | null;
}

/** The hub acting for itself. */
export const SUPERVISOR: Principal = { role: "admin", name: "supervisor", sessionId: null, projectId: null };
/** What a person did on the page. */
export const PAGE: Principal = { role: "human", name: "page", sessionId: null, projectId: null };
/** What a person typed into the sheet. */
export const SHEET: Principal = { role: "human", name: "sheet", sessionId: null, projectId: null };
