/** What a document's schema finds wrong in it, as the page's own check knows schemas. */
import { getLanguageService, TextDocument, type JSONSchema, type LanguageService, type MarkupContent } from "vscode-json-languageservice";
import type { Issue } from "../lib/ijson";

export function serviceOf(schema: JSONSchema): LanguageService {
  // No request service: a schema is never fetched from anywhere.
  const service = getLanguageService({});
  service.configure({ validate: true, schemas: [{ uri: "guardian://schema", fileMatch: ["*"], schema }] });
  return service;
}

export function parsed(service: LanguageService, text: string) {
  const document = TextDocument.create("guardian://config.json", "json", 0, text);
  return { document, json: service.parseJSONDocument(document) };
}

export function words(content: string | MarkupContent | { value: string }): string {
  const text = typeof content === "string" ? content : content.value;
  return text.replace(/\\([\\`*_{}[\]()#+\-.!])/g, "$1").replace(/\n\n\n+/g, "\n\n");
}

/** One schema is asked for letter after letter: what is made of it is kept. */
let last: { schema: string; service: LanguageService } | null = null;

/** `schema`: its text. */
export async function findViolations(text: string, schema: string): Promise<Issue[]> {
  // It compares with JavaScript's numbers, so its schema has them too.
  if (last?.schema !== schema) last = { schema, service: serviceOf(JSON.parse(schema) as JSONSchema) };
  const { service } = last;
  const { document, json } = parsed(service, text);
  const found = await service.doValidation(document, json, { schemaValidation: "error" });
  return found
    .filter((each) => each.severity === 1)
    .map((each) => ({
      from: document.offsetAt(each.range.start),
      to: document.offsetAt(each.range.end),
      message: words(each.message),
    }));
}
