import type { z } from "zod";
import type { Clock } from "../hub/base/clock.ts";
import type { Principal, Role } from "../hub/base/session.ts";
import type { Store } from "../hub/stores/store.ts";

/** Everything a tool may touch. */
export interface ToolContext {
  principal: Principal;
  store: Store;
  clock: Clock;
  /** Aborts when the caller has gone or the hub drains. */
  signal: AbortSignal;
  /** Resolves at the next change that could answer a waiting caller, or after `ms`. */
  waitForChange(ms: number, signal: AbortSignal): Promise<void>;
  /** Sets or removes the STOP file. */
  stop(why: string): Promise<void>;
  release(): Promise<boolean>;
  /** Whether STOP is set, and by whom. */
  stopped(): { at: string; by: string; why: string } | undefined;
}

/** What a tool answers: the same facts as data and as text. */
export interface ToolAnswer<Output> {
  data: Output;
  text: string;
}

/** One MCP tool. Its file is named after it. Handlers do not catch: one boundary turns errors into words. */
export interface Tool<Input extends z.ZodType = z.ZodType, Output extends z.ZodType = z.ZodType> {
  name: string;
  title: string;
  /** A constant of at most 1,024 characters: nothing that a person or an agent wrote ever enters it. */
  description: string;
  roles: readonly Role[];
  annotations: { readOnlyHint: boolean; destructiveHint: boolean; idempotentHint: boolean; openWorldHint: boolean };
  /** Strict: an argument that is not known is refused by name. */
  input: Input;
  output: Output;
  handle(params: z.output<Input>, ctx: ToolContext): Promise<ToolAnswer<z.input<Output>>>;
}

/** Keeps the types of a tool's input and output; does nothing at run time. */
export function defineTool<Input extends z.ZodType, Output extends z.ZodType>(
  tool: Tool<Input, Output>,
): Tool<Input, Output> {
  return tool;
}

/** A tool whose types are not known: what a list of tools holds. Input is parsed before `handle` is called. */
export type AnyTool = Omit<Tool, "handle"> & {
  // A method, so that tools with narrower parameters fit; whoever calls it passes what `input` has parsed.
  handle(params: never, ctx: ToolContext): Promise<ToolAnswer<unknown>>;
};
