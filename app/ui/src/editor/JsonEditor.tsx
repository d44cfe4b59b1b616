/** CodeMirror for one JSON document. The text belongs to the caller. */
import {
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { bracketMatching, foldGutter, foldKeymap, indentOnInput } from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState } from "@codemirror/state";
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { useEffect, useImperativeHandle, useLayoutEffect, useRef, type Ref } from "react";
import type { Issue } from "../lib/ijson";
import type { SchemaAssist } from "./assist";
import { appearance } from "./look";

/**
 * Typing over a selection, done by the editor instead of the browser: the browser would keep the
 * old text's colours in a style attribute, which the page's CSP refuses.
 */
const replaceOverSelection = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { data } = event;
    const { main } = view.state.selection;
    if (event.inputType !== "insertText" || !data || main.empty || view.composing) return false;
    event.preventDefault();
    if (view.state.readOnly) return true;
    const insert = () => view.state.update(view.state.replaceSelection(data), { userEvent: "input.type", scrollIntoView: true });
    const handled = view.state.facet(EditorView.inputHandler).some((handler) => handler(view, main.from, main.to, data, insert));
    if (!handled) view.dispatch(insert());
    return true;
  },
});

export type EditorHandle = { focus: () => void; jump: (offset: number) => void };

export function JsonEditor({
  value,
  onChange,
  label,
  base = 0,
  readOnly = false,
  issues = [],
  assist = null,
  ref,
}: {
  value: string;
  onChange?: (text: string) => void;
  label: string;
  /** The version that the text is an edit of. Undo does not reach behind it: that is another document. */
  base?: number;
  readOnly?: boolean;
  issues?: readonly Issue[];
  assist?: SchemaAssist | null;
  ref?: Ref<EditorHandle>;
}) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  /** The text that the editor is known to hold: it need not be made of its lines after each letter. */
  const held = useRef(value);
  const changed = useRef(onChange);
  const parts = useRef({ assist: new Compartment(), access: new Compartment(), past: new Compartment() });

  // In one step with what is drawn, like the two below: a letter that is typed between a new version
  // and its text would be taken for an edit of the one, made on the other.
  useLayoutEffect(() => {
    if (!host.current) return;
    const { assist: helping, access, past } = parts.current;
    const editor = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: value,
        extensions: [
          appearance,
          lineNumbers(),
          foldGutter(),
          highlightActiveLine(),
          highlightActiveLineGutter(),
          past.of(history()),
          drawSelection(),
          indentOnInput(),
          bracketMatching(),
          closeBrackets(),
          highlightSelectionMatches(),
          lintGutter(),
          json(),
          EditorState.tabSize.of(2),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
          replaceOverSelection,
          helping.of([]),
          access.of([]),
          keymap.of([
            ...closeBracketsKeymap,
            ...completionKeymap,
            ...searchKeymap,
            ...historyKeymap,
            ...foldKeymap,
            // Tab must leave the editor for those who go by keyboard; Escape first, then Tab.
            { key: "Escape", run: (each) => (each.contentDOM.blur(), true) },
            ...defaultKeymap,
            indentWithTab,
          ]),
          EditorView.updateListener.of((update) => {
            if (!update.docChanged) return;
            held.current = update.state.doc.toString();
            changed.current?.(held.current);
          }),
        ],
      }),
    });
    view.current = editor;
    // The lines are measured anew when the font has come, or the numbers stand beside them.
    void document.fonts.ready.then(() => view.current?.requestMeasure());
    return () => {
      editor.destroy();
      view.current = null;
    };
    // The text is brought up to date below; the editor itself is made once.
  }, []);

  useLayoutEffect(() => {
    changed.current = onChange;
  });
  useLayoutEffect(() => {
    const editor = view.current;
    if (!editor || held.current === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);

  const madeOn = useRef(base);
  // After the effect that brings the text of that version in.
  useLayoutEffect(() => {
    if (madeOn.current === base) return;
    madeOn.current = base;
    // A history that is taken out and put in again is an empty one. (A change that is only kept out
    // of it would not do: what was typed before would be undone into the new version.)
    const { past } = parts.current;
    view.current?.dispatch({ effects: past.reconfigure([]) });
    view.current?.dispatch({ effects: past.reconfigure(history()) });
  }, [base]);

  useEffect(() => {
    const editor = view.current;
    editor?.dispatch({
      effects: parts.current.assist.reconfigure(assist && !readOnly ? assist.extension() : []),
    });
  }, [assist, readOnly]);

  useEffect(() => {
    view.current?.dispatch({
      effects: parts.current.access.reconfigure([
        EditorState.readOnly.of(readOnly),
        EditorView.editable.of(true),
        EditorView.contentAttributes.of({
          "aria-readonly": String(readOnly),
          ...(readOnly ? {} : { "aria-description": "Tab indents. Escape, then Tab, leaves the editor." }),
        }),
      ]),
    });
  }, [readOnly]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const length = editor.state.doc.length;
    editor.dispatch(
      setDiagnostics(
        editor.state,
        issues.map((issue) => ({
          from: Math.min(issue.from, length),
          to: Math.min(Math.max(issue.to, issue.from), length),
          message: issue.message,
          severity: "error" as const,
        })),
      ),
    );
  }, [issues]);

  useImperativeHandle(ref, () => ({
    focus: () => view.current?.focus(),
    jump: (offset) => {
      const editor = view.current;
      if (!editor) return;
      const anchor = Math.min(offset, editor.state.doc.length);
      editor.dispatch({ selection: { anchor }, effects: EditorView.scrollIntoView(anchor, { y: "center" }) });
      editor.focus();
    },
  }));

  return <div ref={host} className="editor-host" />;
}
