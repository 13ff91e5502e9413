const MINUTES_KEPT = 50_000;
const formats = new Map<string, Intl.DateTimeFormat>();
const minutes = new Map<string, string>();

/** The zone's format; the host's zone for an empty or unknown name. */
function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (format === undefined) {
    const parts = {
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    } as const;
    try {
      format = new Intl.DateTimeFormat("en-CA", { ...parts, ...(zone === "" ? {} : { timeZone: zone }) });
    } catch {
      format = new Intl.DateTimeFormat("en-CA", parts);
    }
    formats.set(zone, format);
  }
  return format;
}

/** `2026-11-22 15:20` in `zone` (an IANA name; empty for the host's); empty for null. */
export function formatTime(ms: number | null, zone: string): string {
  if (ms === null) return "";
  const minute = Math.floor(ms / 60_000);
  const key = `${minute} ${zone}`;
  let text = minutes.get(key);
  if (text === undefined) {
    // A sheet shows the same few moments again and again, and formatting is slow.
    if (minutes.size >= MINUTES_KEPT) minutes.clear();
    text = formatMinute(minute * 60_000, zone);
    minutes.set(key, text);
  }
  return text;
}

function formatMinute(ms: number, zone: string): string {
  const parts = Object.fromEntries(
    formatOf(zone)
      .formatToParts(ms)
      .map(({ type, value }) => [type, value]),
  );
  return `${parts["year"]}-${parts["month"]}-${parts["day"]} ${parts["hour"]}:${parts["minute"]}`;
}

/** The last millisecond of the day `iso` (`2026-01-15`) in `zone`, epoch ms. */
export function endOfDay(iso: string, zone: string): number {
  const wall = Date.parse(`${iso}T23:59:59.999Z`);
  const shift = (at: number) =>
    Date.parse(`${formatTime(at, zone).replace(" ", "T")}:00Z`) - Math.floor(at / 60_000) * 60_000;
  // Twice, since the offset at the guess may be that of the other side of a clock change.
  const guess = wall - shift(wall);
  return wall - shift(guess);
}
