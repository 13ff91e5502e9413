import { DAY, HOUR } from "../base/clock.ts";

/** Days a task waits before it rises one band, so that nothing starves. */
const AGE_STEP_MS = 7 * DAY;
/** Slack under these multiples of the open work raises a project's tasks by one band each. */
const SLACK_STEPS = [1.5, 0.5] as const;

export interface Boost {
  /** Bands to rise. */
  bands: number;
  /** Why, e.g. "9 h work, 14 h left"; empty when nothing rises. */
  why: string;
  /** When the number of bands changes next if the work stays the same, epoch ms. */
  dueAt: number | null;
}

/**
 * How far a project's deadline raises its tasks.
 *
 * Slack is the time to the deadline less the estimated open work. Under 1.5x the work it
 * raises one band, under 0.5x another.
 */
export function deadlineBoost(deadline: number | null, openHours: number, now: number): Boost {
  if (deadline === null || openHours <= 0) return { bands: 0, why: "", dueAt: null };
  const work = openHours * HOUR;
  const times = SLACK_STEPS.map((step) => deadline - work * (1 + step));
  const bands = times.filter((time) => now > time).length;
  const next = times.find((time) => time >= now);
  return {
    bands,
    why: bands === 0 ? "" : `${formatHours(openHours)} work, ${timeLeft(deadline - now)}`,
    // The comparison is strict, so the change happens one millisecond after the moment itself.
    dueAt: next === undefined ? null : next + 1,
  };
}

export interface Rank {
  /** 0 is first. */
  band: number;
  /** "P2 → P1: 9 h work, 14 h left"; empty when the band is the priority. */
  why: string;
  /** When age changes the band next, epoch ms; null when it cannot rise further. */
  dueAt: number | null;
}

/** The effective band of a task: its priority, raised by its project's deadline and by its own age. */
export function rank(priority: number, boost: Pick<Boost, "bands" | "why">, waitingSince: number, now: number): Rank {
  const ageSteps = Math.max(0, Math.floor((now - waitingSince) / AGE_STEP_MS));
  // Age raises to P1, not above: only a deadline goes before the person's own first priority.
  const aged = Math.max(Math.min(priority, 1), priority - ageSteps);
  const band = Math.max(0, aged - boost.bands);
  if (band === priority) return { band, why: "", dueAt: nextAge(priority, waitingSince, ageSteps, aged) };
  const reasons = [boost.bands > 0 ? boost.why : "", aged < priority ? `waited ${ageSteps * 7} days` : ""].filter(
    (text) => text !== "",
  );
  return {
    band,
    why: `P${priority} → P${band}: ${reasons.join(", ")}`,
    dueAt: nextAge(priority, waitingSince, ageSteps, aged),
  };
}

function nextAge(priority: number, waitingSince: number, ageSteps: number, aged: number): number | null {
  return aged <= 1 || priority <= 1 ? null : waitingSince + (ageSteps + 1) * AGE_STEP_MS;
}

function formatHours(hours: number): string {
  return hours >= 48 ? `${Math.round(hours / 24)} d` : `${Math.round(hours)} h`;
}

function timeLeft(ms: number): string {
  return ms <= 0 ? `${formatHours(-ms / HOUR)} late` : `${formatHours(ms / HOUR)} left`;
}
