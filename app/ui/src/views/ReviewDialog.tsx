/** Nothing is committed unseen: the diff, the service's verdict, a comment, one button. */
import { Button, Modal, Textarea } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useEffect, useMemo, useState } from "react";
import { commitEdit, newActId, rehearse, type Edit } from "../api/commit";
import { asProblem, type Problem } from "../api/problem";
import { applyChanges, useSchema } from "../api/queries";
import type { Config } from "../api/types";
import { Badge, Failure, Notice } from "../components/basics";
import { DiffView } from "../editor/DiffView";
import type { Draft } from "../lib/drafts";
import { useHotkeys } from "../lib/hotkeys";
import { formatJson } from "../lib/json";

type Verdict = { state: "asking" } | { state: "fine"; version: number } | { state: "refused"; problem: Problem };

export function ReviewDialog({
  project,
  configKey,
  live,
  draft,
  onComment,
  onConflict,
  onDone,
  onClose,
}: {
  project: string;
  configKey: string;
  live: Config | null;
  draft: Draft;
  onComment: (comment: string) => void;
  onConflict: () => void;
  onDone: () => void;
  onClose: () => void;
}) {
  const edit = useMemo<Edit>(
    () => ({ op: draft.op, key: configKey, text: draft.text, schemaId: draft.schemaId, baseVersion: draft.baseVersion }),
    [configKey, draft.op, draft.text, draft.schemaId, draft.baseVersion],
  );
  const verdict = useRehearsal(project, edit, onConflict);
  const [actId] = useState(newActId);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  // A key that was deleted goes on counting: only the service knows which version comes next.
  const version = verdict.state === "fine" ? verdict.version : draft.baseVersion + 1;
  const act = draft.op === "delete" ? `Delete as version ${version}` : `Commit version ${version}`;
  const behind = live !== null && live.version > draft.baseVersion;

  const commit = async () => {
    if (verdict.state !== "fine" || behind || busy) return;
    setBusy(true);
    setError(null);
    try {
      const done = await commitEdit(project, edit, draft.comment.trim(), actId);
      onDone();
      applyChanges(project, [configKey]);
      onClose();
      notifications.show({ message: `${configKey}: version ${done.version} is committed`, color: "accent" });
    } catch (reason) {
      if (asProblem(reason).isConflict) {
        applyChanges(project, [configKey]);
        onConflict();
        return;
      }
      setError(reason);
      setBusy(false);
    }
  };
  useHotkeys({ "mod+enter": () => void commit() });

  return (
    <Modal opened onClose={onClose} size="min(76rem, 96vw)" title={`Review ${configKey}`} closeButtonProps={{ "aria-label": "Close the review" }}>
      <div className="stack">
        <DiffView
          before={live ? formatJson(live.content) : ""}
          after={draft.op === "delete" ? "" : draft.text}
          beforeLabel={live ? `live, version ${live.version}` : "nothing yet"}
          afterLabel={draft.op === "delete" ? "deleted" : `yours, version ${version}`}
        />
        <SchemaLine live={live} draft={draft} />
        {behind ? (
          <Notice tone="warn" boxed live>
            <div className="row wrap">
              <span>Version {live.version} came in while you reviewed. Nothing was committed.</span>
              <Button size="compact-xs" onClick={onConflict}>
                Merge
              </Button>
            </div>
          </Notice>
        ) : (
          <Said verdict={verdict} />
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
        {error !== null && <Failure error={error} />}
        <div className="row wrap">
          <Button
            color={draft.op === "delete" ? "red" : undefined}
            disabled={verdict.state !== "fine" || behind}
            loading={busy}
            onClick={() => void commit()}
          >
            {act}
          </Button>
          <Button variant="default" onClick={onClose}>
            Go on editing
          </Button>
          <span className="end muted only-wide">
            <kbd>Ctrl</kbd> <kbd>Enter</kbd> commit
          </span>
        </div>
      </div>
    </Modal>
  );
}

function useRehearsal(project: string, edit: Edit, onConflict: () => void): Verdict {
  const [verdict, setVerdict] = useState<Verdict>({ state: "asking" });
  useEffect(() => {
    const abort = new AbortController();
    setVerdict({ state: "asking" });
    rehearse(project, edit, abort.signal)
      .then((answer) => {
        if (abort.signal.aborted) return;
        if ("version" in answer) {
          setVerdict({ state: "fine", version: answer.version });
        } else if (answer.problem.isConflict) {
          applyChanges(project, [edit.key]);
          onConflict();
        } else {
          setVerdict({ state: "refused", problem: answer.problem });
        }
      })
      .catch(() => undefined);
    return () => abort.abort();
    // Only what would be committed matters, not which closure is called.
  }, [project, edit]);
  return verdict;
}

function Said({ verdict }: { verdict: Verdict }) {
  if (verdict.state === "asking") return <span className="muted late">Asking the service whether it would accept this…</span>;
  if (verdict.state === "fine") {
    return (
      <Notice tone="good" boxed live>
        The service would accept this.
      </Notice>
    );
  }
  const { problem } = verdict;
  if (problem.violations.length === 0) return <Failure error={problem} />;
  return (
    <Notice tone="bad" boxed live>
      <strong>{problem.title}</strong>
      <ul style={{ margin: "0.25rem 0 0", paddingLeft: "1.25rem" }}>
        {problem.violations.map((each, index) => (
          <li key={index}>
            <code>{each.pointer || "/"}</code> {each.message}
          </li>
        ))}
      </ul>
    </Notice>
  );
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
      {next !== current && <Badge tone="warn">the schema binding changes</Badge>}
    </div>
  );
}
