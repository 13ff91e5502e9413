import { WAIT_REASONS, COMPLEXITIES, TASK_STATES, TASK_TYPES, type TaskOrigin } from "../base/task.ts";
import type { Project } from "../base/project.ts";
import type { Role, Session } from "../base/session.ts";
import type { EventKind } from "../base/event.ts";
import type { AgreedRow, Artefact, Cells, CheckRecord, Question } from "./store.ts";
import { integer, real, sqliteTable, text } from "./drizzle.ts";

/**
 * The tables as Drizzle knows them. The migrations make them; a test holds the two against
 * each other. Tables that no query reads yet are in the migrations only.
 */

const bool = (name: string) => integer(name, { mode: "boolean" });

export const projects = sqliteTable("projects", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  slug: text("slug").notNull(),
  name: text("name").notNull(),
  priority: integer("priority").notNull(),
  hold: text("hold").$type<NonNullable<Project["hold"]>>(),
  blockedWhy: text("blocked_why"),
  deadline: integer("deadline"),
  deadlineText: text("deadline_text").notNull(),
  gpu: bool("gpu").notNull(),
  model: text("model").notNull(),
  repo: text("repo").notNull(),
  path: text("path").notNull(),
  setup: text("setup").notNull(),
  check: text("check").notNull(),
  dependsOn: text("depends_on").notNull(),
  budget: text("budget").notNull(),
  autonomy: text("autonomy").$type<Project["autonomy"]>().notNull(),
  machine: text("machine").notNull(),
  review: text("review").$type<Project["review"]>().notNull(),
  nextAction: text("next_action").notNull(),
  consumedAction: text("consumed_action").notNull(),
  progress: text("progress").notNull(),
  agent: text("agent").notNull(),
  lastUpdateAt: integer("last_update_at"),
  lane: text("lane").notNull(),
  openGate: bool("open_gate").notNull(),
  boost: integer("boost").notNull(),
  boostWhy: text("boost_why").notNull(),
  boostDueAt: integer("boost_due_at"),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

export const tasks = sqliteTable("tasks", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  projectId: integer("project_id").notNull(),
  alias: text("alias"),
  description: text("description").notNull(),
  type: text("type", { enum: TASK_TYPES }).notNull(),
  complexity: text("complexity", { enum: COMPLEXITIES }).notNull(),
  priority: integer("priority"),
  wantedAgent: text("wanted_agent"),
  state: text("state", { enum: TASK_STATES }).notNull(),
  waitReason: text("wait_reason", { enum: WAIT_REASONS }),
  waitUntil: integer("wait_until"),
  why: text("why").notNull(),
  band: integer("band").notNull(),
  bandWhy: text("band_why").notNull(),
  front: bool("front").notNull(),
  rankDueAt: integer("rank_due_at"),
  fence: integer("fence").notNull(),
  sessionId: text("session_id"),
  reservedFor: text("reserved_for"),
  agent: text("agent"),
  failures: integer("failures").notNull(),
  rounds: integer("rounds").notNull(),
  findings: text("findings"),
  progress: text("progress").notNull(),
  summary: text("summary"),
  statedNext: text("stated_next"),
  output: text("output"),
  workspace: text("workspace"),
  baseCommit: text("base_commit"),
  headCommit: text("head_commit"),
  integratedCommit: text("integrated_commit"),
  checked: text("checked").$type<"passed" | "failed" | "unchecked">(),
  review: text("review").$type<"approved" | "changes" | "unreviewed">(),
  openDependencies: integer("open_dependencies").notNull(),
  dependsOn: text("depends_on").notNull(),
  dependencyProblem: bool("dependency_problem").notNull(),
  parentId: integer("parent_id"),
  stage: text("stage"),
  origin: text("origin").$type<TaskOrigin>().notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
  startedAt: integer("started_at"),
  completedAt: integer("completed_at"),
});

export const sessions = sqliteTable("sessions", {
  id: text("id").primaryKey(),
  agent: text("agent").notNull(),
  projectId: integer("project_id"),
  kind: text("kind").$type<Session["kind"]>().notNull(),
  machine: text("machine").notNull(),
  state: text("state").$type<Session["state"]>().notNull(),
  taskId: integer("task_id"),
  handle: text("handle"),
  outcome: text("outcome"),
  exitCode: integer("exit_code"),
  tasksDone: integer("tasks_done").notNull(),
  startedAt: integer("started_at").notNull(),
  lastSeenAt: integer("last_seen_at").notNull(),
  endedAt: integer("ended_at"),
});

export const tokens = sqliteTable("tokens", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  hash: text("hash").notNull(),
  role: text("role").$type<Role>().notNull(),
  sessionId: text("session_id"),
  projectId: integer("project_id"),
  label: text("label").notNull(),
  createdAt: integer("created_at").notNull(),
  expiresAt: integer("expires_at"),
  revokedAt: integer("revoked_at"),
});

export const events = sqliteTable("events", {
  seq: integer("seq").primaryKey({ autoIncrement: true }),
  at: integer("at").notNull(),
  principal: text("principal").notNull(),
  projectId: integer("project_id"),
  taskId: integer("task_id"),
  sessionId: text("session_id"),
  kind: text("kind").$type<EventKind>().notNull(),
  v: integer("v").notNull(),
  data: text("data", { mode: "json" }).$type<Record<string, unknown>>().notNull(),
});

export const checks = sqliteTable("checks", {
  taskId: integer("task_id").notNull(),
  fence: integer("fence").notNull(),
  commit: text("commit").notNull(),
  command: text("command").notNull(),
  outcome: text("outcome").$type<CheckRecord["outcome"]>().notNull(),
  exitCode: integer("exit_code"),
  tail: text("tail").notNull(),
  durationMs: integer("duration_ms").notNull(),
  at: integer("at").notNull(),
});

export const continuations = sqliteTable("continuations", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  projectId: integer("project_id").notNull(),
  taskId: integer("task_id"),
  version: integer("version").notNull(),
  author: text("author").$type<"agent" | "hub">().notNull(),
  agent: text("agent").notNull(),
  body: text("body").notNull(),
  at: integer("at").notNull(),
});

export const questions = sqliteTable("questions", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  projectId: integer("project_id").notNull(),
  taskId: integer("task_id"),
  sessionId: text("session_id"),
  kind: text("kind").$type<Question["kind"]>().notNull(),
  text: text("text").notNull(),
  options: text("options", { mode: "json" }).$type<string[]>().notNull(),
  state: text("state").$type<Question["state"]>().notNull(),
  answer: text("answer"),
  askedAt: integer("asked_at").notNull(),
  answeredAt: integer("answered_at"),
});

export const messages = sqliteTable("messages", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  taskId: integer("task_id").notNull(),
  text: text("text").notNull(),
  principal: text("principal").notNull(),
  at: integer("at").notNull(),
  deliveredAt: integer("delivered_at"),
  deliveredTo: text("delivered_to"),
});

export const artefacts = sqliteTable("artefacts", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  taskId: integer("task_id"),
  sessionId: text("session_id"),
  kind: text("kind").$type<Artefact["kind"]>().notNull(),
  path: text("path").notNull(),
  sha256: text("sha256").notNull(),
  bytes: integer("bytes").notNull(),
  at: integer("at").notNull(),
});

export const sheetRows = sqliteTable("sheet_rows", {
  tab: text("tab").$type<AgreedRow["tab"]>().notNull(),
  id: integer("row_id").notNull(),
  rev: integer("rev").notNull(),
  cells: text("cells", { mode: "json" }).$type<Cells>().notNull(),
  confirmed: bool("confirmed").notNull(),
});

export const metrics = sqliteTable("metrics", {
  at: integer("at").notNull(),
  name: text("name").notNull(),
  projectId: integer("project_id"),
  value: real("value").notNull(),
  unit: text("unit").notNull(),
});
