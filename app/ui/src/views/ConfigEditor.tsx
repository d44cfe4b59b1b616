/** The live config, editable: text and form are two views of one draft. */
import { Button, SegmentedControl, Tooltip } from "@mantine/core";
import { IconAlertOctagon, IconAlignLeft, IconTrash } from "@tabler/icons-react";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { useLocation } from "react-router";
import { useSchema } from "../api/queries";
import type { Config } from "../api/types";
import type { WatchEvent } from "../api/watch";
import { Loading, Notice, ReasonedButton } from "../components/basics";
import type { SchemaAssist } from "../editor/assist";
import { JsonEditor, type EditorHandle } from "../editor/JsonEditor";
import { STILL_CHECKING, useIssues, type Verdict } from "../editor/useIssues";
import type { FormHandle } from "../form/FormView";
import { useRefusals } from "../form/useRefusals";
import { useAddress } from "../lib/address";
import { draftAfter, draftTrouble, useDraft, type Draft } from "../lib/drafts";
import { useHotkeys } from "../lib/hotkeys";
import type { Issue } from "../lib/ijson";
import { formatJson, tryParse } from "../lib/json";
import { linesAt, placeViolations, pointerAt } from "../lib/places";
import { useStore } from "../lib/store";
import { ConfigHead } from "./ConfigHead";
import { dropDraft } from "./drop";
import { ConfigMerge } from "./MergeDialog";
import type { Arrival } from "./NewConfig";
import { NewsBar } from "./NewsBar";
import { notYet } from "./notYet";
import { ReviewDialog } from "./ReviewDialog";
import { SchemaSelect } from "./SchemaSelect";
import { useAnew } from "./useAnew";

const FormView = lazy(async () => ({ default: (await import("../form/FormView")).FormView }));

type Props = {
  project: string;
  configKey: string;
  user: string;
  /** null: there is none yet; the draft is of version 1 (or of one after a deletion). */
  live: Config | null;
  arrived: WatchEvent | null;
  readOnlyReason: string | null;
  onHistory: () => void;
  historyOpen: boolean;
};

export function ConfigEditor(props: Props) {
  const { project, configKey, user, live, readOnlyReason } = props;
  const [search, address] = useAddress();
  const { draft, save, discard, settle } = useDraft(user, project, configKey);
  const liveText = useMemo(() => (live ? formatJson(live.content) : ""), [live]);
  const text = draft?.op === "put" ? draft.text : liveText;
  const schemaId = draft?.schemaId === undefined ? (live?.schema_id ?? null) : draft.schemaId;
  const schema = useSchema(schemaId).data ?? null;
  const assist = useAssist(schema?.schema);
  const editable = readOnlyReason === null;
  const verdict = useIssues(text, schema, editable && draft !== null && draft.op === "put");
  const form = search.get("view") === "form";
  const [refusals, refuse] = useRefusals();
  const issues = useMemo(() => [...placeViolations(verdict.text, refusals), ...verdict.issues], [verdict, refusals]);
  const { state } = useLocation();
  const { editor, formView, jump } = useJump(form, verdict.text, () => address({ view: null }, true));
  /** Counts what was discarded: the fields of the form are made anew, and what they refused is gone. */
  const [round, setRound] = useState(0);
  const drop = () => (dropDraft(user, project, configKey), setRound(round + 1));
  const reviewing = search.has("review");
  const merging = search.has("merge");
  const { caret } = (state ?? {}) as Arrival;
  useEffect(() => {
    if (caret !== undefined) editor.current?.jump(caret);
  }, [editor, caret]);
  // An address that is shared or left behind by another tab: the next letter must not open a dialog.
  useEffect(() => {
    if (!draft && (reviewing || merging)) address({ review: null, merge: null }, true);
  }, [draft, reviewing, merging, address]);
  // The version of a commit that is on its way is no news, even if the watch tells of it first.
  const [sending, setSending] = useState(false);
  const behind = !sending && draft !== null && live !== null && live.version > draft.baseVersion;
  const gone = !sending && draft !== null && live === null && draft.baseVersion > 0;
  const anew = useAnew(project, configKey, gone ? draft : null);
  const trouble = useStore(draftTrouble);

  const change = (changes: Partial<Draft>) => {
    const next = draftAfter(draft, live && { version: live.version, schema_id: live.schema_id, text: liveText }, changes);
    if (next) save(next);
    else discard();
  };
  const format = () => {
    const parsed = tryParse(text);
    if (parsed) change({ text: formatJson(parsed.value) });
  };

  const reason = whyNot(readOnlyReason, draft, behind, live, issues, verdict.text === text);
  const nextVersion = (live?.version ?? 0) + 1;
  const review = () => reason === null && (address({ review: "" }), true);
  useHotkeys({
    e: () => (form ? undefined : editor.current?.focus()),
    "mod+s": () => review() || notYet(reason),
  });
  useEffect(() => {
    const listener = (event: KeyboardEvent) => {
      if (event.altKey && event.shiftKey && event.code === "KeyF" && editable) {
        event.preventDefault();
        format();
      }
    };
    window.addEventListener("keydown", listener);
    return () => window.removeEventListener("keydown", listener);
  });

  return (
    <>
      <ConfigHead {...props} config={live} gone={gone} />
      {readOnlyReason && <Notice tone="info">{readOnlyReason}</Notice>}
      {trouble && <Notice tone="warn">{trouble}</Notice>}
      <NewsBar
        live={live}
        draft={draft}
        behind={behind}
        arrived={props.arrived}
        onSee={() => draft && live && address({ diff: `${draft.baseVersion}..${live.version}` })}
        onMerge={() => address({ merge: "" })}
        onAnew={anew && (() => (save(anew), address({ merge: null }, true)))}
        onDrop={drop}
      />
      <div className="doc-tools">
        <SegmentedControl
          size="xs"
          aria-label="How the document is shown"
          value={form ? "form" : "text"}
          onChange={(value) => address({ view: value === "form" ? "form" : null }, true)}
          data={[
            { value: "text", label: "JSON" },
            { value: "form", label: "Form" },
          ]}
        />
        {editable && draft?.op !== "delete" && (
          <>
            <Tooltip label="Shift+Alt+F">
              <Button size="compact-sm" variant="default" leftSection={<IconAlignLeft size={14} />} onClick={format}>
                Format
              </Button>
            </Tooltip>
            <SchemaSelect
              size="xs"
              aria-label="Schema"
              placeholder="No schema"
              project={project}
              value={schemaId}
              onChange={(id) => change({ schemaId: id === (live?.schema_id ?? null) ? undefined : id })}
              w={190}
              clearButtonProps={{ "aria-label": "Remove the schema" }}
            />
          </>
        )}
        {editable && live && draft?.op !== "delete" && (
          <Button className="end" size="compact-sm" variant="subtle" color="red" leftSection={<IconTrash size={14} />} onClick={() => change({ op: "delete" })}>
            Delete…
          </Button>
        )}
      </div>
      <div className="doc-body">
        {draft?.op === "delete" ? (
          <div className="page">
            <Notice tone="warn" boxed>
              {configKey} is marked to be deleted. Nothing has happened yet: review it below, or undo the mark.
            </Notice>
            <div className="row">
              <Button variant="default" onClick={() => change({ text: draft.text || liveText })}>
                Undo the mark
              </Button>
            </div>
          </div>
        ) : form ? (
          <Suspense fallback={<div className="page"><Loading /></div>}>
            <FormView
              key={round}
              ref={formView}
              text={text}
              schema={schema?.schema ?? null}
              issues={verdict.issues}
              readOnly={!editable}
              refuse={refuse}
              onChange={(next) => change({ text: next })}
              onShowText={() => address({ view: null }, true)}
            />
          </Suspense>
        ) : (
          <JsonEditor
            ref={editor}
            value={text}
            label={`Content of ${configKey}`}
            base={draft?.baseVersion ?? live?.version}
            readOnly={!editable}
            issues={verdict.issues}
            assist={assist}
            onChange={(next) => next !== text && change({ text: next })}
          />
        )}
      </div>
      <IssueList issues={issues} text={verdict.text} onJump={jump} />
      {editable && (
        <footer className="doc-foot">
          <ReasonedButton reason={reason} onClick={review}>
            {draft?.op === "delete"
              ? `Review deletion${live ? ` as version ${nextVersion}` : ""}`
              : live
                ? `Review version ${nextVersion}`
                : "Review the new config"}
          </ReasonedButton>
          {(draft || refusals.length > 0) && (
            <Button variant="default" onClick={drop}>
              {live ? "Discard what I changed" : "Discard this draft"}
            </Button>
          )}
          <span className="muted" role="status">
            {draft || refusals.length > 0 ? statusWords(issues.length, schema !== null, verdict.text === text ? verdict.by : "page") : "Nothing changed"}
          </span>
          <span className="end muted only-wide">
            <kbd>Ctrl</kbd> <kbd>S</kbd> review
          </span>
        </footer>
      )}
      {reviewing && draft && (
        <ReviewDialog
          project={project}
          configKey={configKey}
          live={live}
          draft={draft}
          onComment={(comment) => save({ ...draft, comment })}
          onSending={setSending}
          onConflict={() => address({ review: null, merge: "" }, true)}
          onDone={() => settle(draft)}
          onClose={() => address({ review: null }, true)}
        />
      )}
      {merging && draft && live && (
        <ConfigMerge
          project={project}
          configKey={configKey}
          live={live}
          draft={draft}
          onKeep={(merge) => save({ ...draft, merge })}
          onMerged={(merged, version, op = "put") => {
            change({ op, text: merged, baseVersion: version, merge: undefined });
            address({ merge: null }, true);
          }}
          onTheirs={() => {
            drop();
            address({ merge: null }, true);
          }}
          onUnmark={(edited) => (edited ? change({ text: draft.text }) : (discard(), address({ merge: null }, true)))}
          onClose={() => address({ merge: null }, true)}
        />
      )}
    </>
  );
}

/** From a problem to its place: a field of the form that is shown, or else the text. */
function useJump(form: boolean, text: string, showText: () => void) {
  const editor = useRef<EditorHandle>(null);
  const formView = useRef<FormHandle>(null);
  const [wanted, setWanted] = useState<number | null>(null);
  useEffect(() => {
    // The text comes a moment after it is asked for.
    if (wanted === null || form || !editor.current) return;
    editor.current.jump(wanted);
    setWanted(null);
  }, [wanted, form]);
  const jump = (offset: number) => {
    if (form && formView.current?.jump(pointerAt(text, offset))) return;
    showText();
    setWanted(offset);
  };
  return { editor, formView, jump };
}

/** `by`: who said that there is none; "page" also while nobody has said it yet. */
function statusWords(issues: number, hasSchema: boolean, by: Verdict["by"]): string {
  if (issues > 0) return issues === 1 ? "1 problem to fix first" : `${issues} problems to fix first`;
  if (!hasSchema) return "Kept in this browser until you commit it";
  if (by === "nobody") return "It takes too long to check here: the review asks the service";
  return by === "service" ? "The service accepts it · kept in this browser" : "Checking…";
}

function whyNot(
  readOnly: string | null,
  draft: Draft | null,
  behind: boolean,
  live: Config | null,
  issues: readonly Issue[],
  settled: boolean,
): string | null {
  if (readOnly !== null) return readOnly;
  const problem = issues.length > 0 ? `${issues[0]?.message ?? "There is a problem"} (${issues.length} to fix)` : null;
  if (!draft) return problem ?? "Nothing has changed";
  const marked = draft.op === "delete";
  if (!live && draft.baseVersion > 0) return marked ? "The config is deleted already" : "The config was deleted meanwhile: keep yours as a new one first";
  if (behind && live) return `Version ${live.version} came in meanwhile: ${marked ? "look at it" : "merge it"} first`;
  if (!marked && problem !== null) return problem;
  if (!settled) return STILL_CHECKING;
  return null;
}

function useAssist(schema: Config["content"] | undefined): SchemaAssist | null {
  const [assist, setAssist] = useState<SchemaAssist | null>(null);
  useEffect(() => {
    if (schema === undefined) {
      setAssist(null);
      return;
    }
    let wanted = true;
    void import("../editor/assist").then(({ SchemaAssist }) => {
      if (wanted) setAssist(new SchemaAssist(schema));
    });
    return () => {
      wanted = false;
    };
  }, [schema]);
  return assist;
}

const MOST_ISSUES = 100;

function IssueList({ issues, text, onJump }: { issues: readonly Issue[]; text: string; onJump: (offset: number) => void }) {
  const shown = useMemo(() => issues.slice(0, MOST_ISSUES), [issues]);
  const lines = useMemo(() => linesAt(text, shown.map((each) => each.from)), [text, shown]);
  if (shown.length === 0) return null;
  return (
    <ul className="issues" aria-label="Problems">
      {shown.map((issue, index) => (
        <li key={index}>
          <button type="button" onClick={() => onJump(issue.from)}>
            <IconAlertOctagon size={14} aria-hidden />
            <span className="muted">line {lines[index]}</span>
            <span className="grow break">{issue.message}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}
