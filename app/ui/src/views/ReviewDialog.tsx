/** Nothing is committed unseen: the diff, the service's verdict, a comment, one button. */
import { Button, Textarea } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery, type UseQueryResult } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { commitEdit, rehearse, type Committed, type Edit } from "../api/commit";
import { asProblem } from "../api/problem";
import { applyChanges, rehearsing, useSchema } from "../api/queries";
import type { Config } from "../api/types";
import { Dialog } from "../components/Dialog";
import { Badge, Failure, Notice } from "../components/basics";
import { StillAsking, Verdict as Said } from "../components/Verdict";
import { DiffView } from "../editor/DiffView";
import type { Draft } from "../lib/drafts";
import { useHotkeys } from "../lib/hotkeys";
import { formatJson, formatted } from "../lib/json";
import { useAct } from "./useAct";
import { useOpen } from "./useOpen";

export function ReviewDialog({
  project,
  configKey,
  live: newest,
  draft,
  onComment,
  onSending,
  onConflict,
  onDone,
  onClose,
}: {
  project: string;
  configKey: string;
  live: Config | null;
  draft: Draft;
  onComment: (comment: string) => void;
  onSending: (sending: boolean) => void;
  onConflict: () => void;
  onDone: () => void;
  onClose: () => void;
}) {
  const edit = useMemo<Edit>(
    () => ({ op: draft.op, key: configKey, text: draft.text, schemaId: draft.schemaId, baseVersion: draft.baseVersion }),
    [configKey, draft.op, draft.text, draft.schemaId, draft.baseVersion],
  );
  const act = useAct();
  /** What was live when the commit was sent: its own version may come by the watch before its answer. */
  const [sent, setSent] = useState<{ over: Config | null } | null>(null);
  const busy = sent !== null;
  const live = sent ? sent.over : newest;
  const behind = live !== null && live.version > draft.baseVersion;
  const gone = live === null && draft.baseVersion > 0;
  const overtaken = behind || gone;
  // Once it is sent the version moves on, and there is nothing left to ask.
  const verdict = useRehearsal(project, edit, !busy && !overtaken, onConflict);
  // Not at each letter of the comment: a document may be large.
  const before = useMemo(() => (live ? formatJson(live.content) : ""), [live]);
  const after = useMemo(() => (edit.op === "delete" ? "" : formatted(edit.text)), [edit]);
  const [error, setError] = useState<unknown>(null);
  const lost = error !== null && asProblem(error).status === 0;
  const open = useOpen();
  // A key that was deleted goes on counting: only the service knows which version comes next.
  const version = verdict.data?.version ?? draft.baseVersion + 1;
  const fine = verdict.data !== undefined && verdict.error === null;
  const words = draft.op === "delete" ? `Delete as version ${version}` : `Commit version ${version}`;

  const commit = async () => {
    if (!fine || overtaken || busy) return;
    setSent({ over: live });
    onSending(true);
    setError(null);
    try {
      const done = await commitEdit(project, edit, draft.comment.trim(), act);
      onDone();
      applyChanges(project, [configKey]);
      if (open.current) onClose();
      notifications.show({ message: `${configKey}: version ${done.version} is committed`, color: "accent" });
    } catch (reason) {
      const problem = asProblem(reason);
      if (problem.isConflict) applyChanges(project, [configKey]);
      if (!open.current) {
        notifications.show({ title: `${configKey} is not committed`, message: problem.message, color: "red", autoClose: false });
      } else if (problem.isConflict) {
        onConflict();
      } else {
        setError(reason);
        setSent(null);
      }
    } finally {
      onSending(false);
    }
  };
  useHotkeys({ "mod+enter": () => void commit() });

  return (
    <Dialog onClose={onClose} size="min(76rem, 96vw)" title={`Review ${configKey}`} closeLabel="Close the review">
      <div className="stack">
        <DiffView
          before={before}
          after={after}
          beforeLabel={live ? `live, version ${live.version}` : "nothing yet"}
          afterLabel={draft.op === "delete" ? "deleted" : behind ? `yours, made on version ${draft.baseVersion}` : `yours, version ${version}`}
        />
        <SchemaLine live={live} draft={draft} />
        {overtaken ? (
          <Notice tone="warn" boxed live>
            {behind ? `Version ${live.version} came in` : "The config was deleted"} while you reviewed.{" "}
            {lost ? "It may be your own commit, whose answer was lost: look at it." : "Nothing was committed, and what you typed is kept."}
          </Notice>
        ) : (
          <Said
            refusal={verdict.error}
            fine={fine ? "The service would accept this." : null}
            onAgain={() => void verdict.refetch()}
          />
        )}
        <Textarea
          label="Comment"
          description="Why, for whoever reads the history at night (optional)"
          value={draft.comment}
          onChange={(event) => onComment(event.currentTarget.value)}
          autosize
          minRows={1}
          maxRows={5}
          maxLength={2000}
          data-autofocus
        />
        {busy && <StillAsking />}
        {error !== null && <Failure error={error} />}
        <div className="row wrap">
          {behind ? (
            <Button onClick={onConflict}>
              {draft.op === "delete" ? "Look at" : "Merge"} version {live.version} first
            </Button>
          ) : gone ? null : (
            <Button color={draft.op === "delete" ? "red" : undefined} disabled={!fine} loading={busy} onClick={() => void commit()}>
              {words}
            </Button>
          )}
          <Button variant="default" onClick={onClose}>
            Go on editing
          </Button>
          {!overtaken && (
            <span className="end muted only-wide">
              <kbd>Ctrl</kbd> <kbd>Enter</kbd> commit
            </span>
          )}
        </div>
      </div>
    </Dialog>
  );
}

function useRehearsal(project: string, edit: Edit, enabled: boolean, onConflict: () => void): UseQueryResult<Committed> {
  const verdict = useQuery({
    ...rehearsing,
    queryKey: ["review", project, edit],
    queryFn: ({ signal }) => rehearse(project, edit, signal),
    enabled,
  });
  const conflict = verdict.error !== null && asProblem(verdict.error).isConflict;
  useEffect(() => {
    if (!conflict) return;
    applyChanges(project, [edit.key]);
    onConflict();
    // Only that there is one matters, not which closure is called.
  }, [conflict, project, edit.key]);
  return verdict;
}

function SchemaLine({ live, draft }: { live: Config | null; draft: Draft }) {
  const current = live?.schema_id ?? null;
  const next = draft.schemaId === undefined ? current : draft.schemaId;
  const schema = useSchema(next);
  if (draft.op === "delete") return null;
  return (
    <div className="row wrap">
      {next === null ? (
        <Badge>checked against no schema</Badge>
      ) : (
        <Badge tone="info">
          checked against {schema.data?.name ?? "schema"} v{schema.data?.version ?? "…"}
        </Badge>
      )}
      {live !== null && next !== current && <Badge tone="warn">the schema binding changes</Badge>}
    </div>
  );
}
