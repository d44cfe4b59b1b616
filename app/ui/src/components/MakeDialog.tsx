import type { UseMutationResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { FormDialog } from "./FormDialog";

/** Asks for what a new thing needs, and makes it once. */
export function MakeDialog({
  thing,
  make,
  ...rest
}: {
  thing: string;
  make: UseMutationResult<unknown, Error, void>;
  ready: boolean;
  onClose: () => void;
  children: ReactNode;
}) {
  return <FormDialog title={`New ${thing}`} act={`Make ${thing}`} doing={make} {...rest} />;
}
