/** One config: live and editable, at an old version, or two versions compared. */
import { Button } from "@mantine/core";
import { useCallback, useEffect, useState } from "react";
import { useLocation } from "react-router";
import { asProblem } from "../api/problem";
import { useConfig, useConfigs, useMe, useRevisions } from "../api/queries";
import { useChanges } from "../api/live";
import type { Config } from "../api/types";
import type { WatchEvent } from "../api/watch";
import { Empty, Failure, Loading, Notice } from "../components/basics";
import { useAddress } from "../lib/address";
import { authorKnown, authorOf } from "../lib/authors";
import { useDraft } from "../lib/drafts";
import { useHotkeys } from "../lib/hotkeys";
import { CompareView } from "./CompareView";
import { ConfigEditor } from "./ConfigEditor";
import { ConfigHead } from "./ConfigHead";
import { PastView } from "./PastView";
import { RollbackDialog } from "./RollbackDialog";
import { Timeline } from "./Timeline";
import { useAccess } from "./useCurrentProject";

export function ConfigView({ project, configKey }: { project: string; configKey: string }) {
  const [search, address] = useAddress();
  const side = search.get("side") === "history";
  const toggleSide = useCallback(() => address({ side: side ? null : "history" }), [address, side]);
  useHotkeys({ h: toggleSide });
  const rollback = versionOf(search.get("rollback"));
  return (
    <>
      <div className="doc-pane">
        <Document project={project} configKey={configKey} onHistory={toggleSide} historyOpen={side} />
      </div>
      {side && <Timeline project={project} configKey={configKey} />}
      {rollback !== null && (
        <RollbackDialog project={project} configKey={configKey} toVersion={rollback} onClose={() => address({ rollback: null }, true)} />
      )}
    </>
  );
}

export function versionOf(text: string | null): number | null {
  return text !== null && /^[1-9]\d*$/.test(text) ? Number(text) : null;
}

export function pairOf(text: string | null): [number, number] | null {
  const [, from, to] = /^(\d+)\.\.(\d+)$/.exec(text ?? "") ?? [];
  return from === undefined || to === undefined ? null : [Number(from), Number(to)];
}

/** The list holds whole configs, kept current by the watch: reading goes on when nothing can be asked. */
function newerOf(asked: Config | undefined, listed: Config | undefined): Config | null {
  if (asked && listed) return listed.version > asked.version ? listed : asked;
  return asked ?? listed ?? null;
}

type DocumentProps = {
  project: string;
  configKey: string;
  onHistory: () => void;
  historyOpen: boolean;
};

function Document(props: DocumentProps) {
  const { project, configKey } = props;
  const [search, address] = useAddress();
  const { hash } = useLocation();
  const at = search.get("at");
  const version = versionOf(search.get("version"));
  const pair = pairOf(search.get("diff"));
  const me = useMe();
  const access = useAccess(project);
  const { draft } = useDraft(me.data?.id ?? "", project, configKey);
  const list = useConfigs(project, null).data;
  const listed = list?.items.find((each) => each.key === configKey);
  // What is known not to be there is not asked for.
  const there = list?.complete ? listed !== undefined : draft?.baseVersion !== 0;
  const live = useConfig(project, configKey, {}, there, listed);
  const newest = newerOf(live.data, listed);
  const [arrived, setArrived] = useState<WatchEvent | null>(null);
  useChanges(useCallback((change) => change.key === configKey && setArrived(change), [configKey]));
  useEffect(() => setArrived(null), [configKey, hash]);

  if (pair) return <CompareView {...props} pair={pair} />;
  if (version !== null || at !== null) return <PastView {...props} version={version} at={at} />;
  const missing = !there || (live.error !== null && asProblem(live.error).status === 404);
  if ((!newest && live.isPending && !missing) || !me.data || !access.known) {
    return (
      <div className="page">
        <Loading rows={8} label="Loading the config" />
      </div>
    );
  }
  if (live.error && !missing && !newest) {
    return (
      <div className="page">
        <Failure error={live.error} retry={() => void live.refetch()} />
      </div>
    );
  }
  const config = missing ? null : newest;
  if (!config && !draft) return <Missing {...props} onNew={() => address({ new: configKey })} />;
  return (
    <ConfigEditor
      {...props}
      user={me.data.id}
      live={config}
      arrived={arrived}
      readOnlyReason={access.canEdit ? null : "You are a viewer of this project: you can read, and an editor can change."}
    />
  );
}

/** Deleted, or never there: the history tells which. */
function Missing(props: DocumentProps & { onNew: () => void }) {
  const { project, configKey } = props;
  const revisions = useRevisions(project, configKey);
  const access = useAccess(project);
  const [, address] = useAddress();
  const last = revisions.data?.pages[0]?.items[0];
  const before = revisions.data?.pages[0]?.items.find((each) => each.version < (last?.version ?? 0));
  if (revisions.isPending) {
    return (
      <div className="page">
        <Loading />
      </div>
    );
  }
  if (!last) {
    return (
      <Empty heading="h1" title="There is no config under this key" action={access.canEdit ? <Button onClick={props.onNew}>Make it</Button> : undefined}>
        <code>{configKey}</code> was never set in this project.
      </Empty>
    );
  }
  return (
    <>
      <ConfigHead {...props} config={null} gone />
      <div className="page">
        <Notice tone="warn" boxed>
          This config was deleted as version {last.version}
          {authorKnown(last) && ` by ${authorOf(last)}`}. Its history is kept.
        </Notice>
        {access.canEdit && before && (
          <div className="row wrap">
            <Button onClick={() => address({ rollback: String(before.version) })}>Bring back version {before.version}</Button>
            <Button variant="default" onClick={props.onNew}>
              Write it anew
            </Button>
          </div>
        )}
      </div>
    </>
  );
}
