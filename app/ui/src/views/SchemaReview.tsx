/** What a new version of a schema would do to live configs, before it is saved. */
import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { request, url } from "../api/client";
import type { Broken, Schema } from "../api/types";
import { Dialog } from "../components/Dialog";
import { Failure, Loading, Notice } from "../components/basics";
import { ConfirmTyped } from "../components/ConfirmTyped";
import { DiffView } from "../editor/DiffView";
import { formatJson } from "../lib/json";
import { useHotkeys } from "../lib/hotkeys";

/** Configs of projects that the person may not see are only counted, never checked; `total` holds them too. */
type Impact = { configs: Broken[]; hidden: number; total: number };

async function ask(id: string, text: string): Promise<Impact> {
  const path = `${url`/v1/schemas/${id}`}?dry_run=true`;
  return (await request<Impact>("PUT", path, { rawBody: `{"schema":${text}}` })).data;
}

export function SchemaReview({
  project,
  schema,
  text,
  onDone,
  onClose,
}: {
  project: string;
  schema: Schema;
  text: string;
  onDone: () => void;
  onClose: () => void;
}) {
  const impact = useQuery({ queryKey: ["impact", schema.id, text], queryFn: () => ask(schema.id, text), retry: false, staleTime: 0 });
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [forcing, setForcing] = useState(false);
  const broken = impact.data?.configs ?? [];
  const total = impact.data?.total ?? 0;
  const hidden = impact.data?.hidden ?? 0;
  const put = (force: boolean) =>
    request("PUT", url`/v1/schemas/${schema.id}` + (force ? "?force=true" : ""), {
      rawBody: `{"schema":${text}}`,
      headers: { "If-Match": `"${schema.version}"` },
    });
  const save = async () => {
    if (!impact.data || total > 0 || busy) return;
    setBusy(true);
    setError(null);
    try {
      await put(false);
      onDone();
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  useHotkeys({ "mod+enter": () => void save() });

  if (forcing) {
    return (
      <ConfirmTyped
        title="Save a schema that live configs break"
        name={schema.name}
        act={`Save version ${schema.version + 1} anyway`}
        onClose={onClose}
        onConfirm={async () => {
          await put(true);
          onDone();
        }}
      >
        <Notice tone="bad" boxed>
          {verdict(total - hidden, hidden, "do")} Configs that do not satisfy it stay as they are and are served on, but none
          of them can be changed until it satisfies the schema.
        </Notice>
        <BrokenList project={project} broken={broken} hidden={hidden} />
      </ConfirmTyped>
    );
  }
  return (
    <Dialog onClose={onClose} size="min(76rem, 96vw)" title={`Review schema ${schema.name}`} closeLabel="Close the review">
      <div className="stack">
        <DiffView before={formatJson(schema.schema)} after={text} beforeLabel={`version ${schema.version}`} afterLabel={`yours, version ${schema.version + 1}`} />
        {impact.isPending && <Loading rows={2} label="Checking it against the live configs" />}
        {impact.error && <Failure error={impact.error} />}
        {impact.data && total === 0 && (
          <Notice tone="good" boxed live>
            Every live config that is bound to it satisfies it.
          </Notice>
        )}
        {total > 0 && (
          <>
            <Notice tone="bad" boxed live>
              {verdict(total - hidden, hidden, "would")} Change those first, or force it.
            </Notice>
            <BrokenList project={project} broken={broken} hidden={hidden} />
          </>
        )}
        {error !== null && <Failure error={error} />}
        <div className="row wrap">
          <Button disabled={!impact.data || total > 0} loading={busy} onClick={() => void save()}>
            Save version {schema.version + 1}
          </Button>
          <Button variant="default" onClick={onClose}>
            Go on editing
          </Button>
          {total > 0 && (
            <Button className="end" variant="subtle" color="red" onClick={() => setForcing(true)}>
              Force it…
            </Button>
          )}
        </div>
      </div>
    </Dialog>
  );
}

function verdict(sure: number, hidden: number, verb: "do" | "would"): string {
  const one = verb === "do" ? "does" : "would";
  const words = sure === 1 ? `1 live config ${one} not satisfy it.` : `${sure} live configs ${verb} not satisfy it.`;
  if (hidden === 0) return words;
  const unseen = `${hidden} in projects that you cannot see ${hidden === 1 ? "was" : "were"} not checked.`;
  return sure === 0 ? unseen : `${words} ${unseen}`;
}

function BrokenList({ project, broken, hidden }: { project: string; broken: Broken[]; hidden: number }) {
  return (
    <ul className="list panel" style={{ maxHeight: "14rem", overflow: "auto" }} aria-label="Configs that would fail">
      {broken.slice(0, 200).map((each) => (
        <li key={`${each.project_id}/${each.key}`} style={{ alignItems: "flex-start" }}>
          <div className="grow stack tight">
            {each.project_id === project || !each.project_id ? (
              <Link className="mono break" to={`/p/${project}/configs/${each.key}`}>
                {each.key}
              </Link>
            ) : (
              <code className="break">
                {each.key} <span className="muted">in project {each.project_id}</span>
              </code>
            )}
            {(each.errors ?? []).slice(0, 5).map((violation, index) => (
              <span key={index} className="muted break">
                <code>{violation.pointer || "/"}</code> {violation.message}
              </span>
            ))}
          </div>
        </li>
      ))}
      {hidden > 0 && <li className="muted">and {hidden} in projects that you cannot see, not checked</li>}
    </ul>
  );
}
