import { describe, expect, it } from "vitest";
import type { Config } from "../api/types";
import { editAt } from "../form/FormView";
import { resolve, starter } from "../form/schema";
import { formatJson, formatted, isObject, parseJson, tryParse, type JsonObject } from "./json";
import { merge3 } from "./merge3";
import { search } from "./search";

/** JavaScript would put "2" and "10" first, in this order. */
const text = '{"z":1,"10":{"b":1.50,"7":18446744073709551615,"1":[{"x":0,"0":"\\u00e9"}]},"a":{},"2":[],"__proto__":{"5":1,"c":1,"4":2}}';
const inOneLine = (value: unknown): string => JSON.stringify(value);

describe("names stand where the document has them", () => {
  it("when it is shown or formatted", () => {
    expect(inOneLine(parseJson(text))).toBe(text.replace("\\u00e9", "é"));
    expect(formatJson(parseJson('{"b": 1, "10": {"x": [], "2": 1.0}}'))).toBe('{\n  "b": 1,\n  "10": {\n    "x": [],\n    "2": 1.0\n  }\n}');
  });

  it("however a name is written", () => {
    expect(inOneLine(parseJson('{"b":1,"\\u0031\\u0030":2,"\\u0032":3}'))).toBe('{"b":1,"10":2,"2":3}');
  });

  it.each(['"\\u00e9\\ud83d\\ude00\\n\\/\\"\\\\é😀\\ud800"', "-0.0", "1E+2", "0", "-1", "true", "null", '""', "[]", "{}", "[[],[{}]]"])("and values are what they are elsewhere: %s", (source) => {
    expect(inOneLine(parseJson(` {"b":${source}, "1" :${source}}\n`))).toBe(inOneLine(parseJson(`{"b":${source},"x":${source}}`)).replace('"x"', '"1"'));
  });

  it("and still only as what the document says", () => {
    const value = parseJson<JsonObject>(text);
    expect(isObject(value)).toBe(true);
    expect(value["2"]).toEqual([]);
    expect(value["3"]).toBeUndefined();
    expect(({} as { c?: number }).c).toBeUndefined();
    expect(() => parseJson('{"10":1,"2":}')).toThrow(SyntaxError);
    expect(() => parseJson('{"10":1,"2":2,}')).toThrow(SyntaxError);
    expect(() => parseJson('{"10":1 /* no */}')).toThrow(SyntaxError);
  });

  it("but not of a text that says one twice: Format, the form and a merge would drop what the first says", () => {
    expect(tryParse('{"a":1,"b":{"c":1,"c":2}}')).toBeNull();
    expect(formatted('{"a":1,"a":2}')).toBe('{"a":1,"a":2}');
    expect(tryParse('{"a":{"b":1},"b":[{"b":1},{"b":1}]}')).not.toBeNull();
  });

  it("when one of them is there twice: where the first is, with what the last says", () => {
    expect(inOneLine(parseJson('{"b":0,"1":{"y":0,"3":0},"1":{"x":1,"2":2}}'))).toBe('{"b":0,"1":{"x":1,"2":2}}');
  });

  it("in what the search finds", () => {
    const config = { key: "k", content: parseJson('{"z":1,"10":2,"2":3}') } as Config;
    expect(search([config], '"10":2,"2":3', 5)[0]?.excerpt).toBe('{"z":1,"10":2,"2":3}');
  });

  it("when the form adds to a list", () => {
    expect(inOneLine(parseJson(editAt('{"z":[],"10":1.50}', ["z", 0], 1)))).toBe('{"z":[1],"10":1.50}');
    expect(inOneLine(parseJson(editAt('{"z":[1.0,2],"10":1.50}', ["z", 2], {})))).toBe('{"z":[1.0,2,{}],"10":1.50}');
    expect(inOneLine(parseJson(editAt("[1.0]", [1], null)))).toBe("[1.0,null]");
  });

  it("when the form sets a value that holds them", () => {
    expect(editAt('{"a": 1}', ["a"], parseJson('{"z":1,"10":1.50}'))).toContain('"z": 1,\n    "10": 1.50');
    const schema = parseJson('{"allOf":[{"properties":{"z":{},"1":{}},"required":["z","1"]}],"properties":{"y":{},"0":{}}}');
    expect(Object.keys(resolve(schema, schema).properties as JsonObject)).toEqual(["z", "1", "y", "0"]);
    expect(inOneLine(starter(schema, resolve(schema, schema)))).toBe('{"z":null,"1":null}');
  });
});

describe("a merge leaves names in their place", () => {
  const merged = (base: string, theirs: string, mine: string): string => {
    const { value, conflicts } = merge3(parseJson(base), parseJson(theirs), parseJson(mine));
    expect(conflicts).toEqual([]);
    return inOneLine(value);
  };

  it("whatever they look like", () => {
    expect(merged('{"b":1,"10":1,"2":1}', '{"b":1,"10":2,"2":1}', '{"b":3,"10":1,"2":1}')).toBe('{"b":3,"10":2,"2":1}');
  });

  it("and those that are new where their side put them", () => {
    expect(merged('{"a":1,"c":1}', '{"x":1,"a":1,"b":1,"bb":1,"c":1}', '{"a":1,"c":2,"d":1}')).toBe('{"x":1,"a":1,"b":1,"bb":1,"c":2,"d":1}');
  });

  it("also behind one that the other side removed", () => {
    expect(merged('{"a":1,"b":1,"c":1}', '{"a":1,"b":1,"n":1,"c":1}', '{"a":1,"c":2}')).toBe('{"a":1,"n":1,"c":2}');
  });

  it("and takes the order of the side that changed it", () => {
    expect(merged('{"a":1,"b":1}', '{"b":1,"a":1}', '{"a":1,"b":2}')).toBe('{"b":2,"a":1}');
    expect(merged('{"a":1,"b":1}', '{"a":2,"b":1}', '{"b":1,"a":1}')).toBe('{"b":1,"a":2}');
    expect(merged('{"a":1,"b":1}', '{"a":1,"b":1}', '{"b":1,"a":1}')).toBe('{"b":1,"a":1}');
    expect(merged('{"a":1,"b":1}', '{"b":1,"a":1}', '{"a":1,"b":1}')).toBe('{"b":1,"a":1}');
    expect(merged('{"x":{"a":1,"b":1},"y":{"a":1,"b":1}}', '{"x":{"b":1,"a":1},"y":{"a":1,"b":1}}', '{"x":{"a":1,"b":1},"y":{"b":1,"a":1}}')).toBe('{"x":{"b":1,"a":1},"y":{"b":1,"a":1}}');
    expect(merged('[{"a":1,"b":1}]', '[{"b":1,"a":1}]', '[{"a":1,"b":2}]')).toBe('[{"a":1,"b":2}]');
    expect(merged('[{"a":1,"b":1}]', '[{"a":1,"b":2}]', '[{"b":1,"a":1}]')).toBe('[{"a":1,"b":2}]');
    expect(merged("[]", '[{"a":1,"b":1}]', '[{"b":1,"a":1}]')).toBe('[{"a":1,"b":1}]');
  });

  it("and takes one away whatever its name is", () => {
    expect(merged('{"__proto__":{"a":1},"b":1}', '{"b":1}', '{"__proto__":{"a":1},"b":2}')).toBe('{"b":2}');
  });
});
