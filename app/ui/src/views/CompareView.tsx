import { Button } from "@mantine/core";
import { IconArrowsExchange } from "@tabler/icons-react";
import { useRevision, useStanding } from "../api/queries";
import type { Revision } from "../api/types";
import { Failure, Loading, Time } from "../components/basics";
import { DiffView } from "../editor/DiffView";
import { useAddress } from "../lib/address";
import { authorOf } from "../lib/authors";
import { formatJson } from "../lib/json";
import { ConfigHead } from "./ConfigHead";
import { useAccess } from "./useCurrentProject";

/** The text of a revision; a deletion is an empty document. */
export function revisionText(revision: Revision | undefined): string {
  return revision?.content === undefined || isDeletion(revision) ? "" : formatJson(revision.content);
}

export function isDeletion(revision: Revision): boolean {
  return /delete/i.test(revision.event);
}

/** Two versions of one config. Version 0 stands for "before it was there". */
export function CompareView({
  project,
  configKey,
  pair,
  onHistory,
  historyOpen,
}: {
  project: string;
  configKey: string;
  pair: [number, number];
  onHistory: () => void;
  historyOpen: boolean;
}) {
  const [from, to] = pair;
  const [search, address] = useAddress();
  const at = search.get("at");
  const access = useAccess(project);
  const standing = useStanding(project, configKey, at);
  const before = useRevision(project, configKey, from);
  const after = useRevision(project, configKey, to);
  const error = before.error ?? after.error;
  const ready = (from === 0 || before.data) && (to === 0 || after.data);
  return (
    <>
      <ConfigHead project={project} configKey={configKey} config={at === null ? standing : (standing ?? undefined)} gone={at === null && standing === null} onHistory={onHistory} historyOpen={historyOpen} />
      <div className="doc-body">
        <div className="stack" style={{ padding: "1rem" }}>
          <div className="row wrap">
            <Button size="compact-sm" variant="default" leftSection={<IconArrowsExchange size={14} />} onClick={() => address({ diff: `${to}..${from}` })}>
              Swap
            </Button>
            {at === null && access.canEdit && from > 0 && before.data && !isDeletion(before.data) && standing?.version !== from && (
              <Button size="compact-sm" variant="default" onClick={() => address({ rollback: String(from) })}>
                Roll back to version {from}…
              </Button>
            )}
            <Button size="compact-sm" className="end" onClick={() => address({ diff: null })}>
              Back to the config
            </Button>
          </div>
          {error ? (
            <Failure error={error} />
          ) : ready ? (
            <>
              <Facts revisions={[before.data, after.data]} />
              <DiffView before={revisionText(before.data)} after={revisionText(after.data)} beforeLabel={`version ${from}`} afterLabel={`version ${to}`} />
            </>
          ) : (
            <Loading rows={8} />
          )}
        </div>
      </div>
    </>
  );
}

function Facts({ revisions }: { revisions: (Revision | undefined)[] }) {
  return (
    <dl style={{ margin: 0, display: "grid", gridTemplateColumns: "auto 1fr", gap: "0.125rem 0.75rem" }}>
      {revisions.map(
        (revision) =>
          revision && (
            <div key={revision.version} style={{ display: "contents" }}>
              <dt>version {revision.version}</dt>
              <dd className="muted break" style={{ margin: 0 }}>
                {authorOf(revision)}, <Time iso={revision.created_at} />
                {revision.comment && <>: {revision.comment}</>}
              </dd>
            </div>
          ),
      )}
    </dl>
  );
}
