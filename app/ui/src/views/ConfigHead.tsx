import { Button } from "@mantine/core";
import { IconArrowLeft, IconBraces, IconHistory } from "@tabler/icons-react";
import { Link } from "react-router";
import { useSchema } from "../api/queries";
import type { Config } from "../api/types";
import { Badge, Time } from "../components/basics";
import { useAddress } from "../lib/address";

/** Key, version, schema, who changed it when; the history one click away. */
export function ConfigHead({
  project,
  configKey,
  config,
  lastVersion,
  onHistory,
  historyOpen,
}: {
  project: string;
  configKey: string;
  config: Config | null;
  /** The newest version, where `config` is an older one or none. */
  lastVersion?: number;
  onHistory: () => void;
  historyOpen: boolean;
}) {
  const schema = useSchema(config?.schema_id);
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
        {config ? (
          <Badge tone="info">version {config.version}</Badge>
        ) : (
          <Badge tone="warn">{lastVersion === undefined ? "new" : `deleted as version ${lastVersion}`}</Badge>
        )}
        {config?.schema_id && (
          <Link to={`/p/${project}/schemas/${config.schema_id}`} className="badge" title="The schema that it was checked against">
            <IconBraces size={13} aria-hidden />
            {schema.data?.name ?? "schema"} v{config.schema_version}
          </Link>
        )}
        {config && !config.schema_id && <Badge>no schema</Badge>}
        {config && (
          <span className="muted">
            changed {author && <>by {author} </>}
            <Time iso={config.updated_at} />
          </span>
        )}
      </div>
    </header>
  );
}
