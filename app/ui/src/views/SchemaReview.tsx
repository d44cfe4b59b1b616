/** What a new version of a schema would do to live configs, before it is saved. */
import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link } from "react-router";
import { request, url } from "../api/client";
import { documentOf } from "../api/document";
import { asProblem } from "../api/problem";
import { rehearsing } from "../api/queries";
import type { Broken, Schema } from "../api/types";
import { About, Dialog } from "../components/Dialog";
import { Failure, Loading, Notice } from "../components/basics";
import { ConfirmTyped } from "../components/ConfirmTyped";
import { Refusal } from "../components/Verdict";
import { DiffView } from "../editor/DiffView";
import type { Draft } from "../lib/drafts";
import { formatJson, formatted } from "../lib/json";
import { useHotkeys } from "../lib/hotkeys";

/** Configs of projects that the person may not see are only counted, never checked; `total` holds them too. */
type Impact = { configs: Broken[]; hidden: number; total: number };

async function put<T>(id: string, { text, baseVersion }: Draft, how: "" | "?force=true" | "?dry_run=true"): Promise<T> {
  const headers = { "If-Match": `"${baseVersion}"` };
  return (await request<T>("PUT", url`/v1/schemas/${id}` + how, { rawBody: `{"schema":${documentOf(text)}}`, headers })).data;
}

export function SchemaReview({
  project,
  schema,
  draft,
  onConflict,
  onDone,
  onClose,
}: {
  project: string;
  schema: Schema;
  draft: Draft;
  /** Another version came first. */
  onConflict: () => void;
  onDone: () => void;
  onClose: () => void;
}) {
  const [busy, setBusy] = useState(false);
  const behind = !busy && schema.version > draft.baseVersion;
  const next = draft.baseVersion + 1;
  const impact = useQuery({
    ...rehearsing,
    queryKey: ["impact", schema.id, draft.text, draft.baseVersion],
    queryFn: () => put<Impact>(schema.id, draft, "?dry_run=true"),
    enabled: !busy && !behind,
  });
  const overtaken = impact.error !== null && asProblem(impact.error).isConflict;
  useEffect(() => {
    if (overtaken) onConflict();
    // Only that there is one matters, not which closure is called.
  }, [overtaken]);
  const [error, setError] = useState<unknown>(null);
  const [forcing, setForcing] = useState(false);
  const broken = impact.data?.configs ?? [];
  const total = impact.data?.total ?? 0;
  const hidden = impact.data?.hidden ?? 0;
  const ready = impact.data !== undefined && impact.error === null && !behind;
  const commit = async (how: "" | "?force=true") => {
    try {
      await put(schema.id, draft, how);
      onDone();
    } catch (reason) {
      if (!asProblem(reason).isConflict) throw reason;
      onConflict();
    }
  };
  const save = async () => {
    if (!ready || total > 0 || busy) return;
    setBusy(true);
    setError(null);
    try {
      await commit("");
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
        act={`Save version ${next} anyway`}
        onClose={onClose}
        onConfirm={() => commit("?force=true")}
      >
        <About>
          <Notice tone="bad" boxed>
            {verdict(total - hidden, hidden, "do")} Configs that do not satisfy it stay as they are and are served on, but none
            of them can be changed until it satisfies the schema.
          </Notice>
        </About>
        <BrokenList project={project} broken={broken} hidden={hidden} />
      </ConfirmTyped>
    );
  }
  return (
    <Dialog onClose={onClose} size="min(76rem, 96vw)" title={`Review schema ${schema.name}`} closeLabel="Close the review">
      <div className="stack">
        <DiffView before={formatJson(schema.schema)} after={formatted(draft.text)} beforeLabel={`version ${schema.version}`} afterLabel={behind ? `yours, made on version ${draft.baseVersion}` : `yours, version ${next}`} />
        {behind && (
          <Notice tone="warn" boxed live>
            Version {schema.version} came in while you reviewed. Nothing was saved, and what you typed is kept.
          </Notice>
        )}
        {!behind && impact.isPending && <Loading rows={2} label="Checking it against the live configs" />}
        {!behind && impact.error && <Refusal error={impact.error} onAgain={() => void impact.refetch()} />}
        {ready && total === 0 && (
          <Notice tone="good" boxed live>
            Every live config that is bound to it satisfies it.
          </Notice>
        )}
        {ready && total > 0 && (
          <>
            <Notice tone="bad" boxed live>
              {verdict(total - hidden, hidden, "would")} Change those first, or force it.
            </Notice>
            <BrokenList project={project} broken={broken} hidden={hidden} />
          </>
        )}
        {error !== null && <Failure error={error} />}
        <div className="row wrap">
          {behind ? (
            <Button onClick={onConflict}>Merge version {schema.version} first</Button>
          ) : (
            <Button disabled={!ready || total > 0} loading={busy} onClick={() => void save()}>
              Save version {next}
            </Button>
          )}
          <Button variant="default" onClick={onClose}>
            Go on editing
          </Button>
          {ready && total > 0 && (
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
