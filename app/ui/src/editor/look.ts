/** How CodeMirror looks here, and the nonce that its style elements need. */
import { bidiIsolates, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import type { Extension } from "@codemirror/state";
import { EditorView, highlightSpecialChars } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { HIDDEN } from "../lib/hidden";
import { nonce } from "../lib/nonce";

const colours = HighlightStyle.define([
  { tag: tags.propertyName, color: "var(--g-key)" },
  { tag: tags.string, color: "var(--g-string)" },
  { tag: tags.number, color: "var(--g-number)" },
  { tag: [tags.bool, tags.null], color: "var(--g-atom)" },
  { tag: [tags.punctuation, tags.separator, tags.brace, tags.squareBracket], color: "var(--g-punct)" },
]);

const look = EditorView.theme({
  "&": { backgroundColor: "transparent", color: "inherit" },
  "&.cm-focused": { outline: "1px solid var(--mantine-color-accent-6)", outlineOffset: "-1px" },
  ".cm-scroller": { fontFamily: "var(--g-mono)", lineHeight: "1.25rem" },
  ".cm-content": { caretColor: "var(--mantine-color-text)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--mantine-color-text)" },
  ".cm-gutters": {
    backgroundColor: "transparent",
    color: "var(--mantine-color-dimmed)",
    border: "none",
    paddingLeft: "4px",
  },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "transparent" },
  "&.cm-focused .cm-activeLine, &.cm-focused .cm-activeLineGutter": {
    backgroundColor: "color-mix(in srgb, var(--g-hover) 60%, transparent)",
  },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "color-mix(in srgb, var(--mantine-color-accent-5) 28%, transparent)",
  },
  "&.cm-focused .cm-matchingBracket": {
    backgroundColor: "color-mix(in srgb, var(--mantine-color-accent-5) 30%, transparent)",
    outline: "1px solid var(--mantine-color-accent-5)",
  },
  ".cm-specialChar": {
    color: "var(--g-bad)",
    backgroundColor: "var(--g-bad-bg)",
    borderRadius: "2px",
    padding: "0 2px",
  },
  ".cm-foldPlaceholder": {
    backgroundColor: "var(--g-sunken)",
    border: "1px solid var(--g-line)",
    color: "var(--mantine-color-dimmed)",
  },
  ".cm-tooltip, .cm-panels": {
    backgroundColor: "var(--mantine-color-body)",
    color: "var(--mantine-color-text)",
    border: "1px solid var(--g-line)",
    borderRadius: "6px",
    fontFamily: '"Inter Variable", system-ui, sans-serif',
  },
  ".cm-tooltip": { boxShadow: "0 6px 20px rgb(0 0 0 / 14%)", maxWidth: "32rem" },
  ".cm-tooltip-hover": { padding: "6px 10px", whiteSpace: "pre-wrap" },
  ".cm-tooltip-autocomplete > ul > li": { padding: "2px 8px", fontFamily: "var(--g-mono)" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": {
    backgroundColor: "var(--g-selected)",
    color: "var(--g-selected-text)",
  },
  ".cm-completionInfo": { padding: "6px 10px", whiteSpace: "pre-wrap" },
  ".cm-diagnostic": { padding: "4px 10px", borderLeft: "3px solid var(--g-bad)" },
  // The library draws these with data: images, which the page's CSP does not allow.
  ".cm-lintRange-error": {
    backgroundImage: "none !important",
    textDecoration: "underline wavy var(--g-bad) 1px",
    textUnderlineOffset: "3px",
    textDecorationSkipInk: "none",
  },
  ".cm-lint-marker-error": { content: "none !important" },
  ".cm-lint-marker-error::before": { content: '"●"', color: "var(--g-bad)", fontSize: "0.75em" },
  ".cm-lintPoint-error::after": { borderBottomColor: "var(--g-bad) !important" },
  ".cm-panels input, .cm-panels button": {
    font: "inherit",
    color: "inherit",
    background: "var(--g-sunken)",
    border: "1px solid var(--g-line)",
    borderRadius: "4px",
  },
  ".cm-insertedLine, .cm-changedLine": { backgroundColor: "var(--g-add) !important" },
  ".cm-deletedChunk, .cm-deletedLine": { backgroundColor: "var(--g-del) !important" },
  "&.cm-merge-a .cm-changedLine": { backgroundColor: "var(--g-del) !important" },
  "&.cm-merge-a .cm-changedText": { background: "var(--g-del-strong) !important" },
  "&.cm-merge-b .cm-changedText, .cm-changedText": { background: "var(--g-add-strong) !important" },
  ".cm-deletedChunk .cm-deletedText": { background: "var(--g-del-strong) !important" },
  ".cm-changedLineGutter": { background: "var(--g-good)" },
  "&.cm-merge-a .cm-changedLineGutter": { background: "var(--g-bad)" },
  ".cm-collapsedLines::before, .cm-collapsedLines::after": { content: '"⋯"' },
  ".cm-collapsedLines": {
    background: "var(--g-sunken)",
    color: "var(--mantine-color-dimmed)",
    padding: "3px 12px",
    fontFamily: '"Inter Variable", system-ui, sans-serif',
  },
});

/** What could not be seen is shown by its code, as the service's answers name it. */
function codeOf(code: number): HTMLElement {
  const shown = document.createElement("span");
  shown.className = "cm-specialChar";
  shown.textContent = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  shown.title = "A character that is not seen, or that changes the order of others";
  return shown;
}

export const appearance: Extension = [
  highlightSpecialChars({ specialChars: HIDDEN, render: codeOf }),
  // Text that runs from right to left must not carry the quotes and names around it along.
  bidiIsolates({ alwaysIsolate: true }),
  EditorView.cspNonce.of(nonce),
  look,
  syntaxHighlighting(colours),
];
