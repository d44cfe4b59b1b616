/** Moments as people read them: relative nearby, exact in the reader's zone, UTC on hover. */

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

const steps: [limit_s: number, unit: Intl.RelativeTimeFormatUnit, size_s: number][] = [
  [3600, "minute", 60],
  [86_400, "hour", 3600],
  [7 * 86_400, "day", 86_400],
];

export function ago(iso: string, now_ms: number = Date.now()): string {
  const seconds = (Date.parse(iso) - now_ms) / 1000;
  if (Math.abs(seconds) < 45) return "just now";
  for (const [limit, unit, size] of steps) {
    if (Math.abs(seconds) < limit) return relative.format(Math.round(seconds / size), unit);
  }
  return day.format(new Date(iso));
}

export function exactTime(iso: string): string {
  return exact.format(new Date(iso));
}

/** `2026-11-22 22:19:03 UTC` */
export function utcTime(iso: string): string {
  return `${new Date(iso).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** For <input type="datetime-local" step="1">, in the reader's zone. */
export function toLocalInput(iso: string): string {
  const at = new Date(iso);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

export function fromLocalInput(value: string): string {
  return new Date(value).toISOString();
}

/** The milliseconds of an RFC 3339 time; null for what is none, in which a browser may see a date. */
export function momentMs(text: string): number | null {
  const time_ms = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time_ms) ? null : time_ms;
}
