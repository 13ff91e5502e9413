import { join } from "node:path";

/** Where everything of one hub lives; see "What stays the same for scripts" in docs/architecture.md. */
export interface Home {
  root: string;
  config: string;
  database: string;
  sheet: string;
  mirrors: string;
  runs: string;
  workspaces: string;
  projects: string;
  secrets: string;
  artefacts: string;
  logs: string;
  backups: string;
  run: string;
  /** `{ pid, url, startedAt }` while the hub is up. */
  hubFile: string;
  portFile: string;
  adminTokenFile: string;
  lockFile: string;
  stopFile: string;
}

/** The paths of the hub whose home is `root`. Makes nothing. */
export function homeAt(root: string): Home {
  const run = join(root, "run");
  return {
    root,
    config: join(root, "config.yaml"),
    database: join(root, "cto.db"),
    sheet: join(root, "sheet"),
    mirrors: join(root, "mirrors"),
    runs: join(root, "runs"),
    workspaces: join(root, "workspaces"),
    projects: join(root, "projects"),
    secrets: join(root, "secrets"),
    artefacts: join(root, "artefacts"),
    logs: join(root, "logs"),
    backups: join(root, "backups"),
    run,
    hubFile: join(run, "hub.json"),
    portFile: join(run, "port"),
    adminTokenFile: join(run, "admin-token"),
    lockFile: join(run, "lock"),
    stopFile: join(root, "STOP"),
  };
}
