import { html } from "hono/html";

/**
 * What a template makes. Values in a template are escaped; only what another template made
 * is not. Everything that is put into one is a string, a number or markup: never an object
 * that was read from somewhere, since a template asks objects how they want to be written.
 */
export type Markup = ReturnType<typeof html>;

/** Nothing at all. */
export const EMPTY: Markup = html``;

/** `markup` when `condition` holds, else nothing. */
export function when(condition: boolean, markup: () => Markup): Markup {
  return condition ? markup() : EMPTY;
}
