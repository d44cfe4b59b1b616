import { Button } from "@mantine/core";
import { useEffect } from "react";
import { useBlocker } from "react-router";
import { url } from "../api/client";
import { About, Dialog } from "./Dialog";
import { Copy, Notice } from "./basics";

/** A secret that the service will not tell again. */
export function ShownOnce({
  title,
  secret,
  project,
  onClose,
}: {
  title: string;
  secret: string;
  /** What it reads. */
  project: string;
  onClose: () => void;
}) {
  // The browser's Back, one touch away on a phone, would take it for ever.
  const blocked = useBlocker(({ historyAction }) => historyAction === "POP");
  useEffect(() => {
    if (blocked.state === "blocked") blocked.reset();
  }, [blocked]);
  return (
    <Dialog
      onClose={onClose}
      title={title}
      size="lg"
      closeOnClickOutside={false}
      closeOnEscape={false}
      withCloseButton={false}
    >
      <div className="stack">
        <About>
          <Notice tone="warn" boxed>
            This key is shown once. Copy it now; afterwards it can only be replaced.
          </Notice>
        </About>
        <div className="row wrap">
          <code className="break" data-testid="secret">
            {secret}
          </code>
          <Copy value={secret} label="Copy key" />
        </div>
        <pre className="mono muted break" style={{ whiteSpace: "pre-wrap", margin: 0 }}>
          {`curl -H "X-API-Key: $KEY" ${window.location.origin}${url`/v1/projects/${project}/configs`}`}
        </pre>
        <div className="row">
          <Button onClick={onClose} data-autofocus>
            I have stored the key
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
