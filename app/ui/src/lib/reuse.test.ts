import { describe, expect, it } from "vitest";
import { parseJson, type JsonObject } from "./json";
import { reuse } from "./reuse";

const again = (before: string, after: string) => {
  const old = parseJson<JsonObject>(before);
  const kept = reuse(old, parseJson(after)) as JsonObject;
  return { old, kept };
};

describe("an answer that comes again", () => {
  it.each(['{"a":[1.0,{"b":null}],"10":{"2":1}}', "[]", "1.50", '{"__proto__":{"a":1}}'])("is the old one where nothing changed: %s", (text) => {
    const { old, kept } = again(text, text);
    expect(kept).toBe(old);
  });

  it("keeps what did not change", () => {
    const { old, kept } = again('{"a":{"x":[1]},"b":{"y":1}}', '{"a":{"x":[1]},"b":{"y":2}}');
    expect(kept.a).toBe(old.a);
    expect(JSON.stringify(kept)).toBe('{"a":{"x":[1]},"b":{"y":2}}');
  });

  it.each([
    ['{"n":1.50}', '{"n":2.50}'],
    ['{"n":1.50}', '{"n":1}'],
    ['{"n":1}', '{"n":1.0}'],
    ['{"n":{}}', '{"n":1.0}'],
    ['{"a":1,"b":2}', '{"b":2,"a":1}'],
    ['{"a":{"10":1,"2":{"x":1}}}', '{"a":{"10":2,"2":{"x":1}}}'],
    ['{"a":1,"b":2}', '{"a":1}'],
    ['{"a":1}', '{"a":1,"__proto__":{"b":2}}'],
    ["[1,2]", "[1]"],
    ["{}", "[]"],
    ["[]", "{}"],
  ])("is otherwise the new one as it is written: %s, %s", (before, after) => {
    expect(JSON.stringify(again(before, after).kept)).toBe(after);
  });

  it("keeps what is no JSON as it is", () => {
    const error = new Error("no");
    expect((reuse({ error: new Error("no") }, { error }) as { error: Error }).error).toBe(error);
    expect(reuse(undefined, error)).toBe(error);
  });
});
