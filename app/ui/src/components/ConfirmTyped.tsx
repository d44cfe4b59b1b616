import { Button, TextInput } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { withCodes } from "../lib/hidden";
import { Dialog } from "./Dialog";
import { Failure } from "./basics";

/** For acts that cannot be taken back lightly: shows what will happen, asks for the name. */
export function ConfirmTyped({
  title,
  name,
  act,
  impossible = false,
  shown,
  size = "lg",
  children,
  onConfirm,
  onClose,
}: {
  title: string;
  /** What has to be typed. */
  name: string;
  /** What the button says. */
  act: string;
  /** It cannot be done (yet), whatever is typed. */
  impossible?: boolean;
  /** Names what is shown, once it is; when that becomes something else, the name is to be typed again. */
  shown?: string;
  size?: string;
  children: ReactNode;
  /** false: it was not done, and `children` say why; the dialog stays. */
  onConfirm: () => Promise<void | boolean>;
  onClose: () => void;
}) {
  const [typed, setTyped] = useState("");
  const [typedFor, setTypedFor] = useState(shown);
  if (typedFor !== shown) {
    setTypedFor(shown);
    if (typedFor !== undefined) setTyped("");
  }
  // A name may hold what is not seen, and cannot be typed either: it is shown, and taken, by its codes.
  const named = typed === name || typed === withCodes(name);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const confirm = async () => {
    setBusy(true);
    setError(null);
    try {
      if ((await onConfirm()) !== false) return onClose();
      setTyped("");
      setBusy(false);
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  return (
    <Dialog onClose={onClose} title={title} size={size}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (named && !busy && !impossible) void confirm();
        }}
      >
        {children}
        <TextInput
          label={
            <>
              Type <code style={{ whiteSpace: "break-spaces" }}>{withCodes(name)}</code> to go on
            </>
          }
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          autoComplete="off"
          data-autofocus
        />
        {error !== null && <Failure error={error} />}
        <div className="row">
          <Button type="submit" color="red" disabled={!named || impossible} loading={busy}>
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
