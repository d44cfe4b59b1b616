/**
 * Base, theirs and mine, and what becomes of them. Nothing typed is lost: the draft's text changes
 * only at the end, and what is chosen and typed before is kept with it.
 */
import { Button, SegmentedControl } from "@mantine/core";
import { useMemo, useState } from "react";
import { useRevision } from "../api/queries";
import type { Config } from "../api/types";
import { Dialog } from "../components/Dialog";
import { Badge, Failure, Loading, Notice, ReasonedButton } from "../components/basics";
import { JsonEditor } from "../editor/JsonEditor";
import { STILL_CHECKING, useIssues } from "../editor/useIssues";
import type { BegunMerge, Draft } from "../lib/drafts";
import { formatJson, parseJson, summarize, tryParse, type Json } from "../lib/json";
import { merge3, type Conflict, type Side } from "../lib/merge3";
import { isDeletion } from "./CompareView";
import { MarkedMerge } from "./MarkedMerge";

const NOT_BEGUN: Pick<BegunMerge, "sides" | "edited" | "overtaken"> = { sides: {}, edited: null, overtaken: false };

/** What came in: of a config or of a schema. */
export type Theirs = { version: number; content: Json };
/** What the edit was made on; `content` is undefined where there was nothing. */
type Before = { known: boolean; content: Json | undefined; error: unknown; retry: () => void };
type Keep = (merge: BegunMerge) => void;
type Act = (text: string, version: number, op?: Draft["op"]) => void;

export function ConfigMerge({
  project,
  configKey,
  live,
  draft,
  ...acts
}: {
  project: string;
  configKey: string;
  live: Config;
  draft: Draft;
  onKeep: Keep;
  onMerged: Act;
  onTheirs: () => void;
  onUnmark: (edited: boolean) => void;
  onClose: () => void;
}) {
  const revision = useRevision(project, configKey, draft.baseVersion);
  const before = {
    known: draft.baseVersion === 0 || revision.data !== undefined,
    content: revision.data && !isDeletion(revision.data) ? revision.data.content : undefined,
    error: revision.error,
    retry: () => void revision.refetch(),
  };
  return <MergeDialog name={configKey} newest={live} before={before} draft={draft} {...acts} />;
}

export function MergeDialog({
  name,
  newest,
  before,
  draft,
  onKeep,
  onMerged,
  onTheirs,
  onUnmark,
  onClose,
}: {
  name: string;
  newest: Theirs;
  before: Before;
  draft: Draft;
  onKeep: Keep;
  onMerged: Act;
  /** What was typed is dropped. */
  onTheirs: () => void;
  /** Of a mark to delete, for what can have one: it is dropped; whether something was typed before. */
  onUnmark?: (edited: boolean) => void;
  onClose: () => void;
}) {
  /** What is merged stays what it was when the merge began: sides were chosen and text was edited for it. */
  const [begun, setBegun] = useState<Theirs | null>(() => begunBefore(draft));
  if (begun === null && newest.version > draft.baseVersion) setBegun(newest);
  const live = begun ?? newest;
  const marked = draft.op === "delete" && onUnmark;
  const parts = { base: before.content, live, newest: newest.version, draft, onClose };
  return (
    <Dialog
      onClose={onClose}
      closeOnEscape={false}
      closeOnClickOutside={false}
      size="min(84rem, 97vw)"
      title={marked ? `Delete ${name}, or keep it` : begun ? `Merge version ${live.version} into your edit of ${name}` : `Merge into your edit of ${name}`}
      closeLabel="Close the merge"
    >
      {before.error ? (
        <Failure error={before.error} retry={before.retry} />
      ) : !begun || !before.known ? (
        <>
          <Loading rows={6} />
          {begun === null && (
            <p className="muted late">Your edit is of version {draft.baseVersion}, the newest that this page knows: nothing to merge yet.</p>
          )}
        </>
      ) : marked ? (
        <MarkedMerge {...parts} onKeep={(text) => onMerged(text, live.version, "delete")} onUnmark={marked} />
      ) : (
        <Merge {...parts} onKeep={onKeep} onTheirs={onTheirs} onMerged={(text) => onMerged(text, live.version)} />
      )}
    </Dialog>
  );
}

/** The merge that somebody put off. */
function begunBefore({ merge, baseVersion }: Draft): Theirs | null {
  return merge && merge.version > baseVersion ? { version: merge.version, content: parseJson(merge.theirs) } : null;
}

function Merge({
  base,
  live,
  newest,
  draft,
  onKeep,
  onMerged,
  onTheirs,
  onClose,
}: {
  base: Json | undefined;
  live: Theirs;
  newest: number;
  draft: Draft;
  onKeep: Keep;
  onMerged: (text: string) => void;
  onTheirs: () => void;
  onClose: () => void;
}) {
  const mine = useMemo(() => tryParse(draft.text), [draft.text]);
  const theirs = useMemo(() => formatJson(live.content), [live.content]);
  const kept = draft.merge?.version === live.version ? draft.merge : null;
  const { sides, edited, overtaken } = kept ?? NOT_BEGUN;
  const keep = (changes: Partial<BegunMerge>) => onKeep({ version: live.version, theirs, sides, edited, overtaken, ...changes });
  const merged = useMemo(
    () => (mine ? merge3(base, live.content, mine.value, (pointer) => sides[pointer] ?? "mine") : null),
    [base, live.content, mine, sides],
  );
  const made = useMemo(() => (merged?.value === undefined ? draft.text : formatJson(merged.value)), [merged, draft.text]);
  const text = edited ?? made;
  const verdict = useIssues(text, null, true);
  const { issues } = verdict;
  const open = (merged?.conflicts ?? []).filter((each) => sides[each.pointer] === undefined);
  const reason =
    issues.length > 0
      ? (issues[0]?.message ?? null)
      : open.length > 0
        ? `Choose a side for ${open.length === 1 ? "the conflict" : `${open.length} conflicts`} first`
        : overtaken
          ? "Choose first what becomes of the result that you edited"
          : verdict.text !== text
            ? STILL_CHECKING
            : null;

  return (
    <div className="stack">
      <div className="three">
        <Pane title={draft.baseVersion === 0 ? "Before: nothing" : `Before: version ${draft.baseVersion}`} content={base} />
        <Pane title={`Theirs: version ${live.version}`} content={live.content} />
        <Pane title="Mine" content={mine?.value} otherwise={draft.text} />
      </div>
      {merged ? (
        <div className="row wrap">
          <Badge tone="info">{merged.fromTheirs.length} taken from theirs</Badge>
          <Badge tone="good">{merged.fromMine.length} kept of mine</Badge>
          <Badge tone={merged.conflicts.length > 0 ? "warn" : "plain"}>{merged.conflicts.length} changed by both</Badge>
        </div>
      ) : (
        <Notice tone="warn" boxed>
          Your text is not JSON at the moment, or has a name twice, so it cannot be merged field by field. Bring over by hand what you need.
        </Notice>
      )}
      {merged && merged.conflicts.length > 0 && (
        <ul className="list panel" aria-label="Changed by both">
          {merged.conflicts.map((conflict) => (
            <ConflictRow
              key={conflict.pointer}
              conflict={conflict}
              side={sides[conflict.pointer]}
              disabled={edited !== null}
              onSide={(side) => keep({ sides: { ...sides, [conflict.pointer]: side } })}
            />
          ))}
        </ul>
      )}
      <div className="pane">
        <div className="row wrap" style={{ margin: "0 0 0.25rem" }}>
          <h3 style={{ margin: 0 }}>Result</h3>
          <span className="muted">
            {open.length > 0 ? "You can edit it when each side is chosen." : edited === null ? "You can edit it." : "You have edited it: sides no longer change it."}
          </span>
          {edited !== null && (
            <Button size="compact-xs" variant="default" onClick={() => keep({ edited: null, overtaken: false })}>
              Undo my edit of the result
            </Button>
          )}
        </div>
        <div style={{ height: "13rem", border: "1px solid var(--g-line)", borderRadius: 6, overflow: "auto" }}>
          <JsonEditor value={text} label="Result of the merge" readOnly={open.length > 0} issues={issues} onChange={(next) => next !== text && keep({ edited: next })} />
        </div>
      </div>
      {overtaken && (
        <Notice tone="warn" boxed live>
          <div className="row wrap">
            <span>After you had edited this result you went on with your own text: what you typed there since is not in it.</span>
            <Button size="compact-xs" onClick={() => keep({ edited: null, overtaken: false })}>
              Make the result anew from my text
            </Button>
            <Button size="compact-xs" variant="default" onClick={() => keep({ overtaken: false })}>
              Keep the result as I edited it
            </Button>
          </div>
        </Notice>
      )}
      {newest > live.version && (
        <Notice tone="warn" boxed live>
          Version {newest} came in meanwhile. Finish this merge; you are asked to merge that one next.
        </Notice>
      )}
      <div className="row wrap">
        <ReasonedButton reason={reason} onClick={() => onMerged(text)}>
          {`Go on editing on version ${live.version}`}
        </ReasonedButton>
        <Button variant="default" onClick={onTheirs}>
          Take theirs, drop mine
        </Button>
        <Button variant="default" onClick={onClose}>
          Decide later
        </Button>
      </div>
    </div>
  );
}

/** `otherwise` is shown where there is no content. */
function Pane({ title, content, otherwise = "" }: { title: string; content: Json | undefined; otherwise?: string }) {
  const text = useMemo(() => (content === undefined ? otherwise : formatJson(content)), [content, otherwise]);
  return (
    <section className="pane" aria-label={title}>
      <header>
        <strong>{title}</strong>
      </header>
      <div className="code">
        <JsonEditor value={text} label={title} readOnly />
      </div>
    </section>
  );
}

function ConflictRow({ conflict, side, disabled, onSide }: { conflict: Conflict; side: Side | undefined; disabled: boolean; onSide: (side: Side) => void }) {
  const shown = (value: Json | undefined): string => (value === undefined ? "removed" : summarize(value));
  return (
    <li>
      <div className="grow stack tight">
        <code className="break">{conflict.pointer || "the whole document"}</code>
        <span className="muted break">
          was {conflict.base === undefined ? "not there" : summarize(conflict.base)} · theirs {shown(conflict.theirs)} · mine{" "}
          {shown(conflict.mine)}
        </span>
      </div>
      <SegmentedControl
        size="xs"
        aria-label={`Which side for ${conflict.pointer || "the document"}`}
        value={side ?? ""}
        disabled={disabled}
        onChange={(value) => onSide(value as Side)}
        data={[
          { value: "theirs", label: "Theirs" },
          { value: "mine", label: "Mine" },
        ]}
      />
    </li>
  );
}
