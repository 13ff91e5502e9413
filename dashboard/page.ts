import type { Clock } from "../hub/base/clock.ts";
import type { Stop } from "../hub/base/stop-file.ts";
import type { Store } from "../hub/stores/store.ts";
import type { Markup } from "./markup.ts";
import type { Times } from "./times.ts";

/** What of the running hub is not in the store. */
export interface LiveHub {
  /** How the sheet and the hub stand to each other now, in one sentence; `ok` false when a person should look. */
  sheet(): { ok: boolean; words: string };
  /** The STOP that is set. */
  stopped(): Stop | undefined;
  /** Sets STOP. Resolves when it is on disk. */
  stop(why: string): Promise<void>;
  /** Releases it; false when none was set. */
  release(): Promise<boolean>;
  /**
   * A session's output as text: at most `max` bytes from byte `offset`. `next` is where to read
   * on (equal to `offset` when there is nothing new), `total` the bytes there are. Bytes that
   * are not whole characters are replaced. An unknown session has no output.
   */
  transcript(sessionId: string, offset: number, max: number): Promise<{ text: string; next: number; total: number }>;
}

/** Everything that a page is made from. Reads go through the store's port only. */
export interface View {
  store: Store;
  hub: LiveHub;
  times: Times;
  /** The moment for which the page is made. */
  now: number;
}

export interface Page {
  /** For the window's title. */
  title: string;
  heading: Markup | string;
  /** Which entry of the navigation it belongs to. */
  section: "overview" | "tasks" | "activity" | null;
  /** Forms and whatever else must not be replaced under a person's fingers. */
  fixed?: Markup;
  /** What is fetched again when something happened. */
  live: Markup;
  /** What stands below and keeps itself up to date, such as a transcript. */
  below?: Markup;
  /** False for a page that shows the past: it stays as it is. */
  follows: boolean;
}

export type Clockwork = Pick<Clock, "now" | "monotonic" | "sleep">;
