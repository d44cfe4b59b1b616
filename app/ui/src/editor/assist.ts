/**
 * Completion and hover text from the bound schema.
 * Content and schema are other people's text: shown as text, never as markup.
 */
import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { hoverTooltip, type EditorView } from "@codemirror/view";
import type { Extension } from "@codemirror/state";
import { autocompletion } from "@codemirror/autocomplete";
import { InsertTextFormat, type JSONSchema, type LanguageService } from "vscode-json-languageservice";
import { parseJson, type Json } from "../lib/json";
import { parsed, serviceOf, words } from "./schemaCheck";

/** To read more letters than this takes as long as to type one: it is done only when the hand rests. */
const LARGE = 30_000;
const REST_MS = 100;
const REST_FROM_LARGE_MS = 500;

export class SchemaAssist {
  /** It compares with JavaScript's numbers, so its schema has them too. */
  #reads: LanguageService;
  /** What it suggests is put in as the schema has it: exact numbers, names in their order. */
  #suggests: LanguageService;

  constructor(readonly schema: Json) {
    const text = JSON.stringify(schema);
    this.#reads = serviceOf(JSON.parse(text) as JSONSchema);
    this.#suggests = serviceOf(parseJson<JSONSchema>(text));
  }

  async hover(text: string, offset: number): Promise<{ text: string; from: number; to: number } | null> {
    const { document, json } = parsed(this.#reads, text);
    const found = await this.#reads.doHover(document, document.positionAt(offset), json);
    if (!found?.range) return null;
    const said = [found.contents].flat().map(words).filter(Boolean).join("\n\n");
    if (said === "") return null;
    return { text: said, from: document.offsetAt(found.range.start), to: document.offsetAt(found.range.end) };
  }

  async complete(context: CompletionContext): Promise<CompletionResult | null> {
    // Behind what is closed no value can stand, whatever the service says: Enter would put one there.
    if (!context.explicit && context.matchBefore(/[}\]]/)) return null;
    const { document, json } = parsed(this.#reads, context.state.doc.toString());
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

  /** `length`: of the text. */
  extension(length: number): Extension {
    return [
      autocompletion({ activateOnTypingDelay: length > LARGE ? REST_FROM_LARGE_MS : REST_MS, override: [(context) => this.complete(context)] }),
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

/** `${1:name}` → `name`, `$1` → ``, `\\$` → `$`; each place of the snippet is read once. */
function withoutStops(snippet: string): string {
  return snippet.replace(/\\([$}\\])|\$\{\d+:((?:\\.|[^\\}])*)\}|\$\{?\d+\}?/g, (_, escaped?: string, inner?: string) =>
    inner === undefined ? (escaped ?? "") : withoutStops(inner),
  );
}
