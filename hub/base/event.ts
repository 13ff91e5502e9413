/** One line of the append-only log. Everything live is a cursor on it. */
export interface HubEvent {
  /** Rises by one with every event; never reused. */
  seq: number;
  at: number;
  principal: string;
  projectId: number | null;
  taskId: number | null;
  sessionId: string | null;
  kind: EventKind;
  /** Version of `data`'s shape for this kind. */
  v: number;
  data: Record<string, unknown>;
}

export const EVENT_KINDS = [
  "hub_started",
  "hub_stopped",
  "stop_set",
  "stop_released",
  "project_added",
  "project_changed",
  "task_added",
  "task_changed",
  "task_reserved",
  "task_claimed",
  "task_progress",
  "task_completed",
  "task_checked",
  "task_findings",
  "task_requeued",
  "task_waiting",
  "task_blocked",
  "task_woken",
  "task_done",
  "task_failed",
  "task_cancelled",
  "task_reopened",
  "continuation_written",
  "question_asked",
  "question_answered",
  "message_sent",
  "message_delivered",
  "session_started",
  "session_ended",
  "token_issued",
  "token_revoked",
  "sheet_synced",
  "sheet_problem",
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];
