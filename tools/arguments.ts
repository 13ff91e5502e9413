import { z } from "zod";

/** The task that a call is about. */
export const taskArgument = z.string().min(2).max(20).describe('The task\'s name, such as "T12"');

/** The fence that guards a write. */
export const fenceArgument = z.int().min(0).describe("The fence that claim_next_task gave you with the task");

/** One line or a few, not empty. */
export function textArgument(maxChars: number, what: string) {
  return z.string().trim().min(1).max(maxChars).describe(what);
}
