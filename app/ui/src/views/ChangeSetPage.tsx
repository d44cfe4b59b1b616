/** Every edit that is not committed yet; the ticked ones are reviewed and committed together. */
import { Button, Textarea } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState, type RefObject } from "react";
import { Link, useParams } from "react-router";
import { commitSet, type Edit } from "../api/commit";
import { asProblem, type Problem } from "../api/problem";
import { applyChanges, rehearsing, useConfigs, useMe, useProject } from "../api/queries";
import type { Config } from "../api/types";
import { Empty, Failure, Loading, Notice, ReasonedButton, usePageTitle } from "../components/basics";
import { Lines, StillAsking } from "../components/Verdict";
import { saveDraft, settleDraft, useDrafts, type Draft } from "../lib/drafts";
import { useHotkeys } from "../lib/hotkeys";
import { isObject, tryParse, type Json } from "../lib/json";
import { ChangeOverview } from "./ChangeOverview";
import { dropDraft } from "./drop";
import { EditPanel, overtakenBy } from "./EditPanel";
import { useAct } from "./useAct";
import { useAccess } from "./useCurrentProject";
import { useFolds } from "./useFolds";
import { useOpen } from "./useOpen";

/** So many need no overview. */
const SEEN_AT_ONCE = 3;

type Listed = { key: string; draft: Draft };

function toEdit({ key, draft }: Listed): Edit {
  return { op: draft.op, key, text: draft.text, schemaId: draft.schemaId, baseVersion: draft.baseVersion };
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
  const comment = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    // What was committed took its button along.
    if (done !== null && document.activeElement === document.body) word.current?.focus();
  }, [done, drafts.length]);
  const chosen = useMemo(() => drafts.filter((each) => !left.has(each.key)), [drafts, left]);
  const folds = useFolds(drafts.length);
  const user = me.data?.id ?? "";
  const acts = useMemo(
    () => ({
      include: (key: string, included: boolean) =>
        setLeft((before) => {
          const next = new Set(before);
          if (included) next.delete(key);
          else next.add(key);
          return next;
        }),
      discard: (key: string) => dropDraft(user, project, key),
      anew: (key: string, draft: Draft) => saveDraft(user, project, key, draft),
    }),
    [user, project],
  );
  const edits = drafts.map(({ key, draft }) => ({
    key,
    draft,
    live: live.get(key) ?? null,
    overtaken: overtakenBy(draft, live.get(key), complete),
    included: !left.has(key),
  }));

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
            {edits.length > SEEN_AT_ONCE && <ChangeOverview edits={edits} folds={folds} onCommit={() => comment.current?.focus()} />}
            {edits.map((each) => (
              <EditPanel key={each.key} project={project} name={each.key} draft={each.draft} live={each.live} overtaken={each.overtaken} included={each.included} acts={acts} open={folds.isOpen(each.key)} onOpen={folds.set} />
            ))}
            <CommitPanel project={project} user={user} field={comment} chosen={chosen} live={live} complete={complete} canEdit={access.canEdit} onSending={(sending) => setSentOn(sending ? newest : null)} onDone={tell} />
          </>
        )}
      </div>
    </main>
  );
}

function CommitPanel({
  project,
  user,
  field,
  chosen,
  live,
  complete,
  canEdit,
  onSending,
  onDone,
}: {
  project: string;
  user: string;
  /** Where the comment is typed. */
  field: RefObject<HTMLTextAreaElement | null>;
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
  // Not for each letter of the comment: there may be hundreds of documents.
  const parsed = useMemo(() => chosen.every((each) => each.draft.op === "delete" || tryParse(each.draft.text) !== null), [chosen]);
  const held = useMemo(() => chosen.find((each) => overtakenBy(each.draft, live.get(each.key), complete)), [chosen, live, complete]);
  const stamp = useMemo(() => chosen.map((each) => `${each.key} ${each.draft.savedAt} ${live.get(each.key)?.version ?? 0}`).join("\n"), [chosen, live]);
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
        <Textarea ref={field} label="Comment" description="Why; it stands at each of these changes (optional)" value={comment} onChange={(event) => setComment(event.currentTarget.value)} autosize minRows={1} maxLength={2000} />
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
