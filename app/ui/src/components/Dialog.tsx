import { Modal, type ModalProps } from "@mantine/core";
import { useLayoutEffect, useState } from "react";

/**
 * A dialog that is open for as long as it is mounted. Where the focus was before goes the focus
 * after; Mantine gives it back only on a change of `opened`.
 */
export function Dialog({ closeLabel = "Close", ...modal }: Omit<ModalProps, "opened"> & { closeLabel?: string }) {
  const [asked] = useState(() => document.activeElement);
  useLayoutEffect(() => {
    // A dialog that follows another was asked for by a button in it, gone or disabled by now; that
    // other one has just given the focus back.
    const before = asked?.isConnected && asked !== document.body ? asked : document.activeElement;
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, [asked]);
  return <Modal opened closeButtonProps={{ "aria-label": closeLabel }} {...modal} />;
}
