/** Every edit that is not committed yet; the ticked ones are reviewed and committed together. */
import { Button, Checkbox, Textarea } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { Link, useParams } from "react-router";
import { commitSet, type Edit } from "../api/commit";
import { asProblem, type Problem } from "../api/problem";
import { applyChanges, rehearsing, useConfigs, useMe, useProject } from "../api/queries";
import type { Config } from "../api/types";
import { Badge, Empty, Failure, Loading, Notice, ReasonedButton, usePageTitle } from "../components/basics";
import { Lines, StillAsking } from "../components/Verdict";
import { saveDraft, settleDraft, useDrafts, type Draft } from "../lib/drafts";
import { useHotkeys } from "../lib/hotkeys";
import { formatJson, formatted, isObject, tryParse, type Json } from "../lib/json";
import { dropDraft } from "./drop";
import { useAct } from "./useAct";
import { useAnew } from "./useAnew";
import { useAccess } from "./useCurrentProject";
import { useOpen } from "./useOpen";

const DiffView = lazy(async () => ({ default: (await import("../editor/DiffView")).DiffView }));

type Listed = { key: string; draft: Draft };

function toEdit({ key, draft }: Listed): Edit {
  return { op: draft.op, key, text: draft.text, schemaId: draft.schemaId, baseVersion: draft.baseVersion };
}

type Overtaken = "newer" | "gone" | null;

/** What came between an edit and the set that holds it. Only a whole list tells that a config is gone. */
function overtakenBy(draft: Draft, live: Config | undefined, complete: boolean): Overtaken {
  if ((live?.version ?? 0) > draft.baseVersion) return "newer";
  return complete && !live && draft.baseVersion > 0 ? "gone" : null;
}

export function ChangeSetPage() {
  const { project = "" } = useParams();
  const detail = useProject(project);
  usePageTitle("Change set", detail.data?.name);
  const me = useMe();
  const access = useAccess(project);
  const drafts = useDrafts(me.data?.id ?? "", project);
  const configs = useConfigs(project, null);
  const newest = useMemo(() => new Map((configs.data?.items ?? []).map((each) => [each.key, each])), [configs.data]);
  // While a commit is on its way the watch may tell of its versions first: those are no news.
  const [sentOn, setSentOn] = useState<ReadonlyMap<string, Config> | null>(null);
  const live = sentOn ?? newest;
  const complete = configs.data?.complete === true;
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const [done, setDone] = useState<string | null>(null);
  const open = useOpen();
  // Who waited long looks away: on this page the word stays.
  const tell = (words: string) => (open.current ? setDone(words) : notifications.show({ message: words, color: "accent" }));
  const word = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // What was committed took its button along.
    if (done !== null && document.activeElement === document.body) word.current?.focus();
  }, [done, drafts.length]);
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
        {done !== null && (
          <div ref={word} tabIndex={-1}>
            <Notice tone="good" boxed live>
              {done}
            </Notice>
          </div>
        )}
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
                overtaken={overtakenBy(each.draft, live.get(each.key), complete)}
                included={!left.has(each.key)}
                onInclude={(included) =>
                  setLeft((before) => {
                    const next = new Set(before);
                    if (included) next.delete(each.key);
                    else next.add(each.key);
                    return next;
                  })
                }
                onDiscard={() => dropDraft(me.data?.id ?? "", project, each.key)}
                onAnew={(draft) => saveDraft(me.data?.id ?? "", project, each.key, draft)}
              />
            ))}
            <CommitPanel project={project} user={me.data?.id ?? ""} chosen={chosen} live={live} complete={complete} canEdit={access.canEdit} onSending={(sending) => setSentOn(sending ? newest : null)} onDone={tell} />
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
  overtaken,
  included,
  onInclude,
  onDiscard,
  onAnew,
}: {
  project: string;
  listed: Listed;
  live: Config | null;
  overtaken: Overtaken;
  included: boolean;
  onInclude: (included: boolean) => void;
  onDiscard: () => void;
  onAnew: (draft: Draft) => void;
}) {
  const gone = overtaken === "gone";
  const marked = draft.op === "delete";
  return (
    <section className="panel" aria-label={`Edit of ${key}`}>
      <header className="row wrap">
        <Checkbox checked={included} onChange={(event) => onInclude(event.currentTarget.checked)} aria-label={`Commit ${key} with the others`} />
        <h2 className="grow mono break">
          <Link to={`/p/${project}/configs/${key}`}>{key}</Link>
        </h2>
        {marked ? <Badge tone="bad">to be deleted</Badge> : draft.baseVersion === 0 ? <Badge tone="good">new</Badge> : !gone && <Badge>{overtaken ? `made on version ${draft.baseVersion}` : `version ${draft.baseVersion + 1}`}</Badge>}
        {overtaken === "newer" && (
          <Badge tone="warn">
            version {live?.version} came in: {marked ? "look at it" : "merge it"} first
          </Badge>
        )}
        {overtaken === "newer" && (
          <Button component={Link} to={`/p/${project}/configs/${key}?merge`} size="compact-xs">
            {marked ? "Look at it and decide" : "Merge"}
          </Button>
        )}
        <Button size="compact-xs" variant="default" onClick={onDiscard}>
          Discard
        </Button>
      </header>
      <div className="body stack">
        {gone && <Gone project={project} listed={{ key, draft }} onAnew={onAnew} />}
        {!(gone && marked) && (
          <Suspense fallback={<Loading rows={3} />}>
            <DiffView
              before={live ? formatJson(live.content) : ""}
              after={marked ? "" : formatted(draft.text)}
              beforeLabel={live ? `live, version ${live.version}` : gone ? "deleted" : "nothing yet"}
              afterLabel={marked ? "deleted" : "yours"}
            />
          </Suspense>
        )}
      </div>
    </section>
  );
}

/** The config was deleted after the edit began. */
function Gone({ project, listed: { key, draft }, onAnew }: { project: string; listed: Listed; onAnew: (draft: Draft) => void }) {
  const anew = useAnew(project, key, draft);
  if (draft.op === "delete") {
    return (
      <Notice tone="warn" boxed live>
        This config is deleted already: somebody was before you. Discard the mark.
      </Notice>
    );
  }
  return (
    <Notice tone="warn" boxed live>
      <div className="row wrap">
        <span>This config was deleted while you edited version {draft.baseVersion}. What you typed is untouched.</span>
        <Button size="compact-xs" loading={anew === null} onClick={() => anew && onAnew(anew)}>
          Keep mine as a new config
        </Button>
      </div>
    </Notice>
  );
}

function CommitPanel({
  project,
  user,
  chosen,
  live,
  complete,
  canEdit,
  onSending,
  onDone,
}: {
  project: string;
  user: string;
  chosen: Listed[];
  live: ReadonlyMap<string, Config>;
  complete: boolean;
  canEdit: boolean;
  onSending: (sending: boolean) => void;
  onDone: (words: string) => void;
}) {
  const [comment, setComment] = useState("");
  const act = useAct();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const parsed = chosen.every((each) => each.draft.op === "delete" || tryParse(each.draft.text) !== null);
  const held = chosen.find((each) => overtakenBy(each.draft, live.get(each.key), complete));
  const stamp = chosen.map((each) => `${each.key} ${each.draft.savedAt} ${live.get(each.key)?.version ?? 0}`).join("\n");
  const rehearsal = useQuery({
    queryKey: ["set", project, stamp],
    queryFn: () => commitSet(project, chosen.map(toEdit), { comment: "", act: null }),
    enabled: chosen.length > 0 && parsed && !held && !busy && canEdit,
    ...rehearsing,
  });
  // Where the watch is cut off, only the refusal tells that somebody came first.
  const learn = (problem: unknown) => applyChanges(project, conflictsIn(problem));
  const refusal = rehearsal.error;
  useEffect(() => {
    if (refusal) learn(refusal);
  }, [refusal]);
  const count = chosen.length === 1 ? "1 change" : `${chosen.length} changes`;
  const reason = !canEdit
    ? "Your role lets you read only"
    : chosen.length === 0
      ? "Nothing is ticked"
      : !parsed
        ? "One of the edits is not JSON yet, or has a name twice"
        : held
          ? whyHeld(held, live.has(held.key))
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
      const done = await commitSet(project, chosen.map(toEdit), { comment: comment.trim(), act });
      for (const each of chosen) settleDraft(user, project, each.key, each.draft);
      applyChanges(project, chosen.map((each) => each.key));
      onDone(done.changes.length === 1 ? "1 config is committed" : `${done.changes.length} configs are committed together`);
      setComment("");
    } catch (problem) {
      setError(problem);
      learn(problem);
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
        {rehearsal.error && <SetProblem project={project} problem={asProblem(rehearsal.error)} onAgain={() => void rehearsal.refetch()} />}
        <Textarea label="Comment" description="Why; it stands at each of these changes (optional)" value={comment} onChange={(event) => setComment(event.currentTarget.value)} autosize minRows={1} maxLength={2000} />
        {busy && <StillAsking />}
        {error !== null && <SetProblem project={project} problem={asProblem(error)} />}
        <div className="row">
          <ReasonedButton reason={reason} loading={busy} onClick={() => void commit()}>
            {`Commit ${count}`}
          </ReasonedButton>
        </div>
      </div>
    </section>
  );
}

function whyHeld({ key, draft }: Listed, live: boolean): string {
  const marked = draft.op === "delete";
  if (live) return `${key}: a newer version came in; open it and ${marked ? "look at it" : "merge"}`;
  return marked ? `${key}: it is deleted already; discard the mark` : `${key}: it was deleted meanwhile; keep yours as a new config, or discard it`;
}

function conflictsIn(problem: unknown): string[] {
  const { conflicts } = asProblem(problem).body;
  const keys = (Array.isArray(conflicts) ? conflicts : []).map((each) => isObject(each) && each.key);
  return keys.filter((key) => typeof key === "string");
}

/** Each conflict and each violation, one step from the edit that it is about. */
function SetProblem({ project, problem, onAgain }: { project: string; problem: Problem; onAgain?: () => void }) {
  const lines = [problem.body.conflicts, problem.body.errors, problem.body.violations]
    .flatMap((each) => (Array.isArray(each) ? each : []))
    .map((entry) =>
      isObject(entry) && typeof entry.key === "string" ? (
        <>
          <Link to={`/p/${project}/configs/${entry.key}`}>{entry.key}</Link> {lineOf(entry)}
        </>
      ) : (
        lineOf(entry)
      ),
    );
  if (lines.length === 0) return <Failure error={problem} retry={problem.isAway ? onAgain : undefined} />;
  return <Lines title={problem.title} lines={lines} />;
}

function lineOf(entry: Json): string {
  if (!isObject(entry)) return String(entry);
  const where = typeof entry.pointer === "string" && entry.pointer !== "" ? `${entry.pointer}: ` : "";
  if (typeof entry.message === "string") return `${where}${entry.message}`;
  if (Array.isArray(entry.errors)) return `${where}${entry.errors.map((each) => (isObject(each) ? String(each.message) : "")).join("; ")}`;
  return `${where}${entry.deleted === true ? "deleted as" : "live is"} version ${String(entry.current_version)}`;
}
