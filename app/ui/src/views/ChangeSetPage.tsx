/** Every edit that is not committed yet; the ticked ones are reviewed and committed together. */
import { Button, Checkbox, Textarea } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useMemo, useState } from "react";
import { Link, useParams } from "react-router";
import { commitSet, newActId, type Edit } from "../api/commit";
import { asProblem, type Problem } from "../api/problem";
import { applyChanges, useConfigs, useMe, useProject } from "../api/queries";
import type { Config } from "../api/types";
import { Badge, Empty, Failure, Loading, Notice, ReasonedButton, usePageTitle } from "../components/basics";
import { Lines, StillAsking } from "../components/Verdict";
import { discardDraft, useDrafts, type Draft } from "../lib/drafts";
import { useHotkeys } from "../lib/hotkeys";
import { formatJson, formatted, isObject, tryParse, type Json } from "../lib/json";
import { useAccess } from "./useCurrentProject";

const DiffView = lazy(async () => ({ default: (await import("../editor/DiffView")).DiffView }));

type Listed = { key: string; draft: Draft };

function toEdit({ key, draft }: Listed): Edit {
  return { op: draft.op, key, text: draft.text, schemaId: draft.schemaId, baseVersion: draft.baseVersion };
}

export function ChangeSetPage() {
  const { project = "" } = useParams();
  const detail = useProject(project);
  usePageTitle(`Change set · ${detail.data?.name ?? ""}`);
  const me = useMe();
  const access = useAccess(project);
  const drafts = useDrafts(me.data?.id ?? "", project);
  const configs = useConfigs(project, null);
  const newest = useMemo(() => new Map((configs.data?.items ?? []).map((each) => [each.key, each])), [configs.data]);
  // While a commit is on its way the watch may tell of its versions first: those are no news.
  const [sentOn, setSentOn] = useState<ReadonlyMap<string, Config> | null>(null);
  const live = sentOn ?? newest;
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const chosen = drafts.filter((each) => !left.has(each.key));

  return (
    <main id="main" className="main">
      <div className="page">
        <div className="page-head">
          <div>
            <h1>Change set</h1>
            <p>What you edited and have not committed. The ticked edits are committed together: all of them or none.</p>
          </div>
        </div>
        {drafts.length === 0 ? (
          <section className="panel">
            <Empty
              title="Nothing is waiting to be committed"
              action={
                <Button component={Link} to={`/p/${project}/configs`}>
                  Go to the configs
                </Button>
              }
            >
              Edit one or several configs; each edit is kept here until you commit or discard it.
            </Empty>
          </section>
        ) : configs.isPending ? (
          <Loading />
        ) : (
          <>
            {drafts.map((each) => (
              <EditPanel
                key={each.key}
                project={project}
                listed={each}
                live={live.get(each.key) ?? null}
                included={!left.has(each.key)}
                onInclude={(included) =>
                  setLeft((before) => {
                    const next = new Set(before);
                    if (included) next.delete(each.key);
                    else next.add(each.key);
                    return next;
                  })
                }
                onDiscard={() => discardDraft(me.data?.id ?? "", project, each.key)}
              />
            ))}
            <CommitPanel project={project} user={me.data?.id ?? ""} chosen={chosen} live={live} canEdit={access.canEdit} onSending={(sending) => setSentOn(sending ? newest : null)} />
          </>
        )}
      </div>
    </main>
  );
}

function EditPanel({
  project,
  listed: { key, draft },
  live,
  included,
  onInclude,
  onDiscard,
}: {
  project: string;
  listed: Listed;
  live: Config | null;
  included: boolean;
  onInclude: (included: boolean) => void;
  onDiscard: () => void;
}) {
  const behind = (live?.version ?? 0) > draft.baseVersion;
  return (
    <section className="panel" aria-label={`Edit of ${key}`}>
      <header className="row wrap">
        <Checkbox checked={included} onChange={(event) => onInclude(event.currentTarget.checked)} aria-label={`Commit ${key} with the others`} />
        <h2 className="grow mono break">
          <Link to={`/p/${project}/configs/${key}`}>{key}</Link>
        </h2>
        {draft.op === "delete" ? <Badge tone="bad">deleted</Badge> : draft.baseVersion === 0 ? <Badge tone="good">new</Badge> : <Badge>version {draft.baseVersion + 1}</Badge>}
        {behind && <Badge tone="warn">version {live?.version} came in: merge it first</Badge>}
        <Button size="compact-xs" variant="default" onClick={onDiscard}>
          Discard
        </Button>
      </header>
      <div className="body">
        <Suspense fallback={<Loading rows={3} />}>
          <DiffView
            before={live ? formatJson(live.content) : ""}
            after={draft.op === "delete" ? "" : formatted(draft.text)}
            beforeLabel={live ? `live, version ${live.version}` : "nothing yet"}
            afterLabel={draft.op === "delete" ? "deleted" : "yours"}
          />
        </Suspense>
      </div>
    </section>
  );
}

function CommitPanel({
  project,
  user,
  chosen,
  live,
  canEdit,
  onSending,
}: {
  project: string;
  user: string;
  chosen: Listed[];
  live: ReadonlyMap<string, Config>;
  canEdit: boolean;
  onSending: (sending: boolean) => void;
}) {
  const [comment, setComment] = useState("");
  const [actId, setActId] = useState(newActId);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const parsed = chosen.every((each) => each.draft.op === "delete" || tryParse(each.draft.text) !== null);
  const behind = chosen.find((each) => (live.get(each.key)?.version ?? 0) > each.draft.baseVersion);
  const stamp = chosen.map((each) => `${each.key} ${each.draft.savedAt} ${live.get(each.key)?.version ?? 0}`).join("\n");
  const rehearsal = useQuery({
    queryKey: ["set", project, stamp],
    queryFn: () => commitSet(project, chosen.map(toEdit), { comment: "", dryRun: true, actId: "" }),
    enabled: chosen.length > 0 && parsed && !behind && canEdit,
    retry: false,
    staleTime: 0,
  });
  const count = chosen.length === 1 ? "1 change" : `${chosen.length} changes`;
  const reason = !canEdit
    ? "Your role lets you read only"
    : chosen.length === 0
      ? "Nothing is ticked"
      : !parsed
        ? "One of the edits is not JSON yet"
        : behind
          ? `${behind.key}: a newer version came in; open it and merge`
          : rehearsal.isPending
            ? "Asking the service whether it would accept this"
            : rehearsal.error
              ? "The service would not accept this; see why above"
              : null;

  const commit = async () => {
    if (reason !== null || busy) return;
    setBusy(true);
    onSending(true);
    setError(null);
    try {
      const done = await commitSet(project, chosen.map(toEdit), { comment: comment.trim(), dryRun: false, actId });
      for (const each of chosen) discardDraft(user, project, each.key);
      applyChanges(project, chosen.map((each) => each.key));
      notifications.show({ message: done.changes.length === 1 ? "1 config is committed" : `${done.changes.length} configs are committed together`, color: "accent" });
      setComment("");
      setActId(newActId());
    } catch (problem) {
      setError(problem);
    } finally {
      onSending(false);
      setBusy(false);
    }
  };
  useHotkeys({ "mod+enter": () => void commit() });

  return (
    <section className="panel" aria-label="Commit">
      <div className="body stack">
        {rehearsal.data && (
          <Notice tone="good" boxed live>
            The service would accept these together.
          </Notice>
        )}
        {rehearsal.error && <SetProblem problem={asProblem(rehearsal.error)} />}
        <Textarea label="Comment" description="Why; it stands at each of these changes (optional)" value={comment} onChange={(event) => setComment(event.currentTarget.value)} autosize minRows={1} maxLength={2000} />
        {busy && <StillAsking />}
        {error !== null && <SetProblem problem={asProblem(error)} />}
        <div className="row">
          <ReasonedButton reason={reason} loading={busy} onClick={() => void commit()}>
            {`Commit ${count}`}
          </ReasonedButton>
        </div>
      </div>
    </section>
  );
}

/** Each conflict and each violation with its key. */
function SetProblem({ problem }: { problem: Problem }) {
  const lines = [problem.body.conflicts, problem.body.errors, problem.body.violations]
    .flatMap((each) => (Array.isArray(each) ? each : []))
    .map(lineOf);
  if (lines.length === 0) return <Failure error={problem} />;
  return <Lines title={problem.title} lines={lines} />;
}

function lineOf(entry: Json): string {
  if (!isObject(entry)) return String(entry);
  const where = [entry.key, entry.pointer].filter((each) => typeof each === "string" && each !== "").join(" ");
  if (typeof entry.message === "string") return `${where}: ${entry.message}`;
  if (Array.isArray(entry.errors)) return `${where}: ${entry.errors.map((each) => (isObject(each) ? String(each.message) : "")).join("; ")}`;
  return `${where}: live is version ${String(entry.current_version)}`;
}
