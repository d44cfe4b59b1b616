/** A config as it was at a version or at a moment: to look at, compare and go back to. */
import { Button } from "@mantine/core";
import { useMemo } from "react";
import { asProblem } from "../api/problem";
import { useConfig, useMomentPosition, useStanding } from "../api/queries";
import type { Config } from "../api/types";
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
          action={
            version !== null && at !== null ? (
              <Button onClick={() => address({ version: null })}>Back to the moment</Button>
            ) : (
              <Button onClick={() => address({ version: null, at: null })}>See it as it is now</Button>
            )
          }
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
  return (
    <>
      <ConfigHead project={project} configKey={configKey} config={shown} onHistory={onHistory} historyOpen={historyOpen} />
      {at === null ? (
        <OldVersion project={project} configKey={configKey} shown={shown.version} />
      ) : (
        version !== null && <VersionThen project={project} configKey={configKey} shown={shown} at={at} />
      )}
      <div className="doc-body">
        <JsonEditor key={shown.version} value={text} label={`${configKey}, version ${shown.version}`} readOnly />
      </div>
    </>
  );
}

function OldVersion({ project, configKey, shown }: { project: string; configKey: string; shown: number }) {
  const [, address] = useAddress();
  const live = useStanding(project, configKey);
  const current = live === null ? null : live?.version;
  const access = useAccess(project);
  const old = typeof current === "number" && shown < current;
  return (
    <Notice tone="info">
      <div className="row wrap">
        <span>
          {current === null ? (
            <>Version {shown}; the config is deleted now. Nothing can be changed here.</>
          ) : old ? (
            <>
              Version {shown}; live is version {current}. Nothing can be changed here.
            </>
          ) : (
            <>Version {shown}, which is live.</>
          )}
        </span>
        {old && (
          <Button size="compact-xs" variant="default" onClick={() => address({ diff: `${shown}..${current}`, version: null })}>
            Compare with live
          </Button>
        )}
        {access.canEdit && shown !== current && (
          <Button size="compact-xs" variant="default" onClick={() => address({ rollback: String(shown) })}>
            Roll back to version {shown}…
          </Button>
        )}
        <Button size="compact-xs" onClick={() => address({ version: null })}>
          Back to live
        </Button>
      </div>
    </Notice>
  );
}

/** A version that is looked at from a moment: how it stands to that moment. */
function VersionThen({ project, configKey, shown, at }: { project: string; configKey: string; shown: Config; at: string }) {
  const [, address] = useAddress();
  const then = useStanding(project, configKey, at);
  const later = shown.position > (useMomentPosition(project, at) ?? Infinity);
  const stood = then === null ? "the config was not there" : then && `version ${then.version} was live`;
  return (
    <Notice tone={later ? "warn" : "info"}>
      <div className="row wrap">
        <span>
          {then?.version === shown.version ? (
            <>Version {shown.version}, which was live at this moment.</>
          ) : (
            <>
              Version {shown.version}, {later ? "made after" : "from before"} this moment{stood && `, when ${stood}`}.
            </>
          )}
        </span>
        <Button size="compact-xs" onClick={() => address({ version: null })}>
          {then ? `Back to version ${then.version}` : "Back to the moment"}
        </Button>
      </div>
    </Notice>
  );
}
