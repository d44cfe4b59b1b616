import { useEffect, useRef } from "react";
import { useLocation } from "react-router";

const heading = (): HTMLElement | null => document.querySelector("#main h1");

/** After a step to another view its heading has the focus: so a screen reader tells where one is. */
export function useViewFocus(): void {
  const { pathname } = useLocation();
  const shown = useRef(pathname);
  useEffect(() => {
    // Of the first view the browser tells.
    if (shown.current === pathname) return;
    shown.current = pathname;
    const left = document.activeElement;
    const arrive = () => {
      const found = heading();
      if (!found) return;
      wait.disconnect();
      const now = document.activeElement;
      const busy = now !== null && now !== document.body;
      // A field that waits for a letter, the tree in which one goes on, or where somebody went meanwhile.
      if (busy && (now !== left || now.closest("#main, [role=dialog]"))) return;
      found.tabIndex = -1;
      found.focus({ preventScroll: true });
    };
    // A view whose data is on its way has no heading yet.
    const wait = new MutationObserver(arrive);
    wait.observe(document.body, { childList: true, subtree: true });
    arrive();
    return () => wait.disconnect();
  }, [pathname]);
}
