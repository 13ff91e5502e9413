-- The first schema. Tables that later parts of the product fill (accounts, windows, usage,
-- outbox, metrics) are here so that those parts need no redesign of what is kept.

CREATE TABLE projects (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  priority INTEGER NOT NULL,
  hold TEXT,
  blocked_why TEXT,
  deadline INTEGER,
  deadline_text TEXT NOT NULL DEFAULT '',
  gpu INTEGER NOT NULL DEFAULT 0,
  model TEXT NOT NULL DEFAULT '',
  repo TEXT NOT NULL DEFAULT '',
  path TEXT NOT NULL DEFAULT '',
  setup TEXT NOT NULL DEFAULT '',
  "check" TEXT NOT NULL DEFAULT '',
  depends_on TEXT NOT NULL DEFAULT '',
  budget TEXT NOT NULL DEFAULT '',
  autonomy TEXT NOT NULL DEFAULT 'ask',
  machine TEXT NOT NULL DEFAULT '',
  review TEXT NOT NULL DEFAULT 'auto',
  next_action TEXT NOT NULL DEFAULT '',
  consumed_action TEXT NOT NULL DEFAULT '',
  progress TEXT NOT NULL DEFAULT '',
  agent TEXT NOT NULL DEFAULT '',
  last_update_at INTEGER,
  lane TEXT NOT NULL,
  -- 1 when nothing about the project itself keeps its tasks from being worked on.
  open_gate INTEGER NOT NULL DEFAULT 1,
  -- Bands its tasks rise by because its deadline is near, and when that changes next.
  boost INTEGER NOT NULL DEFAULT 0,
  boost_why TEXT NOT NULL DEFAULT '',
  boost_due_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX projects_boost_due ON projects (boost_due_at) WHERE boost_due_at IS NOT NULL;

CREATE TABLE project_dependencies (
  project_id INTEGER NOT NULL REFERENCES projects (id),
  on_project_id INTEGER NOT NULL REFERENCES projects (id),
  PRIMARY KEY (project_id, on_project_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX project_dependencies_on ON project_dependencies (on_project_id);

CREATE TABLE tasks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  project_id INTEGER NOT NULL REFERENCES projects (id),
  alias TEXT,
  description TEXT NOT NULL,
  type TEXT NOT NULL,
  complexity TEXT NOT NULL,
  priority INTEGER,
  wanted_agent TEXT,
  state TEXT NOT NULL,
  wait_reason TEXT,
  wait_until INTEGER,
  why TEXT NOT NULL DEFAULT '',
  band INTEGER NOT NULL,
  band_why TEXT NOT NULL DEFAULT '',
  front INTEGER NOT NULL DEFAULT 0,
  rank_due_at INTEGER,
  fence INTEGER NOT NULL DEFAULT 0,
  session_id TEXT,
  reserved_for TEXT,
  agent TEXT,
  failures INTEGER NOT NULL DEFAULT 0,
  rounds INTEGER NOT NULL DEFAULT 0,
  findings TEXT,
  progress TEXT NOT NULL DEFAULT '',
  summary TEXT,
  stated_next TEXT,
  output TEXT,
  workspace TEXT,
  base_commit TEXT,
  head_commit TEXT,
  integrated_commit TEXT,
  checked TEXT,
  review TEXT,
  open_dependencies INTEGER NOT NULL DEFAULT 0,
  depends_on TEXT NOT NULL DEFAULT '',
  -- 1 while Depends On names something that is not there, or goes round in a circle.
  dependency_problem INTEGER NOT NULL DEFAULT 0,
  -- The task that this one is a stage of.
  parent_id INTEGER REFERENCES tasks (id),
  stage TEXT,
  origin TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  started_at INTEGER,
  completed_at INTEGER
) STRICT;
CREATE INDEX tasks_by_project ON tasks (project_id, id);
-- The order in which a state's tasks are shown and, for queued ones, worked on.
CREATE INDEX tasks_by_state ON tasks (state, band, front DESC, id);
CREATE INDEX tasks_by_alias ON tasks (alias COLLATE NOCASE) WHERE alias IS NOT NULL;
CREATE INDEX tasks_reserved ON tasks (reserved_for) WHERE reserved_for IS NOT NULL;
CREATE INDEX tasks_wait_due ON tasks (wait_until) WHERE state = 'waiting' AND wait_until IS NOT NULL;
CREATE INDEX tasks_rank_due ON tasks (rank_due_at) WHERE rank_due_at IS NOT NULL;
CREATE INDEX tasks_dependency_problem ON tasks (id) WHERE dependency_problem = 1;

CREATE TABLE dependencies (
  task_id INTEGER NOT NULL REFERENCES tasks (id),
  on_task_id INTEGER NOT NULL REFERENCES tasks (id),
  met INTEGER NOT NULL,
  PRIMARY KEY (task_id, on_task_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX dependencies_on ON dependencies (on_task_id);

-- Counted as states change, so that no reader ever scans the tasks.
CREATE TABLE task_counts (
  project_id INTEGER NOT NULL,
  state TEXT NOT NULL,
  complexity TEXT NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (project_id, state, complexity)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER tasks_counted_on_insert AFTER INSERT ON tasks BEGIN
  INSERT INTO task_counts VALUES (new.project_id, new.state, new.complexity, 1)
    ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER tasks_counted_on_update AFTER UPDATE OF state, complexity ON tasks
WHEN old.state <> new.state OR old.complexity <> new.complexity BEGIN
  UPDATE task_counts SET n = n - 1
    WHERE project_id = old.project_id AND state = old.state AND complexity = old.complexity;
  INSERT INTO task_counts VALUES (new.project_id, new.state, new.complexity, 1)
    ON CONFLICT DO UPDATE SET n = n + 1;
END;

-- A lane is a repository: one session writes in it at a time.
CREATE TABLE lanes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  lane TEXT NOT NULL UNIQUE,
  holder TEXT,
  served INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One row per task that could be claimed now and agent that may have it.
CREATE TABLE ready (
  agent TEXT NOT NULL,
  lane_id INTEGER NOT NULL,
  band INTEGER NOT NULL,
  place INTEGER NOT NULL,
  task_id INTEGER NOT NULL,
  project_id INTEGER NOT NULL,
  PRIMARY KEY (agent, lane_id, band, place, task_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX ready_by_project ON ready (agent, project_id, band, place, task_id);
CREATE INDEX ready_by_task ON ready (task_id);

-- The best ready row of each lane for each agent: what a claim looks at first.
CREATE TABLE lane_heads (
  agent TEXT NOT NULL,
  lane_id INTEGER NOT NULL,
  busy INTEGER NOT NULL,
  band INTEGER NOT NULL,
  served INTEGER NOT NULL,
  PRIMARY KEY (agent, lane_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_heads_in_order ON lane_heads (agent, busy, band, served, lane_id);
CREATE INDEX lane_heads_by_lane ON lane_heads (lane_id);

CREATE TABLE agents (
  name TEXT PRIMARY KEY,
  model TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  agent TEXT NOT NULL,
  project_id INTEGER REFERENCES projects (id),
  kind TEXT NOT NULL,
  machine TEXT NOT NULL,
  state TEXT NOT NULL,
  task_id INTEGER REFERENCES tasks (id),
  handle TEXT,
  outcome TEXT,
  exit_code INTEGER,
  tasks_done INTEGER NOT NULL DEFAULT 0,
  started_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_live ON sessions (started_at) WHERE state <> 'ended';
CREATE INDEX sessions_by_start ON sessions (started_at);

CREATE TABLE tokens (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  hash TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL,
  session_id TEXT,
  project_id INTEGER REFERENCES projects (id),
  label TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER
) STRICT;
CREATE INDEX tokens_by_session ON tokens (session_id) WHERE session_id IS NOT NULL;

CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  principal TEXT NOT NULL,
  project_id INTEGER,
  task_id INTEGER,
  session_id TEXT,
  kind TEXT NOT NULL,
  v INTEGER NOT NULL,
  data TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_task ON events (task_id, seq) WHERE task_id IS NOT NULL;
CREATE INDEX events_by_project ON events (project_id, seq) WHERE project_id IS NOT NULL;
CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN
  SELECT RAISE(ABORT, 'events are append-only');
END;

CREATE TABLE cursors (
  name TEXT PRIMARY KEY,
  seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a repeatable call did the first time, by its key.
CREATE TABLE calls (
  key TEXT PRIMARY KEY,
  task_id INTEGER NOT NULL,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE checks (
  task_id INTEGER NOT NULL REFERENCES tasks (id),
  fence INTEGER NOT NULL,
  "commit" TEXT NOT NULL,
  command TEXT NOT NULL,
  outcome TEXT NOT NULL,
  exit_code INTEGER,
  tail TEXT NOT NULL,
  duration_ms INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (task_id, fence, "commit")
) STRICT, WITHOUT ROWID;

CREATE TABLE continuations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  project_id INTEGER NOT NULL REFERENCES projects (id),
  task_id INTEGER REFERENCES tasks (id),
  version INTEGER NOT NULL,
  author TEXT NOT NULL,
  agent TEXT NOT NULL,
  body TEXT NOT NULL,
  at INTEGER NOT NULL,
  UNIQUE (project_id, version)
) STRICT;

CREATE TABLE questions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  project_id INTEGER NOT NULL REFERENCES projects (id),
  task_id INTEGER REFERENCES tasks (id),
  session_id TEXT,
  kind TEXT NOT NULL,
  text TEXT NOT NULL,
  options TEXT NOT NULL,
  state TEXT NOT NULL,
  answer TEXT,
  asked_at INTEGER NOT NULL,
  answered_at INTEGER
) STRICT;
CREATE INDEX questions_open ON questions (asked_at) WHERE state = 'open';
CREATE INDEX questions_by_task ON questions (task_id) WHERE task_id IS NOT NULL;

CREATE TABLE messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  task_id INTEGER NOT NULL REFERENCES tasks (id),
  text TEXT NOT NULL,
  principal TEXT NOT NULL,
  at INTEGER NOT NULL,
  delivered_at INTEGER,
  delivered_to TEXT
) STRICT;
CREATE INDEX messages_waiting ON messages (task_id, id) WHERE delivered_at IS NULL;

CREATE TABLE artefacts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  task_id INTEGER REFERENCES tasks (id),
  session_id TEXT,
  kind TEXT NOT NULL,
  path TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  at INTEGER NOT NULL,
  keep_until INTEGER
) STRICT;
CREATE INDEX artefacts_by_task ON artefacts (task_id, id) WHERE task_id IS NOT NULL;

CREATE TABLE sheet_rows (
  tab TEXT NOT NULL,
  row_id INTEGER NOT NULL,
  rev INTEGER NOT NULL,
  cells TEXT NOT NULL,
  confirmed INTEGER NOT NULL,
  PRIMARY KEY (tab, row_id, rev)
) STRICT, WITHOUT ROWID;
CREATE TABLE sheet_revision (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  rev INTEGER NOT NULL
) STRICT;

CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  task_id INTEGER REFERENCES tasks (id),
  request TEXT NOT NULL,
  result TEXT,
  created_at INTEGER NOT NULL,
  finished_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
  name TEXT PRIMARY KEY,
  state TEXT NOT NULL,
  why TEXT NOT NULL DEFAULT '',
  until INTEGER,
  source TEXT NOT NULL DEFAULT '',
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE windows (
  account TEXT NOT NULL,
  kind TEXT NOT NULL,
  utilization REAL,
  resets_at INTEGER,
  source TEXT NOT NULL,
  seen_at INTEGER NOT NULL,
  PRIMARY KEY (account, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE usage (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  task_id INTEGER,
  session_id TEXT,
  project_id INTEGER,
  agent TEXT NOT NULL,
  model TEXT NOT NULL,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cost_micros INTEGER,
  source TEXT NOT NULL
) STRICT;
CREATE INDEX usage_by_time ON usage (at);

CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  dedupe TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  payload TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER,
  created_at INTEGER NOT NULL,
  error TEXT
) STRICT;
CREATE INDEX outbox_due ON outbox (next_at) WHERE state = 'pending';

CREATE TABLE metrics (
  at INTEGER NOT NULL,
  name TEXT NOT NULL,
  project_id INTEGER,
  value REAL NOT NULL,
  unit TEXT NOT NULL
) STRICT;
CREATE INDEX metrics_by_name ON metrics (name, at);
