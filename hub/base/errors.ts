/**
 * The four kinds of error say who acts. Three are written here; anything else that is
 * thrown is a bug of ours, and is shown to nobody but the log.
 *
 * Every message says what to do next: it may be read by a person or by a model.
 */

/** The caller gave something that cannot be taken, and can mend it. */
export class UserInputError extends Error {
  override name = "UserInputError";
}

/** The person who runs the hub must act: configuration, a missing program, a bad file. */
export class ConfigurationError extends Error {
  override name = "ConfigurationError";
}

/** Something outside failed; wait or try again. */
export class ProviderError extends Error {
  override name = "ProviderError";
  /** When trying again makes sense, in milliseconds from now, if known. */
  readonly retryAfterMs: number | undefined;
  constructor(message: string, options?: ErrorOptions & { retryAfterMs?: number }) {
    super(message, options);
    this.retryAfterMs = options?.retryAfterMs;
  }
}

/**
 * A write came from a session that no longer holds the task. It is its own class because
 * the session must stop working, not mend its call.
 */
export class StaleHolderError extends UserInputError {
  override name = "StaleHolderError";
}

/** The code of a system error, such as EACCES; "unknown" for anything else. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "unknown";
}

/** The message of anything that was thrown. For logs; never for a model. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
