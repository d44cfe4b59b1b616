import { describe, expect, it } from "vitest";
import { withCodes } from "./hidden";
import { compact, findIssues } from "./ijson";
import { formatJson, formatted, parseJson, pointerOf, pointerPath, sameJson, summarize, tryParse, type Json } from "./json";
import { merge3 } from "./merge3";
import { withMoment } from "./moment";
import { buildTree, compareKeys, flatten, keyProblem } from "./tree";

describe("JSON comes back as it was written", () => {
  it.each(["18446744073709551615", "-9223372036854775808", "1.0", "1e400", "-0", "0.1", "1E5"])("%s", (source) => {
    expect(JSON.stringify(parseJson(`{"n":${source}}`))).toBe(`{"n":${source}}`);
  });

  it("keeps a field named __proto__ and does not let it act", () => {
    const value = parseJson<{ [key: string]: Json }>('{"__proto__":{"admin":true}}');
    expect(formatJson(value)).toContain('"__proto__"');
    expect(value.admin).toBeUndefined();
  });

  it("tells 1 from 1.0 and equals across key order", () => {
    expect(sameJson(parseJson("1.0"), parseJson("1"))).toBe(false);
    expect(sameJson(parseJson('{"a":1,"b":[2]}'), parseJson('{"b":[2],"a":1}'))).toBe(true);
  });

  it.each([
    ['{"a":1}', '{"a":1,"b":2}'],
    ["[1]", "[1,2]"],
    ['{"a":1,"b":2}', '{"a":1,"c":2}'],
    ['{"__proto__":{}}', '{"a":{}}'],
    ["null", "{}"],
    ["[]", "{}"],
  ])("tells %s from %s", (one, other) => {
    expect(sameJson(parseJson(one), parseJson(other))).toBe(false);
    expect(sameJson(parseJson(other), parseJson(one))).toBe(false);
  });

  it.each([2000, 100_000])("is left as it is where it is nested too deep to be shown: %s", (levels) => {
    const text = "[".repeat(levels) + "]".repeat(levels);
    expect(formatted(text) === text).toBe(true);
    expect(tryParse(text)).toBeNull();
  });

  it("is told in one line", () => {
    expect(["[]", "[1]", "{}", '{"a":[1,2]}', "1.0", '"a\u202eb"', "null"].map((text) => summarize(parseJson(text)))).toEqual(["0 items", "1 item", "0 fields", "1 field", "1.0", '"a\\u202eb"', "null"]);
  });

  it("leaves out only white space when it is sent", () => {
    expect(compact('{ "a" : [ 1.0 ,\n "x y" ] }')).toBe('{"a":[1.0,"x y"]}');
  });
});

describe("what the service would refuse is found while typing", () => {
  it.each([
    ['{"a":1,"a":2}', "twice"],
    ["9223372036854775808", "64 bits"],
    ["-9223372036854775809", "64 bits"],
    ['"\\ufdd0"', "U+FDD0"],
    ['{"\u{1FFFF}":1}', "U+1FFFF"],
    ['"\\ud800"', "surrogate"],
    ['{"a":1,}', "expected"],
    ["// no", "omments"],
    ["", "empty"],
    ["1e999", "too large"],
    ['"\\u0000"', "u0000"],
  ])("%s", (text, words) => {
    expect(findIssues(text).map((issue) => issue.message).join("\n")).toContain(words);
  });

  it("counts 256 KiB without the white space", () => {
    const list = (count: number) => `[${Array(count).fill("1").join(",        ")}]`;
    expect(findIssues(list(100_000))).toEqual([]);
    expect(findIssues(list(140_000))[0]?.message).toContain("KiB");
  });

  it("counts up to what the service takes", () => {
    expect(findIssues(JSON.stringify("x".repeat(8)), 10)).toEqual([]);
    expect(findIssues(JSON.stringify("é".repeat(5)), 10)[0]?.message).toBe("12 bytes; the service takes 10 bytes at most");
    expect(findIssues(JSON.stringify("x".repeat(1998)), 1999)[0]?.message).toBe("2,000 bytes; the service takes 1,999 bytes at most");
    expect(findIssues(JSON.stringify("x".repeat(3000)), 2048)[0]?.message).toBe("3 KiB; the service takes 2 KiB at most");
  });

  it("stops at what is nested deeper than the service takes", () => {
    const deep = (levels: number) => `${"[".repeat(levels)}"[{"${"]".repeat(levels)}`;
    expect(findIssues(deep(99))).toEqual([]);
    for (const levels of [100, 100_000]) {
      expect(findIssues(deep(levels))).toEqual([{ from: 99, to: 100, message: "Nested deeper than the 99 levels that the service takes" }]);
    }
    expect(findIssues(`[${Array(200).fill("{}").join()}]`)).toEqual([]);
  });

  it("says nothing about a good document", () => {
    expect(findIssues('{"a":{"b":1},"b":{"b":2}}')).toEqual([]);
    expect(findIssues('[9223372036854775807, -9223372036854775808, "\u{10FFFD}"]')).toEqual([]);
  });
});

describe("three-way merge", () => {
  const base = { limit: 1, nested: { a: 1, b: 1 }, gone: true };

  it("takes what only one side changed", () => {
    const merged = merge3(base, { ...base, limit: 2 }, { ...base, nested: { a: 1, b: 9 } });
    expect(merged).toEqual({ value: { limit: 2, nested: { a: 1, b: 9 }, gone: true }, conflicts: [], fromTheirs: ["/limit"], fromMine: ["/nested"] });
  });

  it("goes field by field in what both sides added", () => {
    const merged = merge3(base, { ...base, more: { a: 1, c: 1 } }, { ...base, more: { b: 2, c: 1 } });
    expect(merged.value).toEqual({ ...base, more: { b: 2, c: 1, a: 1 } });
    expect(merged.conflicts).toEqual([]);
  });

  it("keeps all three values of a conflict and takes the chosen side", () => {
    const theirs = { ...base, limit: 2 };
    const mine = { ...base, limit: 3 };
    const merged = merge3(base, theirs, mine, () => "theirs");
    expect(merged.conflicts).toEqual([{ pointer: "/limit", base: 1, theirs: 2, mine: 3 }]);
    expect(merged.value).toEqual(theirs);
  });

  it("sees removal on one side against change on the other", () => {
    const { gone: _, ...without } = base;
    expect(merge3(base, without, { ...base, gone: false }).conflicts).toHaveLength(1);
    expect(merge3(base, without, base).value).toEqual(without);
  });
});

describe("the tree of keys", () => {
  it("puts a parent right before what is below it", () => {
    const keys = ["a-b", "a.b", "a", "a.b.c"].sort(compareKeys);
    expect(keys).toEqual(["a", "a.b", "a.b.c", "a-b"]);
    const rows = flatten(buildTree(keys), () => true);
    expect(rows.map((row) => [row.path, row.level, row.isConfig, row.below, row.positionInSet, row.setSize])).toEqual([
      ["a", 1, true, 2, 1, 2],
      ["a.b", 2, true, 1, 1, 1],
      ["a.b.c", 3, true, 0, 1, 1],
      ["a-b", 1, true, 0, 2, 2],
    ]);
  });

  it("holds 5,000 keys in less than a frame or two", () => {
    const keys = Array.from({ length: 5000 }, (_, n) => `team${n % 40}.service${n % 200}.key${n}`).sort(compareKeys);
    // Of the processor's time: others may load the machine.
    const before = process.cpuUsage();
    expect(flatten(buildTree(keys), () => true).length).toBeGreaterThan(5000);
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(100);
  });

  it("says what is wrong with a key", () => {
    expect(keyProblem("payments.limits.eu")).toBeNull();
    expect(keyProblem("x".repeat(200))).toBeNull();
    for (const bad of ["", "a..b", ".a", "a.", "a b", "ä", "x".repeat(201)]) expect(keyProblem(bad)).not.toBeNull();
  });
});

describe("pointers", () => {
  it("unescapes in the order of RFC 6901", () => {
    const path = ["a/b", "~1", "0"];
    for (const pointer of ["/a~1b/~01/0", "#/a~1b/~01/0"]) expect(pointerPath(pointer)).toEqual(path);
    expect(pointerOf(path)).toBe("/a~1b/~01/0");
    expect(["", "#", "/"].map(pointerPath)).toEqual([[], [], [""]]);
  });
});

describe("what is not seen", () => {
  it.each(["\u0000", "\r", "\u00a0", "\u00ad", "\u061c", "\u200b", "\u200e", "\u200f", "\u2028", "\u202a", "\u202e", "\u2060", "\u2066", "\u2069", "\ufeff", "\u{e0041}"])("is shown by its codes: %j", (character) => {
    const text = `"a${character}b"`;
    expect(withCodes(text)).toMatch(/^"a(\\u[0-9a-f]{4})+b"$/);
    expect(JSON.parse(withCodes(text))).toBe(`a${character}b`);
  });

  it("is not what languages are written with", () => {
    const text = "\t\n é नमस्ते می\u200cخواهم 👩\u200d🚀 שלום";
    expect(withCodes(text)).toBe(text);
  });
});

describe("a moment in an address", () => {
  it("is kept on the way to another view", () => {
    expect(withMoment("/p/1/configs", null)).toBe("/p/1/configs");
    expect(withMoment("/p/1/configs", "700")).toBe("/p/1/configs?at=700");
    expect(withMoment("/p/1/configs/a?diff=1..2", "2026-01-02T03:04:05+01:00")).toBe("/p/1/configs/a?diff=1..2&at=2026-01-02T03%3A04%3A05%2B01%3A00");
  });
});
