import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { browserHas } from "../lib/forTests";

browserHas({ window: new EventTarget(), document: Object.assign(new EventTarget(), { hidden: false }) });
const { live, watchProject } = await import("./watch");

const noop = () => undefined;
const stream = () => {
  let control: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({ start: (given) => void (control = given) });
  return { response: new Response(body), end: () => control?.close() };
};

/** Answers each request as it is told, and follows a project for as long as the test lasts. */
function following(answer: (signal: AbortSignal) => Promise<Response>) {
  const asked: number[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation((_path, options) => {
    asked.push(performance.now());
    return answer(options?.signal as AbortSignal);
  });
  return { asked, stop: watchProject("p", 1, noop, noop) };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("the watch", () => {
  it("is not asked for without a pause by who is cut off each time it is opened", async () => {
    const { asked, stop } = following(() => {
      const opened = stream();
      opened.end();
      return Promise.resolve(opened.response);
    });
    await vi.advanceTimersByTimeAsync(120_000);
    expect(asked.length).toBeLessThanOrEqual(22);
    expect(live.get()).toBe("interrupted");
    stop();
  });

  it("is not live from the moment that it ends, and is soon opened again", async () => {
    const streams: ReturnType<typeof stream>[] = [];
    const { stop } = following(() => {
      const opened = stream();
      streams.push(opened);
      return Promise.resolve(opened.response);
    });
    await vi.advanceTimersByTimeAsync(12_000);
    expect(live.get()).toBe("live");
    streams[0]?.end();
    await vi.advanceTimersByTimeAsync(0);
    expect(live.get()).toBe("connecting");
    await vi.advanceTimersByTimeAsync(1000);
    expect([streams.length, live.get()]).toEqual([2, "live"]);
    stop();
  });

  it("is missed, and asked for again, where nobody answers", async () => {
    const { asked, stop } = following(
      (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error))),
    );
    await vi.advanceTimersByTimeAsync(5000);
    expect([asked.length, live.get()]).toEqual([1, "interrupted"]);
    await vi.advanceTimersByTimeAsync(5500);
    expect(asked.length).toBe(2);
    stop();
  });

  it("is asked for again when the service says", async () => {
    const full = () => new Response("{}", { status: 503, headers: { "Retry-After": "30" } });
    const { asked, stop } = following(() => Promise.resolve(full()));
    await vi.advanceTimersByTimeAsync(29_000);
    expect(asked.length).toBe(1);
    await vi.advanceTimersByTimeAsync(2000);
    expect(asked.length).toBe(2);
    stop();
  });
});
