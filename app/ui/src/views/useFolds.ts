import { useCallback, useMemo, useState } from "react";

/** So many are read from one end to the other; of more, one first looks what there is. */
const FEW = 20;

export type Folds = {
  isOpen: (key: string) => boolean;
  set: (key: string, open: boolean) => void;
  setAll: (open: boolean) => void;
};

/** Which of several things are open. What there was at first decides: they do not open by themselves as others go. */
export function useFolds(count: number): Folds {
  const [all, setEvery] = useState<boolean | null>(null);
  const [single, setSingle] = useState<ReadonlyMap<string, boolean>>(new Map());
  if (all === null && count > 0) setEvery(count <= FEW);
  const set = useCallback((key: string, open: boolean) => setSingle((before) => new Map(before).set(key, open)), []);
  const setAll = useCallback((open: boolean) => {
    setEvery(open);
    setSingle(new Map());
  }, []);
  const isOpen = useCallback((key: string) => single.get(key) ?? all ?? true, [single, all]);
  return useMemo(() => ({ isOpen, set, setAll }), [isOpen, set, setAll]);
}
