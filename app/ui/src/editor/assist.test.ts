import { CompletionContext } from "@codemirror/autocomplete";
import { EditorState, type TransactionSpec } from "@codemirror/state";
import type { EditorView } from "@codemirror/view";
import { describe, expect, it } from "vitest";
import { parseJson } from "../lib/json";
import { SchemaAssist } from "./assist";
import { findViolations } from "./hints";

/** The document after the one suggestion that begins so was taken, where the bar stands. */
async function taken(schema: string, marked: string, label: string): Promise<string> {
  const at = marked.indexOf("|");
  let state = EditorState.create({ doc: marked.replace("|", ""), selection: { anchor: at } });
  const found = await new SchemaAssist(parseJson(schema)).complete(new CompletionContext(state, at, true));
  const option = found?.options.find((each) => each.displayLabel?.startsWith(label));
  if (typeof option?.apply !== "function") throw new Error(`not suggested: ${label}`);
  const view = {
    get state() {
      return state;
    },
    dispatch: (spec: TransactionSpec) => void (state = state.update(spec).state),
  } as unknown as EditorView;
  option.apply(view, option, found?.from ?? at, at);
  return state.doc.toString();
}

describe("what a schema suggests is put in as the schema says it", () => {
  it.each(["9007199254740993", "1.50", "-0"])("the number %s", async (number) => {
    expect(await taken(`{"properties":{"n":{"default":${number}}}}`, '{"n": |}', number)).toBe(`{"n": ${number}}`);
    expect(await taken(`{"properties":{"n":{"enum":[7,${number}]}}}`, '{"n": |}', number)).toBe(`{"n": ${number}}`);
    expect(await taken(`{"properties":{"n":{"const":${number}}}}`, "{|}", "n")).toBe(`{"n": ${number}}`);
  });

  it("names that are integers in their place, indented as the text is", async () => {
    const schema = '{"properties":{"n":{"default":{"10":[],"2":{"1":0}}}}}';
    expect(await taken(schema, '{\n  "n": |\n}', "{")).toBe('{\n  "n": {\n    "10": [],\n    "2": {\n      "1": 0\n    }\n  }\n}');
  });

  it.each(["costs $5", "a}b", "${1:x}", "back\\slash", "{user}", 'quo"te', "$1 \\$2 }"])("the text %s", async (text) => {
    const json = JSON.stringify(text);
    expect(await taken(`{"properties":{"t":{"default":${json}}}}`, '{"t": |}', json)).toBe(`{"t": ${json}}`);
    expect(await taken(`{"properties":{"t":{"default":${json}}}}`, "{|}", "t")).toBe(`{"t": ${json}}`);
  });
});

describe("nothing is suggested", () => {
  // Enter would take it: `{}` behind the document.
  it.each(['{"n": {}|}', '{"n": []}|'])("behind what is closed: %s", async (marked) => {
    const at = marked.indexOf("|");
    const state = EditorState.create({ doc: marked.replace("|", "") });
    const assist = new SchemaAssist(parseJson('{"type":"object","properties":{"n":{"type":["object","array"]}}}'));
    expect(await assist.complete(new CompletionContext(state, at, false))).toBeNull();
  });
});

describe("the page's own check", () => {
  it.each([
    ['{"enum":[9007199254740993]}', "9007199254740993"],
    ['{"enum":[1.0]}', "1"],
    ['{"maximum":1e3}', "1000"],
  ])("%s accepts %s", async (schema, text) => {
    expect(await findViolations(text, schema)).toEqual([]);
  });

  it("holds a limit that is written in another way", async () => {
    expect(await findViolations("1001", '{"maximum":1e3}')).toHaveLength(1);
  });
});
