import { afterEach, describe, expect, it, vi } from "vitest";
import { ago, fromLocalInput, momentMs, toLocalInput, utcTime } from "./time";

const NOW = Date.parse("2026-03-05T12:00:00Z");

afterEach(() => void vi.restoreAllMocks());

describe("a moment", () => {
  it.each([
    [10, "just now"],
    [-44, "just now"],
    [-60, "1 minute ago"],
    [300, "in 5 minutes"],
    [-3 * 3600, "3 hours ago"],
    [-86_400, "yesterday"],
    [-6 * 86_400, "6 days ago"],
  ])("%s s from now is %s", (seconds, words) => {
    expect(ago(new Date(NOW + 1000 * seconds).toISOString(), NOW)).toBe(words);
  });

  it("that is farther away is a date", () => {
    expect(ago("2026-02-05T12:00:00Z", NOW)).toContain("2026");
  });

  it("is shown in UTC beside the reader's zone, and typed in that", () => {
    expect(utcTime("2026-03-05T23:59:58.9+01:00")).toBe("2026-03-05 22:59:58 UTC");
    const iso = "2026-03-05T22:59:58.000Z";
    expect(fromLocalInput(toLocalInput(iso))).toBe(iso);
    vi.spyOn(Date.prototype, "getTimezoneOffset").mockReturnValue(-330);
    expect(toLocalInput(iso)).toBe("2026-03-06T04:29:58");
  });

  it("is what RFC 3339 says, and not what else looks like a date", () => {
    expect(momentMs("2026-03-05T13:00:00+01:00")).toBe(NOW);
    expect(["", "2026", "2026-03-05", "March 5", "12", "2026-13-45T00:00:00Z"].map(momentMs)).toEqual(Array(6).fill(null));
  });
});
