import { createHash } from "node:crypto";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { taskName } from "../hub/base/ids.ts";
import type { Artefact } from "../hub/stores/store.ts";
import type { Parts } from "./parts.ts";

/** What an artefact is about, and its file's name inside its task's folder. */
export interface ArtefactName {
  taskId: number;
  sessionId: string | null;
  kind: Artefact["kind"];
  name: string;
}

/**
 * Keeps `data` as a file under the home's artefacts and notes it. Keeping the same name again
 * replaces the file and notes it only when it differs.
 */
export async function keepArtefact(
  parts: Pick<Parts, "home" | "store" | "clock">,
  { taskId, sessionId, kind, name }: ArtefactName,
  data: string | Uint8Array,
): Promise<string> {
  const folder = join(parts.home.artefacts, taskName(taskId));
  const path = join(folder, name);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(`${path}.part`, data, { mode: 0o600 });
  await rename(`${path}.part`, path);
  const bytes = typeof data === "string" ? Buffer.byteLength(data) : data.byteLength;
  const artefact = { taskId, sessionId, kind, path, sha256: createHash("sha256").update(data).digest("hex"), bytes };
  const known = (await parts.store.artefacts(taskId)).some(
    (old) => old.path === path && old.sha256 === artefact.sha256,
  );
  if (!known) await parts.store.addArtefact({ ...artefact, at: parts.clock.now() });
  return path;
}
