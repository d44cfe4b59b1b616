/** A config as it was at a version or at a moment: to look at, compare and go back to. */
import { Button } from "@mantine/core";
import { useMemo } from "react";
import { asProblem } from "../api/problem";
import { useConfig, useLiveVersion } from "../api/queries";
import { Empty, Failure, Loading, Notice } from "../components/basics";
import { JsonEditor } from "../editor/JsonEditor";
import { useAddress } from "../lib/address";
import { formatJson } from "../lib/json";
import { ConfigHead } from "./ConfigHead";
import { useAccess } from "./useCurrentProject";

export function PastView({
  project,
  configKey,
  version,
  at,
  onHistory,
  historyOpen,
}: {
  project: string;
  configKey: string;
  version: number | null;
  at: string | null;
  onHistory: () => void;
  historyOpen: boolean;
}) {
  const [, address] = useAddress();
  const past = useConfig(project, configKey, version !== null ? { version } : { at });
  const current = useLiveVersion(project, configKey);
  const access = useAccess(project);
  const text = useMemo(() => (past.data ? formatJson(past.data.content) : ""), [past.data]);
  if (past.isPending) {
    return (
      <div className="page">
        <Loading rows={8} />
      </div>
    );
  }
  if (past.error || !past.data) {
    if (asProblem(past.error).status === 404 || asProblem(past.error).status === 410) {
      return (
        <Empty
          heading="h1"
          title={version === null ? "Not there at this moment" : `There is no document at version ${version}`}
          action={<Button onClick={() => address({ version: null, at: null })}>See it as it is now</Button>}
        >
          {version === null ? "It was made later, or it had been deleted." : "The version is a deletion, or it does not exist yet."}
        </Empty>
      );
    }
    return (
      <div className="page">
        <Failure error={past.error} retry={() => void past.refetch()} />
      </div>
    );
  }
  const shown = past.data;
  const old = typeof current === "number" && shown.version < current;
  return (
    <>
      <ConfigHead project={project} configKey={configKey} config={shown} onHistory={onHistory} historyOpen={historyOpen} />
      {at === null && (
        <Notice tone="info">
          <div className="row wrap">
            <span>
              {current === null ? (
                <>Version {shown.version}; the config is deleted now. Nothing can be changed here.</>
              ) : old ? (
                <>
                  Version {shown.version}; live is version {current}. Nothing can be changed here.
                </>
              ) : (
                <>Version {shown.version}, which is live.</>
              )}
            </span>
            {old && (
              <Button size="compact-xs" variant="default" onClick={() => address({ diff: `${shown.version}..${current}`, version: null })}>
                Compare with live
              </Button>
            )}
            {access.canEdit && shown.version !== current && (
              <Button size="compact-xs" variant="default" onClick={() => address({ rollback: String(shown.version) })}>
                Roll back to version {shown.version}…
              </Button>
            )}
            <Button size="compact-xs" onClick={() => address({ version: null })}>
              Back to live
            </Button>
          </div>
        </Notice>
      )}
      <div className="doc-body">
        <JsonEditor value={text} label={`${configKey}, version ${shown.version}`} readOnly />
      </div>
    </>
  );
}
