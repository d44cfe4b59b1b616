import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DOUBT_MS, GIVE_UP_MS, LIVE_MS, Pulse, readiness, type Readiness } from "./pulse";

const well = { ready: true, reasons: [], reached: true };
const away = { ready: false, reasons: [], reached: false };

/** A service that answers, is frozen (no answer until it is given up), or is gone. */
function service() {
  const asked: number[] = [];
  const there: { state: "well" | "frozen" | "gone" } = { state: "well" };
  const pulse = new Pulse((signal) => {
    asked.push(performance.now());
    if (there.state === "well") return Promise.resolve(well);
    if (there.state === "gone") return Promise.resolve(away);
    return new Promise<Readiness>((resolve) => signal.addEventListener("abort", () => resolve(away)));
  });
  return { asked, there, pulse };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("whether the service is there", () => {
  it("is doubted some ten seconds after it was frozen, and believed with the next sign", async () => {
    const { there, pulse } = service();
    pulse.start();
    pulse.follow(true);
    await vi.advanceTimersByTimeAsync(0);
    there.state = "frozen";
    await vi.advanceTimersByTimeAsync(0.9 * LIVE_MS);
    expect(pulse.silent.get()).toBe(false);
    await vi.advanceTimersByTimeAsync(0.2 * LIVE_MS + DOUBT_MS);
    expect(pulse.silent.get()).toBe(true);
    expect(pulse.readiness.get()?.reached).toBe(true);
    pulse.heard();
    expect(pulse.silent.get()).toBe(false);
    // What was heard counts more than the question that is lost meanwhile; the next one counts.
    await vi.advanceTimersByTimeAsync(GIVE_UP_MS);
    expect([pulse.silent.get(), pulse.readiness.get()?.reached]).toEqual([false, true]);
    await vi.advanceTimersByTimeAsync(1.1 * LIVE_MS + GIVE_UP_MS);
    expect([pulse.silent.get(), pulse.readiness.get()?.reached]).toEqual([true, false]);
  });

  it("is asked every nine seconds or so, and not while nobody looks", async () => {
    const { asked, pulse } = service();
    pulse.start();
    pulse.follow(true);
    for (let at_ms = 0; at_ms < 90_000; at_ms += 500) {
      await vi.advanceTimersByTimeAsync(500);
      pulse.heard();
    }
    expect(asked.length).toBeGreaterThanOrEqual(90 / 9.9);
    expect(asked.length).toBeLessThanOrEqual(90 / 8.1 + 1);
    pulse.pause();
    asked.length = 0;
    await vi.advanceTimersByTimeAsync(90_000);
    expect(asked).toEqual([]);
  });

  it.each([
    [503, '{"ready":false,"checks":{"log":{"ok":false,"reason":"no leader"},"database":{"ok":true}}}', false, ["log: no leader"]],
    [502, "Bad gateway", false, []],
    [403, "Forbidden", true, []],
  ])("is what the service says, not what a proxy hides: %d", async (status, text, ready, reasons) => {
    const fetched = vi.spyOn(globalThis, "fetch").mockResolvedValue(new Response(text, { status }));
    expect(await readiness(new AbortController().signal)).toEqual({ ready, reasons, reached: true });
    fetched.mockRestore();
  });

  it("is asked less and less while it is gone, and tells once that it is back", async () => {
    const { asked, there, pulse } = service();
    let told = 0;
    pulse.back(() => (told += 1));
    there.state = "gone";
    pulse.start();
    await vi.advanceTimersByTimeAsync(600_000);
    expect(asked.length).toBeLessThanOrEqual(600_000 / (0.9 * 10_000) + 3);
    expect(told).toBe(0);
    there.state = "well";
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told).toBe(1);
  });
});
