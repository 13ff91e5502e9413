/** Something that runs until it is told to stop. */
export interface Service {
  readonly id: string;
  /** Called once by whoever composes services; resolves when the service has ended. */
  run(): Promise<void>;
  /** Asks for the end and resolves when it is reached. Safe to call twice. */
  stop(): Promise<void>;
}

/** Milliseconds to wait after the `n`th failure in a row (n from 1): 1, 2, 4… minutes, at most `capMs`. */
export function backoffMs(n: number, firstMs: number, capMs: number): number {
  if (n < 1) return 0;
  return Math.min(capMs, firstMs * 2 ** Math.min(n - 1, 30));
}
