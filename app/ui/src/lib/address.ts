import { useCallback, useContext, useEffect, useRef, useState } from "react";
import { NavigationType, UNSAFE_DataRouterContext, useLocation, useNavigation, useNavigationType, useSearchParams } from "react-router";

export type Changes = Record<string, string | null>;

/** The query of the address as state: null removes; `replace` leaves no step for "back". */
export function useAddress(): [URLSearchParams, (changes: Changes, replace?: boolean) => void] {
  const [search, setSearch] = useSearchParams();
  const change = useCallback(
    (changes: Changes, replace = false) => {
      // Views follow the address in a transition, a moment late: a second change in that
      // moment must build on the first, which only the address itself knows.
      const next = new URLSearchParams(window.location.search);
      for (const [name, value] of Object.entries(changes)) {
        if (value === null) next.delete(name);
        else next.set(name, value);
      }
      setSearch(next, { replace, preventScrollReset: true });
    },
    [setSearch],
  );
  return [search, change];
}

/**
 * A dialog is asked for in the address (`?name=of`), so that Back closes it and not the page.
 * null: it is not open.
 */
export function useAsked(name: string): { asked: string | null; ask: (of?: string) => void; close: () => void } {
  const [search, address] = useAddress();
  return {
    asked: search.get(name),
    ask: (of = "") => address({ [name]: of }),
    close: () => {
      // Who was led elsewhere by what they did there is not called back.
      if (new URLSearchParams(window.location.search).has(name)) address({ [name]: null }, true);
    },
  };
}

const SETTLE_MS = 150;

/**
 * A part of the address that is typed. The letters show at once and the address follows when
 * the hand rests: a field that waited for the address would drop what is typed meanwhile.
 */
export function useTypedAddress(name: string): [string, (text: string) => void] {
  const [search, address] = useAddress();
  const inAddress = search.get(name) ?? "";
  const [typed, setTyped] = useState(inAddress);
  /** What this field has put into the address and has not seen there yet, oldest first. */
  const sent = useRef([inAddress]);

  const { key, pathname } = useLocation();
  // Back and forward are the person's will, also to where the field has been before.
  const went = useNavigationType() === NavigationType.Pop;
  useEffect(() => {
    const index = went ? -1 : sent.current.indexOf(inAddress);
    if (index === -1) setTyped(inAddress);
    sent.current = index === -1 ? [inAddress] : sent.current.slice(index);
  }, [inAddress, key, went]);

  const router = useContext(UNSAFE_DataRouterContext)?.router;
  const { state } = useNavigation();
  useEffect(() => {
    if (typed === sent.current.at(-1)) return;
    const timer = setTimeout(() => {
      // Who is on the way to another view, whose code may be still to come, is not called back.
      // Only the router itself knows at once; when its state is seen here, the field tries again.
      if (router && (router.state.navigation.state !== "idle" || router.state.location.pathname !== pathname)) return;
      sent.current.push(typed);
      address({ [name]: typed === "" ? null : typed }, true);
    }, SETTLE_MS);
    return () => clearTimeout(timer);
  }, [typed, state, name, address, router, pathname]);

  return [typed, setTyped];
}
