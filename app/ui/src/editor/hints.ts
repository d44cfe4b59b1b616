/**
 * What a schema says of a document, as the page's own check knows schemas. All of it reads the whole
 * text, and a pattern may never come to an end: only a worker should be asked (`checks.ts`).
 */
import {
  getLanguageService,
  InsertTextFormat,
  TextDocument,
  type JSONSchema,
  type LanguageService,
  type MarkupContent,
} from "vscode-json-languageservice";
import type { Issue } from "../lib/ijson";
import { parseJson } from "../lib/json";

/** `from` and `to`: the place in the text that it is about. */
export type Hint = { text: string; from: number; to: number };
export type Suggestion = {
  /** What is compared with what was typed, and what is shown. */
  label: string;
  displayLabel: string;
  detail?: string;
  info?: string;
  /** What is put in between `start` and `end`. A line of it begins with a tab for each step inwards. */
  text: string;
  start: number;
  end: number;
};
/** `from`: where the first of them begins. */
export type Suggestions = { from: number; options: Suggestion[] };

function serviceOf(schema: JSONSchema): LanguageService {
  // No request service: a schema is never fetched from anywhere.
  const service = getLanguageService({});
  service.configure({ validate: true, schemas: [{ uri: "guardian://schema", fileMatch: ["*"], schema }] });
  return service;
}

type Services = {
  /** It compares with JavaScript's numbers, so its schema has them too. */
  reads: LanguageService;
  /** What it suggests is put in as the schema has it: exact numbers, names in their order. */
  suggests: LanguageService;
};

/** One schema is asked for letter after letter: what is made of it is kept. */
let last: { schema: string; services: Services } | null = null;

function servicesOf(schema: string): Services {
  if (last?.schema !== schema) {
    const services = { reads: serviceOf(JSON.parse(schema) as JSONSchema), suggests: serviceOf(parseJson<JSONSchema>(schema)) };
    last = { schema, services };
  }
  return last.services;
}

function parsed(service: LanguageService, text: string) {
  const document = TextDocument.create("guardian://config.json", "json", 0, text);
  return { document, json: service.parseJSONDocument(document) };
}

function words(content: string | MarkupContent | { value: string }): string {
  const text = typeof content === "string" ? content : content.value;
  return text.replace(/\\([\\`*_{}[\]()#+\-.!])/g, "$1").replace(/\n\n\n+/g, "\n\n");
}

export async function findViolations(text: string, schema: string): Promise<Issue[]> {
  const { reads } = servicesOf(schema);
  const { document, json } = parsed(reads, text);
  const found = await reads.doValidation(document, json, { schemaValidation: "error" });
  return found
    .filter((each) => each.severity === 1)
    .map((each) => ({
      from: document.offsetAt(each.range.start),
      to: document.offsetAt(each.range.end),
      message: words(each.message),
    }));
}

export async function hintAt(text: string, schema: string, offset: number): Promise<Hint | null> {
  const { reads } = servicesOf(schema);
  const { document, json } = parsed(reads, text);
  const found = await reads.doHover(document, document.positionAt(offset), json);
  if (!found?.range) return null;
  const said = [found.contents].flat().map(words).filter(Boolean).join("\n\n");
  if (said === "") return null;
  return { text: said, from: document.offsetAt(found.range.start), to: document.offsetAt(found.range.end) };
}

export async function suggestionsAt(text: string, schema: string, offset: number): Promise<Suggestions | null> {
  const { reads, suggests } = servicesOf(schema);
  const { document, json } = parsed(reads, text);
  const list = await suggests.doComplete(document, document.positionAt(offset), json);
  if (!list || list.items.length === 0) return null;
  const options = list.items.map((item): Suggestion => {
    const edit = item.textEdit;
    const range = edit === undefined ? undefined : "range" in edit ? edit.range : edit.replace;
    const raw = edit?.newText ?? item.insertText ?? item.label;
    return {
      label: item.filterText ?? item.label,
      displayLabel: item.label,
      detail: item.detail,
      info: item.documentation ? words(item.documentation) : undefined,
      text: item.insertTextFormat === InsertTextFormat.Snippet ? withoutStops(raw) : raw,
      start: range ? document.offsetAt(range.start) : offset,
      end: range ? document.offsetAt(range.end) : offset,
    };
  });
  return { from: Math.min(offset, ...options.map((each) => each.start)), options };
}

/** `${1:name}` → `name`, `$1` → ``, `\\$` → `$`; each place of the snippet is read once. */
function withoutStops(snippet: string): string {
  return snippet.replace(/\\([$}\\])|\$\{\d+:((?:\\.|[^\\}])*)\}|\$\{?\d+\}?/g, (_, escaped?: string, inner?: string) =>
    inner === undefined ? (escaped ?? "") : withoutStops(inner),
  );
}
