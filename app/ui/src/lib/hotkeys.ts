/** The keyboard: one table, shown by `?`, obeyed by every view. */
import { useEffect, useRef } from "react";

export const shortcuts: { keys: string; does: string }[] = [
  { keys: "/", does: "Search keys and content" },
  { keys: "j / k", does: "Next / previous config in the tree" },
  { keys: "Enter", does: "Open the config under the cursor" },
  { keys: "e", does: "Edit the open config" },
  { keys: "Ctrl/⌘ + S", does: "Review what you changed" },
  { keys: "Ctrl/⌘ + Enter", does: "Commit what you reviewed" },
  { keys: "Shift + Alt + F", does: "Format the document" },
  { keys: "h", does: "Open or close the history of the config" },
  { keys: "n", does: "New config" },
  { keys: "g p / g c / g h", does: "Go to projects / configs / history" },
  { keys: "g s / g m / g l", does: "Go to schemas / members and keys / cluster" },
  { keys: "Esc", does: "Leave the editor or close what is open" },
  { keys: "?", does: "Show this list" },
];

type Handler = (event: KeyboardEvent) => void;

function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

function nameOf(event: KeyboardEvent): string {
  const modifier = event.ctrlKey || event.metaKey ? "mod+" : "";
  return modifier + (modifier === "" ? event.key : event.key.toLowerCase());
}

type Stroke = { key: string; at_ms: number };
let before: Stroke | null = null;
let last: Stroke | null = null;

// Registered first, so that every other listener sees which key came before.
window.addEventListener("keydown", (event) => {
  before = last;
  last = typing(event.target) ? null : { key: event.key, at_ms: event.timeStamp };
});

/** Names: `j`, `?`, `mod+s`, `mod+enter`, or two keys in a row: `g p`. */
export function useHotkeys(table: Record<string, Handler>, enabled = true): void {
  const current = useRef(table);
  current.current = table;
  useEffect(() => {
    if (!enabled) return;
    const listener = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.isComposing || event.altKey) return;
      const name = nameOf(event);
      const withModifier = name.startsWith("mod+");
      if (!withModifier && typing(event.target)) return;
      if (!withModifier && document.querySelector('[role="dialog"]') !== null) return;
      const sequence =
        before !== null && event.timeStamp - before.at_ms < 1000 ? `${before.key} ${name}` : null;
      const handler = (sequence !== null && current.current[sequence]) || current.current[name];
      if (handler) {
        event.preventDefault();
        handler(event);
      }
    };
    window.addEventListener("keydown", listener);
    return () => window.removeEventListener("keydown", listener);
  }, [enabled]);
}
