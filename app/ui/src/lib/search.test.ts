import { describe, expect, it } from "vitest";
import type { Config } from "../api/types";
import { parseJson } from "./json";
import { search } from "./search";

describe("the search in contents", () => {
  const config = (text: string) => ({ key: "k", content: parseJson(text) }) as Config;
  const found = (words: string) => search([config('{"min": 1, "max": 500, "list": [1, "a  b"]}')], words, 5).map((hit) => hit.excerpt);

  it.each(['"max": 500', '"max":500', '"min": 1, "max": 500', '[ 1, "a', '"a  b"', '"MAX": 5'])("finds %s", (words) => {
    expect(found(words)[0]?.toLowerCase()).toContain(words.toLowerCase());
  });

  it.each(['"max" :500', '"a b"', '"max": 501'])("does not find %s", (words) => {
    expect(found(words)).toEqual([]);
  });
});
