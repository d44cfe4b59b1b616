import { describe, expect, it } from "vitest";
import { linesAt, placeViolations } from "./places";

describe("pointers", () => {
  it("lead through names that are numbers, and through lists", () => {
    const text = '{"404": {"list": [1, {"0": 2}], "0": {}}}';
    const marked = (pointer: string): string => {
      const [issue] = placeViolations(text, [{ pointer, message: "wrong" }]);
      return text.slice(issue?.from, issue?.to);
    };
    expect(marked("/404/list/1/0")).toBe("2");
    expect(marked("/404/list/0")).toBe("1");
    expect(marked("/404/0")).toBe("{");
    // What is not there is marked at what it should be in.
    expect(marked("/404/list/7/x")).toBe("[");
    expect(marked("")).toBe("{");
  });
});

describe("lines", () => {
  it("are counted up to each offset, in whatever order these come", () => {
    const text = "{\n  1\n}\n";
    const offsets = [text.length, 0, 1, 2, 5, 6, 7];
    expect(linesAt(text, offsets)).toEqual(offsets.map((offset) => text.slice(0, offset).split("\n").length));
    expect(linesAt("", [0])).toEqual([1]);
  });
});
