/** Where the focus goes when a row goes, and with it the button that took it away. */
import { useEffect, useRef, useState, type RefObject } from "react";

/**
 * `region` holds rows, each with a button of `data-row-act` (its id), and what has the focus when
 * no row is left (`data-no-row`). After `leaving(id)`, as soon as that row is gone and no dialog is
 * `open`, the button of the next row has the focus; after the last row that of the one before.
 */
export function useRowFocus<T extends HTMLElement>(
  ids: readonly string[],
  open: boolean,
): { region: RefObject<T | null>; leaving: (id: string) => void } {
  const region = useRef<T>(null);
  const [left, setLeft] = useState<{ id: string; row: number } | null>(null);
  const acts = () => [...(region.current?.querySelectorAll<HTMLElement>("[data-row-act]") ?? [])];
  useEffect(() => {
    if (left === null || open || ids.includes(left.id)) return;
    setLeft(null);
    // Somebody may have gone on elsewhere meanwhile.
    if (document.activeElement !== document.body) return;
    const next = acts()[left.row] ?? acts().at(-1) ?? region.current?.querySelector<HTMLElement>("[data-no-row]");
    next?.focus();
  }, [left, open, ids]);
  const leaving = (id: string) => setLeft({ id, row: acts().findIndex((each) => each.dataset.rowAct === id) });
  return { region, leaving };
}
