import { afterEach, describe, expect, it, vi } from "vitest";
import { browserHas } from "../lib/forTests";
import { Problem } from "./problem";

browserHas({ window: new EventTarget() });
const { forgetPositions, query, request, url } = await import("./client");

/** What is sent; each is answered at the position that is given, or not at all. */
function answering(...positions: (number | null)[]) {
  const asked: Headers[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation((_path, options) => {
    asked.push(new Headers(options?.headers));
    const at = positions[asked.length - 1] ?? null;
    return at === null ? Promise.reject(new TypeError("no")) : Promise.resolve(new Response("{}", { headers: { "Guardian-Position": String(at) } }));
  });
  return { leastOf: () => asked.map((each) => each.get("Guardian-Min-Position")) };
}

afterEach(() => {
  vi.restoreAllMocks();
  forgetPositions();
});

describe("what is read after a write of this page", () => {
  it("is of the newest of them at least, whichever process answers", async () => {
    const { leastOf } = answering(3, 7, 5, 9, 9);
    for (const method of ["GET", "PUT", "POST", "GET", "GET"]) await request(method, "/v1/x");
    expect(leastOf()).toEqual([null, null, null, "7", "7"]);
  });

  it("is of any moment for who signs in next", async () => {
    const { leastOf } = answering(7, 7);
    await request("PUT", "/v1/x");
    forgetPositions();
    await request("GET", "/v1/x");
    expect(leastOf()).toEqual([null, null]);
  });
});

describe("where no answer comes", () => {
  it.each([
    ["GET", "/v1/x", {}, "Nothing was changed"],
    ["PUT", "/v1/x?dry_run=true", {}, "Nothing was changed"],
    ["PUT", "/v1/x", { "Idempotency-Key": "a" }, "to send it again from here is safe"],
    ["POST", "/v1/x", {}, "look, before you send it again"],
  ])("%s %s %o: it is said whether something was done", async (method, path, headers, words) => {
    answering();
    const reason: unknown = await request(method, path, { headers }).catch((error: unknown) => error);
    expect(reason).toBeInstanceOf(Problem);
    expect((reason as Problem).detail.toLowerCase()).toContain(words.toLowerCase());
  });
});

describe("an address", () => {
  it("holds each part as one, whatever is in it", () => {
    expect(url`/v1/projects/${"a/../b?c#d"}/configs/${7}`).toBe("/v1/projects/a%2F..%2Fb%3Fc%23d/configs/7");
  });

  it("says nothing of what is not asked for", () => {
    expect(query({ comment: "", at: null, cursor: undefined, limit: 0, force: false, key: "a&b c" })).toBe("?limit=0&force=false&key=a%26b+c");
    expect(query({ comment: "" })).toBe("");
  });
});
