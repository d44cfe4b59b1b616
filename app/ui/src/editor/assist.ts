/**
 * Completion and hover text from the bound schema, and its errors while
 * typing. The service is asked too and has the last word; this is only sooner.
 * Content and schema are other people's text: shown as text, never as markup.
 */
import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { hoverTooltip, type EditorView } from "@codemirror/view";
import type { Extension } from "@codemirror/state";
import { autocompletion } from "@codemirror/autocomplete";
import {
  getLanguageService,
  InsertTextFormat,
  TextDocument,
  type JSONSchema,
  type LanguageService,
  type MarkupContent,
} from "vscode-json-languageservice";
import { parseJson, type Json } from "../lib/json";
import type { Issue } from "../lib/ijson";

export class SchemaAssist {
  /** It compares with JavaScript's numbers, so its schema has them too. */
  #checks: LanguageService;
  /** What it suggests is put in as the schema has it: exact numbers, names in their order. */
  #suggests: LanguageService;

  constructor(readonly schema: Json) {
    const text = JSON.stringify(schema);
    this.#checks = serviceOf(JSON.parse(text) as JSONSchema);
    this.#suggests = serviceOf(parseJson<JSONSchema>(text));
  }

  #parse(text: string) {
    const document = TextDocument.create("guardian://config.json", "json", 0, text);
    return { document, json: this.#checks.parseJSONDocument(document) };
  }

  async validate(text: string): Promise<Issue[]> {
    const { document, json } = this.#parse(text);
    const found = await this.#checks.doValidation(document, json, { schemaValidation: "error" });
    return found
      .filter((each) => each.severity === 1)
      .map((each) => ({
        from: document.offsetAt(each.range.start),
        to: document.offsetAt(each.range.end),
        message: words(each.message),
      }));
  }

  async hover(text: string, offset: number): Promise<{ text: string; from: number; to: number } | null> {
    const { document, json } = this.#parse(text);
    const found = await this.#checks.doHover(document, document.positionAt(offset), json);
    if (!found?.range) return null;
    const said = [found.contents].flat().map(words).filter(Boolean).join("\n\n");
    if (said === "") return null;
    return { text: said, from: document.offsetAt(found.range.start), to: document.offsetAt(found.range.end) };
  }

  async complete(context: CompletionContext): Promise<CompletionResult | null> {
    // Behind what is closed no value can stand, whatever the service says: Enter would put one there.
    if (!context.explicit && context.matchBefore(/[}\]]/)) return null;
    const { document, json } = this.#parse(context.state.doc.toString());
    const list = await this.#suggests.doComplete(document, document.positionAt(context.pos), json);
    if (!list || list.items.length === 0) return null;
    let from = context.pos;
    const indent = /^\s*/.exec(context.state.doc.lineAt(context.pos).text)?.[0] ?? "";
    const options: Completion[] = list.items.map((item) => {
      const edit = item.textEdit;
      const range = edit === undefined ? undefined : "range" in edit ? edit.range : edit.replace;
      const start = range ? document.offsetAt(range.start) : context.pos;
      const end = range ? document.offsetAt(range.end) : context.pos;
      from = Math.min(from, start);
      const raw = edit?.newText ?? item.insertText ?? item.label;
      const plain = item.insertTextFormat === InsertTextFormat.Snippet ? withoutStops(raw) : raw;
      const text = plain.replace(/\n\t*/g, (tabs) => `\n${indent}${"  ".repeat(tabs.length - 1)}`);
      return {
        label: item.filterText ?? item.label,
        displayLabel: item.label,
        detail: item.detail,
        info: item.documentation ? words(item.documentation) : undefined,
        apply: (view: EditorView) => {
          view.dispatch({
            changes: { from: start, to: Math.max(end, view.state.selection.main.head), insert: text },
            selection: { anchor: start + text.length },
          });
        },
      };
    });
    return { from, options, filter: true };
  }

  extension(): Extension {
    return [
      autocompletion({ override: [(context) => this.complete(context)] }),
      hoverTooltip(async (view, position) => {
        const found = await this.hover(view.state.doc.toString(), position);
        return (
          found && {
            pos: found.from,
            end: found.to,
            above: true,
            create: () => {
              const dom = document.createElement("div");
              dom.textContent = found.text;
              return { dom };
            },
          }
        );
      }),
    ];
  }
}

function words(content: string | MarkupContent | { value: string }): string {
  const text = typeof content === "string" ? content : content.value;
  return text.replace(/\\([\\`*_{}[\]()#+\-.!])/g, "$1").replace(/\n\n\n+/g, "\n\n");
}

/** `${1:name}` → `name`, `$1` → ``, `\\$` → `$`; each place of the snippet is read once. */
function withoutStops(snippet: string): string {
  return snippet.replace(/\\([$}\\])|\$\{\d+:((?:\\.|[^\\}])*)\}|\$\{?\d+\}?/g, (_, escaped?: string, inner?: string) =>
    inner === undefined ? (escaped ?? "") : withoutStops(inner),
  );
}

function serviceOf(schema: JSONSchema): LanguageService {
  // No request service: a schema is never fetched from anywhere.
  const service = getLanguageService({});
  service.configure({ validate: true, schemas: [{ uri: "guardian://schema", fileMatch: ["*"], schema }] });
  return service;
}
