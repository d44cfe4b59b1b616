/** Shows the diff that a roll back would make, and whether it would be accepted, before it is made. */
import { Button, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { rollBack } from "../api/commit";
import { asProblem } from "../api/problem";
import { applyChanges, rehearsing, useConfig, useConfigs, useRevision, useRevisions } from "../api/queries";
import { Dialog } from "../components/Dialog";
import { Failure, Loading, Notice } from "../components/basics";
import { StillAsking, Verdict } from "../components/Verdict";
import { DiffView } from "../editor/DiffView";
import { useAddress } from "../lib/address";
import { formatJson } from "../lib/json";
import { useHotkeys } from "../lib/hotkeys";
import { revisionText } from "./CompareView";
import { useAct } from "./useAct";

export function RollbackDialog({
  project,
  configKey,
  toVersion,
  onClose,
}: {
  project: string;
  configKey: string;
  toVersion: number;
  onClose: () => void;
}) {
  const list = useConfigs(project, null).data;
  // After a deletion the old answer may still be held: the list knows first that it is gone.
  const there = !list?.complete || list.items.some((each) => each.key === configKey);
  const live = useConfig(project, configKey, {}, there);
  const revisions = useRevisions(project, configKey);
  const old = useRevision(project, configKey, toVersion);
  const [, address] = useAddress();
  const [comment, setComment] = useState("");
  const act = useAct();
  /** The position of the rehearsal that the act goes by; what is sent once more is the same act. */
  const actedOn = useRef<number | undefined>(undefined);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const gone = !there || (live.error !== null && asProblem(live.error).status === 404);
  // A deleted config is at the version of its tombstone.
  const newest = gone ? revisions.data?.pages[0]?.items[0]?.version : live.data?.version;
  /** What the person is looking at. A change of somebody else must not slip under the button. */
  const [looked, setLooked] = useState<{ version: number; text: string; gone: boolean } | null>(null);
  if (looked === null && newest !== undefined) {
    setLooked({ version: newest, text: gone || !live.data ? "" : formatJson(live.data.content), gone });
  }
  const current = looked?.version;
  const moved = !busy && looked !== null && newest !== undefined && newest !== looked.version;
  const rehearsal = useQuery({
    queryKey: ["rollback", project, configKey, toVersion, current],
    queryFn: () => rollBack(project, configKey, toVersion, current ?? 0, { comment: "", act: null }),
    // Once it is sent, the version moves on: there is nothing left to ask.
    enabled: current !== undefined && !busy && !moved,
    ...rehearsing,
  });

  const commit = async () => {
    if (current === undefined || !rehearsal.data || busy || moved) return;
    setBusy(true);
    setError(null);
    actedOn.current ??= rehearsal.data.position;
    try {
      const done = await rollBack(project, configKey, toVersion, current, {
        comment: comment.trim(),
        act,
        unchangedSince: actedOn.current,
      });
      applyChanges(project, [configKey]);
      notifications.show({ message: `${configKey}: version ${done.version} holds the content of version ${toVersion}`, color: "accent" });
      address({ rollback: null, version: null, diff: null }, true);
    } catch (reason) {
      if (asProblem(reason).isConflict) {
        applyChanges(project, [configKey]);
        void rehearsal.refetch();
      }
      if (!asProblem(reason).isAway) actedOn.current = undefined;
      setError(reason);
      setBusy(false);
    }
  };
  useHotkeys({ "mod+enter": () => void commit() });

  return (
    <Dialog onClose={onClose} size="min(76rem, 96vw)" title={`Roll back ${configKey} to version ${toVersion}`}>
      {old.error ? (
        // Without it the difference would be one to an empty document.
        <Failure error={old.error} retry={() => void old.refetch()} />
      ) : looked === null || current === undefined || old.isPending ? (
        <Loading rows={6} />
      ) : (
        <div className="stack">
          <DiffView
            before={looked.text}
            after={revisionText(old.data)}
            beforeLabel={looked.gone ? `deleted, version ${current}` : `live, version ${current}`}
            afterLabel={`version ${current + 1}, as version ${toVersion} was`}
          />
          {moved ? (
            <Notice tone="warn" boxed live>
              Version {newest} came in while you looked. Nothing was rolled back.
            </Notice>
          ) : (
            <Verdict
              refusal={rehearsal.error}
              onAgain={() => void rehearsal.refetch()}
              fine={
                rehearsal.data
                  ? `It was checked against today’s schema: the service would accept it. History stays; this makes version ${current + 1}.`
                  : null
              }
            />
          )}
          <TextInput
            label="Comment"
            description="Why (optional)"
            value={comment}
            onChange={(event) => setComment(event.currentTarget.value)}
            maxLength={2000}
            // The dialog looked for its first field before there was one.
            autoFocus
          />
          {busy && <StillAsking />}
          {error !== null && <Failure error={error} />}
          <div className="row wrap">
            {moved ? (
              <Button onClick={() => setLooked(null)}>Look at the difference from version {newest}</Button>
            ) : (
              <Button disabled={!rehearsal.data} loading={busy} onClick={() => void commit()}>
                Roll back as version {current + 1}
              </Button>
            )}
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
          </div>
        </div>
      )}
    </Dialog>
  );
}
