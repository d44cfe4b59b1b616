import { useCallback, useState } from "react";
import type { Placed } from "../lib/places";

/** What fields of the form show and the document does not hold, and how a field tells. */
export function useRefusals(): [readonly Placed[], (pointer: string, why: string | null) => void] {
  const [refusals, setRefusals] = useState<readonly Placed[]>([]);
  const refuse = useCallback((pointer: string, why: string | null) => {
    setRefusals((before) => [...before.filter((each) => each.pointer !== pointer), ...(why === null ? [] : [{ pointer, message: why }])]);
  }, []);
  return [refusals, refuse];
}
