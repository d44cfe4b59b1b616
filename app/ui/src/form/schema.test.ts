import { describe, expect, it } from "vitest";
import { parseJson, type JsonObject } from "../lib/json";
import { kindOfValue, resolve, starter } from "./schema";

describe("a reference", () => {
  it.each(["100%", "a b", "a/b", "%ff"])("leads to a name as it is: %s", (name) => {
    const root = { $defs: { [name]: { type: "string" } } };
    const step = name.replace("/", "~1");
    for (const written of [step, encodeURIComponent(step)]) {
      expect(resolve(root, { $ref: `#/$defs/${written}` }).type).toBe("string");
    }
  });

  it("gives way to what stands beside it", () => {
    const root = { $defs: { limit: { type: "integer", title: "Limit", minimum: 1 } } };
    expect(resolve(root, { $ref: "#/$defs/limit", title: "Per day" })).toMatchObject({ type: "integer", title: "Per day", minimum: 1 });
  });
});

it("a number that JavaScript would change is a number", () => {
  expect(["1", "1.0", "18446744073709551615", '"1"', "null", "{}", "[]"].map((text) => kindOfValue(parseJson(text)))).toEqual(["number", "number", "number", "string", "null", "object", "array"]);
});

describe("what a new field starts with", () => {
  it.each([
    ['{"default":1.50,"const":2,"enum":[3]}', "1.50"],
    ['{"const":2,"enum":[3]}', "2"],
    ['{"enum":[3,4],"type":"integer"}', "3"],
    ['{"type":"integer","minimum":7}', "7"],
    ['{"type":["number","null"]}', "0"],
    ['{"type":"string"}', '""'],
    ['{"items":{}}', "[]"],
    ['{"type":"boolean"}', "false"],
    ["{}", "null"],
    ['{"allOf":[{"required":["a"]},{"required":["b"]}],"type":"object","properties":{"a":{"default":1},"b":{"type":"array"},"c":{}}}', '{"b":[],"a":1}'],
  ])("is of %s: %s", (text, starts) => {
    const schema = parseJson<JsonObject>(text);
    expect(JSON.stringify(starter(schema, resolve(schema, schema)))).toBe(starts);
  });

  it("comes to an end where a schema requires itself", () => {
    const schema: JsonObject = { type: ["object", "null"], required: ["value", "next"], properties: { value: { type: "integer" }, next: { $ref: "#" } } };
    expect(starter(schema, resolve(schema, schema))).toEqual({ value: 0, next: { value: 0, next: null } });
  });
});
