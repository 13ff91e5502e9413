import { DAY, HOUR, MINUTE, SECOND } from "../hub/base/clock.ts";

/** Moments in the person's zone, as words. All arguments are epoch milliseconds. */
export interface Times {
  /** The zone's name, such as `Europe/Zurich`. */
  zone: string;
  /** `14:32` today, `Mon 14:32` within six days, else `15 Jan 2026, 14:32`. */
  short(at: number, now: number): string;
  /** `Mon 23 Nov 2026, 14:32:05 CET`. */
  full(at: number): string;
  /** `15 Jan 2026`. */
  day(at: number): string;
}

/** Times in `zone` (an IANA name; empty for the host's). Throws RangeError for a zone that does not exist. */
export function createTimes(zone: string): Times {
  const format = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", ...options, ...(zone === "" ? {} : { timeZone: zone }) });
  const date = format({ day: "numeric", month: "short", year: "numeric" });
  const clock = format({ hour: "2-digit", minute: "2-digit" });
  const weekday = format({ weekday: "short" });
  const full = format({
    weekday: "short",
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    timeZoneName: "short",
  });
  return {
    zone: date.resolvedOptions().timeZone,
    short(at, now) {
      if (date.format(at) === date.format(now)) return clock.format(at);
      const near = Math.abs(at - now) < 6 * DAY;
      return near ? `${weekday.format(at)} ${clock.format(at)}` : `${date.format(at)}, ${clock.format(at)}`;
    },
    full: (at) => full.format(at),
    day: (at) => date.format(at),
  };
}

/** How long ago (or how far ahead) `at` is: `just now`, `5 min ago`, `in 3 h`, `12 days ago`. */
export function age(at: number, now: number): string {
  const distance = Math.abs(now - at);
  if (distance < 45 * SECOND) return at > now + SECOND ? "in a moment" : "just now";
  const words = lengthWords(distance);
  return at > now ? `in ${words}` : `${words} ago`;
}

function lengthWords(ms: number): string {
  if (ms < 90 * MINUTE) return `${Math.max(1, Math.round(ms / MINUTE))} min`;
  if (ms < 36 * HOUR) return `${Math.round(ms / HOUR)} h`;
  return `${Math.round(ms / DAY)} days`;
}

/** A length of time: `0.4 s`, `12 s`, `3 min 5 s`. */
export function duration(ms: number): string {
  if (ms < 10 * SECOND) return `${(ms / SECOND).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.round(ms / SECOND)} s`;
  const minutes = Math.floor(ms / MINUTE);
  return minutes < 60
    ? `${minutes} min ${Math.floor((ms % MINUTE) / SECOND)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
