/**
 * The focus does not fall out of the page with what had it: to a screen reader that is silence, and
 * whoever goes by keyboard begins again at the top.
 */
import { useEffect } from "react";

const FOCUSABLE = "a[href], button:enabled, input:enabled, textarea:enabled, [tabindex='0'], [contenteditable='true']";
/** Who passes it on by itself comes first: a dialog that closes, a menu, a view that opens. */
const PATIENCE_MS = 50;

type Gap = { within: Node | null; before: Node | null };

/** What stands behind a gap, or else in front of it. */
function nextTo({ within, before }: Gap): HTMLElement | null {
  for (let area = within as Element | null; area?.closest("#main, [role=dialog]"); area = area.parentElement) {
    const found = [...area.querySelectorAll<HTMLElement>(FOCUSABLE)].filter((each) => each.getClientRects().length > 0);
    const isBehind = (each: Node) => before !== null && (before.contains(each) || (before.compareDocumentPosition(each) & Node.DOCUMENT_POSITION_FOLLOWING) > 0);
    if (found.length > 0) return found.find(isBehind) ?? found.at(-1) ?? null;
  }
  return null;
}

function isLost(): boolean {
  return document.activeElement === null || document.activeElement === document.body;
}

/** Where the focus was, once it is there no more: null while it may come back by itself. */
function gapOf(element: HTMLElement, records: MutationRecord[]): Gap | null {
  if (element.isConnected) {
    // A button that is done with for now, as one that adds what was typed. While it is busy, it waits for its turn.
    if (!element.matches(":disabled") || element.hasAttribute("data-loading")) return null;
    return { within: element.parentElement, before: null };
  }
  const had = (node: Node) => node.contains(element);
  const taken = records.find((each) => [...each.removedNodes].some(had));
  const whole = [...(taken?.removedNodes ?? [])].find(had);
  // A whole view went: the heading of the one in its place tells most.
  if (!taken || (whole instanceof Element && whole.querySelector("h1"))) return { within: null, before: null };
  return { within: taken.target, before: taken.nextSibling };
}

export function useFocusKept(): void {
  useEffect(() => {
    let last: HTMLElement | null = null;
    let where = "";
    let gap: Gap | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const note = ({ target }: FocusEvent) => {
      clearTimeout(timer);
      timer = undefined;
      gap = null;
      last = target instanceof HTMLElement ? target : null;
      where = window.location.pathname;
    };
    const mend = () => {
      timer = undefined;
      // Of a view at another address `useViewFocus` tells.
      if (gap === null || !isLost() || where !== window.location.pathname) return;
      const next = nextTo(gap);
      const heading = document.querySelector<HTMLElement>("#main h1");
      if (!next && heading) heading.tabIndex = -1;
      // Where neither is there yet, the next change of the page asks again.
      (next ?? heading)?.focus({ preventScroll: next === null });
    };
    const observer = new MutationObserver((records) => {
      if (last === null || timer !== undefined || !isLost()) return;
      gap ??= gapOf(last, records);
      if (gap !== null) timer = setTimeout(mend, PATIENCE_MS);
      else if (last.isConnected && records.some((each) => each.target === last)) last.focus();
    });
    document.addEventListener("focusin", note);
    observer.observe(document.body, { subtree: true, childList: true, attributeFilter: ["disabled", "data-loading"] });
    return () => {
      document.removeEventListener("focusin", note);
      observer.disconnect();
      clearTimeout(timer);
    };
  }, []);
}
