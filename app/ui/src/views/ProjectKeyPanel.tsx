import { Button, Select } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { request, url } from "../api/client";
import { About, Dialog } from "../components/Dialog";
import { Failure, Notice } from "../components/basics";
import { ShownOnce } from "../components/ShownOnce";
import { useAsked } from "../lib/address";

const GRACE = [
  { value: "0", label: "at once" },
  { value: "3600", label: "in 1 hour" },
  { value: "86400", label: "in 1 day" },
  { value: "604800", label: "in 7 days" },
];

export function ProjectKeyPanel({ project }: { project: string }) {
  const { asked, ask, close } = useAsked("replace");
  const [grace, setGrace] = useState("86400");
  const rotate = useMutation({
    mutationFn: async () =>
      (await request<{ api_key: string }>("POST", url`/v1/projects/${project}/api-key`, { body: { grace_seconds: Number(grace) } })).data,
    onSuccess: close,
  });
  return (
    <section className="panel" aria-label="Project key">
      <header>
        <h2>Project key</h2>
      </header>
      <div className="body row wrap">
        <span className="grow">Reads every config of the project. It was shown once, when it was made; if it is lost or has leaked, replace it.</span>
        <Button variant="default" onClick={() => ask()}>
          Replace the project key…
        </Button>
      </div>
      {asked !== null && (
        <Dialog onClose={close} title="Replace the project key">
          <div className="stack">
            <About>
              <Notice tone="warn" boxed>
                Programs that still send the old key are refused when it ends.
              </Notice>
            </About>
            <Select label="The old key ends" description="One that has leaked should end at once" data={GRACE} value={grace} onChange={(value) => value && setGrace(value)} allowDeselect={false} />
            {rotate.error && <Failure error={rotate.error} />}
            <div className="row">
              <Button color={grace === "0" ? "red" : undefined} loading={rotate.isPending} onClick={() => rotate.mutate()}>
                Make a new project key
              </Button>
              <Button variant="default" onClick={close}>
                Cancel
              </Button>
            </div>
          </div>
        </Dialog>
      )}
      {rotate.data && asked === null && <ShownOnce title="The new project key" secret={rotate.data.api_key} project={project} onClose={() => rotate.reset()} />}
    </section>
  );
}
