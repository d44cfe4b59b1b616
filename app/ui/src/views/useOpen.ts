import { useEffect, useRef, type RefObject } from "react";

/** Whether what calls this is still there, for who comes back after waiting. */
export function useOpen(): RefObject<boolean> {
  const open = useRef(true);
  useEffect(() => {
    open.current = true;
    return () => {
      open.current = false;
    };
  }, []);
  return open;
}
