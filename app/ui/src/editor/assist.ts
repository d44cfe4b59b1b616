/**
 * Completion and hover text from the bound schema, which a worker works out.
 * Content and schema are other people's text: shown as text, never as markup.
 */
import { autocompletion, type Completion, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { hoverTooltip, type EditorView } from "@codemirror/view";
import type { Extension } from "@codemirror/state";
import type { Json } from "../lib/json";
import { checks, unlessGivenUp } from "./checks";
import type { Hint } from "./hints";

const REST_MS = 100;
/** So long after a hover nobody waits for its text any more. */
const HOVER_MS = 2000;

export class SchemaAssist {
  #schema: string;

  constructor(schema: Json) {
    this.#schema = JSON.stringify(schema);
  }

  async complete(context: CompletionContext): Promise<CompletionResult | null> {
    // Behind what is closed no value can stand, whatever the service says: Enter would put one there.
    if (!context.explicit && context.matchBefore(/[}\]]/)) return null;
    const { state, pos } = context;
    const abort = new AbortController();
    context.addEventListener("abort", () => abort.abort(), { onDocChange: true });
    const found = await checks
      .find({ what: "suggestions", text: state.doc.toString(), schema: this.#schema, offset: pos }, abort.signal)
      .catch(unlessGivenUp);
    if (found === null) return null;
    const indent = /^\s*/.exec(state.doc.lineAt(pos).text)?.[0] ?? "";
    const options: Completion[] = found.options.map(({ text, start, end, ...shown }) => {
      const insert = text.replace(/\n\t*/g, (tabs) => `\n${indent}${"  ".repeat(tabs.length - 1)}`);
      const apply = (view: EditorView) => {
        view.dispatch({
          changes: { from: start, to: Math.max(end, view.state.selection.main.head), insert },
          selection: { anchor: start + insert.length },
        });
      };
      return { ...shown, apply };
    });
    return { from: found.from, options, filter: true };
  }

  extension(): Extension {
    return [
      autocompletion({ activateOnTypingDelay: REST_MS, override: [(context) => this.complete(context)] }),
      hoverTooltip(async (view, offset) => {
        const text = view.state.doc.toString();
        const found = await checks
          .find({ what: "hint", text, schema: this.#schema, offset }, AbortSignal.timeout(HOVER_MS))
          .catch(unlessGivenUp);
        return found && { pos: found.from, end: found.to, above: true, create: () => shown(found) };
      }),
    ];
  }
}

function shown({ text }: Hint): { dom: HTMLElement } {
  const dom = document.createElement("div");
  dom.textContent = text;
  return { dom };
}
