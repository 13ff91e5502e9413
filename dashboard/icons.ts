import { html } from "hono/html";
import type { Markup } from "./markup.ts";

/** Line drawings on a grid of 16, in the colour of the text around them. */
const PATHS = {
  arrow: "M2.5 8h10M8.5 4l4 4-4 4",
  check: "M3 8.5l3.5 3.5L13 4.5",
  clock: "M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2zM8 5v3.2l2.2 1.6",
  cross: "M4 4l8 8M12 4l-8 8",
  dash: "M3.5 8h9",
  dot: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6z",
  eye: "M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8zM8 6.3a1.7 1.7 0 1 0 0 3.4 1.7 1.7 0 0 0 0-3.4z",
  flag: "M4 14V2.5h7.5l-1.5 3 1.5 3H4",
  key: "M5.2 8.2a2.6 2.6 0 1 0 0 5.2 2.6 2.6 0 0 0 0-5.2zM7.2 9L13 3.2M11 5.2l2 2",
  message: "M2.5 3.5h11v7h-6l-3 2.7v-2.7h-2z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  pencil: "M3 13l.6-2.8L10.8 3 13 5.2 5.8 12.4 3 13z",
  play: "M5 3.2l7.5 4.8L5 12.8z",
  power: "M8 2v5.5M4.6 4.3a5 5 0 1 0 6.8 0",
  question: "M5.5 6a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.8-1.1 1.6M8 12.6v.2",
  ring: "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3z",
  sheet: "M2.5 3h11v10h-11zM2.5 6.4h11M2.5 9.7h11M6.3 3v10",
  stop: "M5.4 2h5.2L14 5.4v5.2L10.6 14H5.4L2 10.6V5.4z",
  warning: "M8 2.5l6 11H2zM8 6.5v3M8 11.6v.2",
} as const;

export type IconName = keyof typeof PATHS;

/** A picture that says nothing by itself: the words stand beside it. */
export function icon(name: IconName): Markup {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
    <path d="${PATHS[name]}" />
  </svg>`;
}
