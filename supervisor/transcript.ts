import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Session } from "../hub/base/session.ts";
import type { Parts } from "./parts.ts";

const CHUNK_BYTES = 256 * 1024;
const RECENT_EVENTS = 300;

/** Where a session's output lies on the host, which is where the page reads it. */
export function transcriptPath(parts: Pick<Parts, "home">, sessionId: string): string {
  return join(parts.home.runs, sessionId, "stdout");
}

/** Notes a session's output as an artefact of its last task. The file stays in its run folder; nothing is copied. */
export async function keepTranscript(parts: Parts, session: Session): Promise<void> {
  const machine = parts.machines.get(session.machine);
  const taskId = await lastTask(parts, session);
  if (machine === undefined || taskId === null) return;
  const hash = createHash("sha256");
  let bytes = 0;
  for (;;) {
    const chunk = await machine.read(session.id, "stdout", bytes, CHUNK_BYTES);
    if (chunk.byteLength === 0) break;
    hash.update(chunk);
    bytes += chunk.byteLength;
  }
  if (bytes === 0) return;
  const path = transcriptPath(parts, session.id);
  const known = (await parts.store.artefacts(taskId)).some((artefact) => artefact.path === path);
  if (known) return;
  await parts.store.addArtefact({
    taskId,
    sessionId: session.id,
    kind: "transcript",
    path,
    sha256: hash.digest("hex"),
    bytes,
    at: parts.clock.now(),
  });
}

/** The task that it was handed last; a session that has finished one holds none any more. */
async function lastTask(parts: Parts, session: Session): Promise<number | null> {
  if (session.taskId !== null || session.projectId === null) return session.taskId;
  const events = await parts.store.recentEvents({ projectId: session.projectId, limit: RECENT_EVENTS });
  return events.find((event) => event.kind === "task_claimed" && event.sessionId === session.id)?.taskId ?? null;
}
