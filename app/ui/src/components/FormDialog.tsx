import { Button } from "@mantine/core";
import type { UseMutationResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Dialog } from "./Dialog";
import { Failure } from "./basics";

/** Asks for what an act needs, and does it once. */
export function FormDialog({
  title,
  act,
  doing,
  ready,
  onClose,
  children,
}: {
  title: string;
  act: string;
  doing: UseMutationResult<unknown, Error, void>;
  ready: boolean;
  onClose: () => void;
  children: ReactNode;
}) {
  return (
    <Dialog onClose={onClose} title={title}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          // A second Enter while the first is under way would do it a second time.
          if (!doing.isPending) doing.mutate();
        }}
      >
        {children}
        {doing.error && <Failure error={doing.error} />}
        <div className="row">
          <Button type="submit" disabled={!ready} loading={doing.isPending}>
            {act}
          </Button>
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
