import { Modal, type ModalRootProps } from "@mantine/core";
import { useLayoutEffect, useState, type ReactNode } from "react";

/**
 * A dialog that is open for as long as it is mounted. Where the focus was before goes the focus
 * after; Mantine gives it back only on a change of `opened`.
 */
export function Dialog({
  title,
  closeLabel = "Close",
  withCloseButton = true,
  children,
  ...modal
}: Omit<ModalRootProps, "opened"> & { title: string; closeLabel?: string; withCloseButton?: boolean }) {
  const [asked] = useState(() => document.activeElement);
  useLayoutEffect(() => {
    // A dialog that follows another was asked for by a button in it, gone or disabled by now; that
    // other one has just given the focus back.
    const before = asked?.isConnected && asked !== document.body ? asked : document.activeElement;
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, [asked]);
  return (
    <Modal.Root opened {...modal}>
      <Modal.Overlay />
      <Modal.Content>
        <Modal.Header>
          <Modal.Title>{title}</Modal.Title>
          {withCloseButton && <Modal.CloseButton aria-label={closeLabel} />}
        </Modal.Header>
        <div className="dialog-body">{children}</div>
      </Modal.Content>
    </Modal.Root>
  );
}

/**
 * The one sentence of a dialog that a screen reader tells with its title. Mantine describes a dialog
 * with what it calls its body, which would be all of it.
 */
export function About({ children }: { children: ReactNode }) {
  return <Modal.Body p={0}>{children}</Modal.Body>;
}
