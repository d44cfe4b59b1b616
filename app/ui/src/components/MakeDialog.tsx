import { Button } from "@mantine/core";
import type { UseMutationResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Dialog } from "./Dialog";
import { Failure } from "./basics";

/** Asks for what a new thing needs, and makes it once. */
export function MakeDialog({
  thing,
  make,
  ready,
  onClose,
  children,
}: {
  thing: string;
  make: UseMutationResult<unknown, Error, void>;
  ready: boolean;
  onClose: () => void;
  children: ReactNode;
}) {
  return (
    <Dialog onClose={onClose} title={`New ${thing}`}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          // A second Enter while the first is under way would make a second one.
          if (!make.isPending) make.mutate();
        }}
      >
        {children}
        {make.error && <Failure error={make.error} />}
        <div className="row">
          <Button type="submit" disabled={!ready} loading={make.isPending}>
            Make {thing}
          </Button>
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
