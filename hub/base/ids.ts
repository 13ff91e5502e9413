import { createHash, randomBytes } from "node:crypto";

/** Makes random ids; tests hand in their own. */
export type IdSource = (bytes: number) => string;

/** `bytes` random bytes in base64url. */
export const randomId: IdSource = (bytes) => randomBytes(bytes).toString("base64url");

/** A session id such as `s-3f9c0a51d2e8`: lower-case hex, safe in paths, names and markers. */
export function newSessionId(): string {
  return `s-${randomBytes(6).toString("hex")}`;
}

/** `T12` for 12. */
export function taskName(id: number): string {
  return `T${id}`;
}

/** 12 for `T12`, `t12` or `T012`; undefined for anything else. */
export function parseTaskName(text: string): number | undefined {
  const match = /^t0*([1-9]\d{0,14})$/i.exec(text.trim());
  return match ? Number(match[1]) : undefined;
}

/** `Q3` for 3. */
export function questionName(id: number): string {
  return `Q${id}`;
}

/** 3 for `Q3`, `q3` or `3`; undefined for anything else. */
export function parseQuestionName(text: string): number | undefined {
  const match = /^q?0*([1-9]\d{0,14})$/i.exec(text.trim());
  return match ? Number(match[1]) : undefined;
}

/** The branch a task is worked on. */
export function taskBranch(id: number): string {
  return `cto/T${id}`;
}

export const SLUG_PATTERN = /^[a-z0-9][a-z0-9-]{0,38}$/;

/**
 * A slug for a project's name: what file names, branches and machine names are built from,
 * so that nothing a person types ever reaches them. Names that leave nothing behind
 * (all non-Latin, say) become `project`. Uniqueness is the store's business.
 */
export function slugOf(name: string): string {
  const slug = name
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+/, "")
    .slice(0, 30)
    .replace(/-+$/, "");
  return slug === "" ? "project" : slug;
}

/** SHA-256 of text or bytes, in hex. */
export function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
