import { Button, Checkbox, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { request } from "../api/client";
import { client, keys, useConfigs, useProject, useSchemas } from "../api/queries";
import type { Schema } from "../api/types";
import { Badge, Empty, Failure, Loading, ReasonedButton, Time, usePageTitle } from "../components/basics";
import { MakeDialog } from "../components/MakeDialog";
import { useAddress } from "../lib/address";
import { useAccess } from "./useCurrentProject";

const STARTER = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  properties: {},
  additionalProperties: true,
};

export function SchemasPage() {
  const { project = "" } = useParams();
  const [search, address] = useAddress();
  const detail = useProject(project);
  usePageTitle("Schemas", detail.data?.name);
  const schemas = useSchemas();
  const configs = useConfigs(project, null);
  const access = useAccess(project);
  const uses = useMemo(() => {
    const count = new Map<string, number>();
    for (const each of configs.data?.items ?? []) {
      if (each.schema_id) count.set(each.schema_id, (count.get(each.schema_id) ?? 0) + 1);
    }
    return count;
  }, [configs.data]);
  const shown = (schemas.data ?? []).filter((each) => !each.project_id || each.project_id === project);
  const reason = access.canEdit ? null : "An editor of the project can add schemas";
  const make = () => address({ new: "" });

  return (
    <main id="main" className="main">
      <div className="page">
        <div className="page-head">
          <div>
            <h1>Schemas</h1>
            <p>A JSON Schema says what a config may be. Whoever commits a config that is bound to one has to satisfy it.</p>
          </div>
          <span className="end">
            <ReasonedButton reason={reason} leftSection={<IconPlus size={16} />} onClick={make}>
              New schema
            </ReasonedButton>
          </span>
        </div>
        {schemas.error && <Failure error={schemas.error} retry={() => void schemas.refetch()} />}
        {schemas.isPending && <Loading />}
        {schemas.data && (
          <section className="panel" aria-label="Schemas">
            {shown.length === 0 ? (
              <Empty title="No schemas yet" action={access.canEdit ? <Button onClick={make}>Make the first schema</Button> : undefined}>
                With one, a wrong type or a forgotten field is refused before it reaches anybody.
              </Empty>
            ) : (
              <ul className="list">
                {shown.map((each) => (
                  <li key={each.id}>
                    <Link className="grow ellipsis" to={`/p/${project}/schemas/${each.id}`}>
                      <strong>{each.name}</strong>
                    </Link>
                    <Badge tone="info">version {each.version}</Badge>
                    <Badge>{each.project_id ? "this project" : "shared by all"}</Badge>
                    <span className="muted">{uses.get(each.id) === 1 ? "1 config here" : `${uses.get(each.id) ?? 0} configs here`}</span>
                    {(each.updated_at ?? each.created_at) && (
                      <span className="muted only-wide">
                        <Time iso={each.updated_at ?? each.created_at ?? ""} />
                      </span>
                    )}
                  </li>
                ))}
              </ul>
            )}
          </section>
        )}
      </div>
      {search.has("new") && <NewSchema project={project} onClose={() => address({ new: null }, true)} />}
    </main>
  );
}

function NewSchema({ project, onClose }: { project: string; onClose: () => void }) {
  const [name, setName] = useState("");
  const [shared, setShared] = useState(false);
  const navigate = useNavigate();
  const make = useMutation({
    mutationFn: async () =>
      (
        await request<Schema>("POST", "/v1/schemas", {
          body: { name: name.trim(), schema: STARTER, ...(shared ? {} : { project_id: project }) },
        })
      ).data,
    onSuccess: async (made) => {
      await client.invalidateQueries({ queryKey: keys.schemas });
      void navigate(`/p/${project}/schemas/${made.id}`);
    },
  });
  return (
    <MakeDialog thing="schema" make={make} ready={name.trim() !== ""} onClose={onClose}>
      <TextInput label="Name" value={name} onChange={(event) => setName(event.currentTarget.value)} required maxLength={200} data-autofocus />
      <Checkbox
        label="Shared by all projects"
        description="Otherwise only this project can use it"
        checked={shared}
        onChange={(event) => setShared(event.currentTarget.checked)}
      />
      <p className="muted" style={{ margin: 0 }}>
        It begins as one that allows every object; you write it on the next page.
      </p>
    </MakeDialog>
  );
}
