import { DAY, HOUR, MINUTE, SECOND } from "../hub/base/clock.ts";

/** A span of milliseconds in one short word, such as `40 s`, `5 min`, `3 h`, `2 d`. Never negative. */
export function span(ms: number): string {
  const length = Math.max(0, ms);
  if (length < 90 * SECOND) return `${Math.round(length / SECOND)} s`;
  if (length < 90 * MINUTE) return `${Math.round(length / MINUTE)} min`;
  if (length < 36 * HOUR) return `${Math.round(length / HOUR)} h`;
  return `${Math.round(length / DAY)} d`;
}
