import { setTimeout as sleep } from "node:timers/promises";

/**
 * Waits until `look` answers something other than false or undefined, and answers that.
 * Throws with `what` after `ms` milliseconds.
 */
export async function until<T>(
  what: string,
  look: () => T | false | undefined | Promise<T | false | undefined>,
  ms = 10_000,
): Promise<T> {
  const deadline = performance.now() + ms;
  for (;;) {
    const found = await look();
    if (found !== false && found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms in vain until ${what}`);
    await sleep(10);
  }
}
