import { describe, expect, it } from "vitest";
import { check, type Answer, type Ask } from "./check";
import { Checks } from "./checks";

type Found = Answer<Ask>;
const ask = (text: string) => ({ what: "document" as const, text, limit: 1000 });

/** A worker that answers when it is told to. */
function slow() {
  const begun: { text: string; end: (found: Found) => void; fail: (error: Error) => void }[] = [];
  const checks = new Checks(({ text }) => new Promise((end, fail) => begun.push({ text, end, fail })));
  return { begun, checks };
}

describe("checks of what is typed", () => {
  it("reads of the texts that come while it reads only the newest", async () => {
    const { begun, checks } = slow();
    const typed = ["a", "ab", "abc", "abcd", "abcde"].map((text) => ({ text, abort: new AbortController() }));
    const answers = typed.map(({ text, abort }, index) => {
      typed[index - 1]?.abort.abort();
      return checks.find(ask(text), abort.signal);
    });
    begun[0]?.end({ issues: [], document: "a" });
    await answers[0];
    await Promise.resolve();
    await Promise.resolve();
    begun[1]?.end({ issues: [], document: "abcde" });
    expect(await answers[4]).toEqual({ issues: [], document: "abcde" });
    expect(begun.map((each) => each.text)).toEqual(["a", "abcde"]);
  });

  it("goes on after a check that failed", async () => {
    const { begun, checks } = slow();
    const { signal } = new AbortController();
    const first = checks.find(ask("a"), signal);
    const second = checks.find(ask("b"), signal);
    begun[0]?.fail(new Error("it ended"));
    await expect(first).rejects.toThrow("it ended");
    await Promise.resolve();
    begun[1]?.end({ issues: [], document: "b" });
    expect(await second).toEqual({ issues: [], document: "b" });
  });

  it("keeps both of two that are wanted: a merge and the editor under it", async () => {
    const checks = new Checks(check);
    const { signal } = new AbortController();
    const [one, other] = await Promise.all([checks.find(ask('{ "a": 1 }'), signal), checks.find(ask("{"), signal)]);
    expect(one).toEqual({ issues: [], document: '{"a":1}' });
    expect(other?.issues).toHaveLength(1);
  });
});
