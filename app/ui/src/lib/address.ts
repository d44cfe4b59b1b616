import { useCallback } from "react";
import { useSearchParams } from "react-router";

export type Changes = Record<string, string | null>;

/** The query of the address as state: null removes; `replace` leaves no step for "back". */
export function useAddress(): [URLSearchParams, (changes: Changes, replace?: boolean) => void] {
  const [search, setSearch] = useSearchParams();
  const change = useCallback(
    (changes: Changes, replace = false) => {
      setSearch(
        (before) => {
          const next = new URLSearchParams(before);
          for (const [name, value] of Object.entries(changes)) {
            if (value === null) next.delete(name);
            else next.set(name, value);
          }
          return next;
        },
        { replace, preventScrollReset: true },
      );
    },
    [setSearch],
  );
  return [search, change];
}
