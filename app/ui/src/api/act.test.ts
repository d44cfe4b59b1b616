import { describe, expect, it } from "vitest";
import { Act } from "./act";
import { Problem } from "./problem";

const refused = (status: number) => Promise.reject(new Problem(status, "no", "", null, {}));

describe("the key of an act", () => {
  it("is kept by what is sent again unchanged after no answer, and by nothing else", async () => {
    const act = new Act();
    const key = act.keyOf("a");
    for (const status of [0, 429, 503]) {
      await expect(act.ended(refused(status))).rejects.toThrow("no");
      expect(act.keyOf("a")).toBe(key);
    }
    expect(act.keyOf("b")).not.toBe(key);
    expect(act.keyOf("a")).not.toBe(key);
  });

  it("ends with an answer, also with a refusal", async () => {
    const act = new Act();
    const first = act.keyOf("a");
    await act.ended(Promise.resolve());
    const second = act.keyOf("a");
    await expect(act.ended(refused(409))).rejects.toThrow("no");
    expect(new Set([first, second, act.keyOf("a")]).size).toBe(3);
  });
});
