import { Button } from "@mantine/core";
import { IconArrowLeft, IconBraces, IconHistory } from "@tabler/icons-react";
import { Link } from "react-router";
import { useRevisions, useSchema } from "../api/queries";
import type { Config } from "../api/types";
import { Badge, Time } from "../components/basics";
import { useAddress } from "../lib/address";

/** Key, version, schema, who changed it when; the history one click away. */
export function ConfigHead({
  project,
  configKey,
  config,
  gone = false,
  onHistory,
  historyOpen,
}: {
  project: string;
  configKey: string;
  /** null: there is none; undefined: that is not known yet. */
  config: Config | null | undefined;
  /** It was there, and is deleted now. */
  gone?: boolean;
  onHistory: () => void;
  historyOpen: boolean;
}) {
  const schema = useSchema(config?.schema_id);
  const tombstone = useRevisions(project, configKey, gone).data?.pages[0]?.items[0];
  const [search] = useAddress();
  const back = new URLSearchParams(search);
  for (const name of ["version", "diff", "side", "view"]) back.delete(name);
  const author = config?.updated_by_email;
  return (
    <header className="doc-head">
      <div className="row">
        <Link className="only-narrow" to={{ pathname: `/p/${project}/configs`, search: back.toString() }} aria-label="Back to the tree">
          <IconArrowLeft size={18} />
        </Link>
        <h1 className="grow">{configKey}</h1>
        <Button
          size="compact-sm"
          variant={historyOpen ? "light" : "default"}
          leftSection={<IconHistory size={15} />}
          aria-expanded={historyOpen}
          onClick={onHistory}
        >
          History
        </Button>
      </div>
      <div className="row wrap">
        {config && <Badge tone="info">version {config.version}</Badge>}
        {config === null && <Badge tone="warn">{gone ? `deleted${tombstone ? ` as version ${tombstone.version}` : ""}` : "new"}</Badge>}
        {config?.schema_id && (
          <Link to={`/p/${project}/schemas/${config.schema_id}`} className="badge" title="The schema that it was checked against">
            <IconBraces size={13} aria-hidden />
            <span className="ellipsis">
              {schema.data?.name ?? "schema"} v{config.schema_version}
            </span>
          </Link>
        )}
        {config && !config.schema_id && <Badge>no schema</Badge>}
        {config && (
          <span className="muted break">
            changed {author && <>by {author} </>}
            <Time iso={config.updated_at} />
          </span>
        )}
      </div>
    </header>
  );
}
