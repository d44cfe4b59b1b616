/** One schema: its text, where it is used, and what a change would break before it is saved. */
import { Button } from "@mantine/core";
import { IconAlignLeft } from "@tabler/icons-react";
import { useEffect, useMemo, useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { request, url } from "../api/client";
import { client, keys, useMe, useSchema, useSchemaVersion, useUsage } from "../api/queries";
import type { Schema } from "../api/types";
import { Badge, Failure, Loading, Notice, ReasonedButton, usePageTitle } from "../components/basics";
import { ConfirmTyped } from "../components/ConfirmTyped";
import { About } from "../components/Dialog";
import { JsonEditor } from "../editor/JsonEditor";
import { STILL_CHECKING, useIssues } from "../editor/useIssues";
import { useAddress, useAsked } from "../lib/address";
import { overtaken, useDraft, type BegunMerge, type Draft } from "../lib/drafts";
import { useHotkeys } from "../lib/hotkeys";
import { formatJson, tryParse } from "../lib/json";
import { dropDraft } from "./drop";
import { MergeDialog } from "./MergeDialog";
import { notYet } from "./notYet";
import { SchemaReview } from "./SchemaReview";
import { useAccess } from "./useCurrentProject";

/** Drafts of schemas live beside those of configs, under a name that no project has. */
export const SCHEMA_DRAFTS = "schemas";

export function SchemaPage() {
  const { project = "", schema: id = "" } = useParams();
  const schema = useSchema(id);
  const me = useMe();
  usePageTitle(schema.data?.name, "Schema");
  return (
    <main id="main" className="main">
      <div className="page">
        {schema.error && <Failure error={schema.error} retry={() => void schema.refetch()} />}
        {schema.isPending && <Loading rows={8} />}
        {schema.data && me.data && <OneSchema key={id} project={project} schema={schema.data} user={me.data.id} />}
      </div>
    </main>
  );
}

function OneSchema({ project, schema, user }: { project: string; schema: Schema; user: string }) {
  const [search, address] = useAddress();
  const navigate = useNavigate();
  const me = useMe();
  const access = useAccess(project);
  const { draft, save, discard, settle } = useDraft(user, SCHEMA_DRAFTS, schema.id);
  const saved = useMemo(() => formatJson(schema.schema), [schema.schema]);
  const [text, setText] = useState(draft?.text ?? saved);
  const deleting = useAsked("delete");
  useEffect(() => setText(draft?.text ?? saved), [saved, draft?.text]);
  const changed = draft !== null;
  const verdict = useIssues(text, null, changed);
  const { issues } = verdict;
  const mayChange = schema.project_id ? access.canEdit : access.superuser || schema.created_by_user_id === me.data?.id;
  const readOnly = mayChange
    ? null
    : schema.project_id
      ? "An editor of the project can change this schema"
      : "Only its creator or a superuser can change a shared schema";
  const behind = draft !== null && draft.baseVersion < schema.version;
  const reason =
    readOnly ??
    (!changed ? "Nothing has changed" : issues.length > 0 ? (issues[0]?.message ?? null) : behind ? `Version ${schema.version} came in meanwhile: merge it first` : verdict.text !== text ? STILL_CHECKING : null);
  const change = (next: string, baseVersion = draft?.baseVersion ?? schema.version, merge = overtaken(draft?.merge, next !== draft?.text)) => {
    setText(next);
    if (next === saved && merge === undefined) discard();
    else save({ op: "put", text: next, baseVersion, comment: "", savedAt: new Date().toISOString(), merge });
  };
  const drop = () => dropDraft(user, SCHEMA_DRAFTS, schema.id, schema.name);
  const review = () => reason === null && (address({ review: "" }), true);
  useHotkeys({ "mod+s": () => review() || notYet(reason) });
  // An address that is shared or left behind by another tab: the next letter must not open a dialog.
  useEffect(() => {
    if (!draft && (search.has("review") || search.has("merge"))) address({ review: null, merge: null }, true);
  }, [draft, search, address]);

  return (
    <>
      <div className="page-head">
        <div className="grow">
          <h1 className="break">{schema.name}</h1>
          <div className="row wrap">
            <Badge tone="info">version {schema.version}</Badge>
            <Badge>{schema.project_id ? "this project" : "shared by all"}</Badge>
            <code className="muted">{schema.id}</code>
          </div>
        </div>
        {mayChange && (
          <Button variant="subtle" color="red" onClick={() => deleting.ask()}>
            Delete schema…
          </Button>
        )}
      </div>
      {readOnly && <Notice tone="info" boxed>{readOnly}</Notice>}
      {behind && (
        <Notice tone="warn" boxed live>
          <div className="row wrap">
            <span>
              <strong>Version {schema.version}</strong> came in while you edited version {draft?.baseVersion}. What you typed is untouched.
            </span>
            <Button size="compact-xs" onClick={() => address({ merge: "" })}>
              {draft?.merge ? "Go on with the merge" : "Merge"}
            </Button>
          </div>
        </Notice>
      )}
      <section className="panel" aria-label="Schema text">
        <header className="row wrap">
          <h2 className="grow">JSON Schema</h2>
          {mayChange && (
            <Button
              size="compact-sm"
              variant="default"
              leftSection={<IconAlignLeft size={14} />}
              onClick={() => {
                const parsed = tryParse(text);
                if (parsed) change(formatJson(parsed.value));
              }}
            >
              Format
            </Button>
          )}
        </header>
        <div style={{ height: "46vh", overflow: "auto" }}>
          <JsonEditor value={text} label={`Schema ${schema.name}`} base={draft?.baseVersion ?? schema.version} readOnly={!mayChange} issues={issues} onChange={(next) => next !== text && change(next)} />
        </div>
        <div className="doc-foot">
          <ReasonedButton reason={reason} onClick={review}>
            {`Review version ${schema.version + 1}`}
          </ReasonedButton>
          {changed && (
            <Button variant="default" onClick={drop}>
              Discard what I changed
            </Button>
          )}
          <span className="muted">{issues.length > 0 ? `${issues.length} to fix` : changed ? "The review shows which live configs it would break" : "Nothing changed"}</span>
        </div>
      </section>
      <WhereUsed project={project} schemaId={schema.id} />
      {search.has("review") && draft && (
        <SchemaReview
          project={project}
          schema={schema}
          draft={draft}
          onConflict={() => {
            void client.invalidateQueries({ queryKey: keys.schemas });
            address({ review: null, merge: "" }, true);
          }}
          onDone={() => {
            settle(draft);
            void client.invalidateQueries({ queryKey: keys.schemas });
            address({ review: null }, true);
          }}
          onClose={() => address({ review: null }, true)}
        />
      )}
      {search.has("merge") && draft && (
        <SchemaMerge
          schema={schema}
          draft={draft}
          onKeep={(merge) => save({ ...draft, merge })}
          onMerged={(merged, version) => {
            discard();
            if (merged !== saved) save({ ...draft, text: merged, baseVersion: version, merge: undefined });
            address({ merge: null }, true);
          }}
          onTheirs={() => {
            drop();
            address({ merge: null }, true);
          }}
          onClose={() => address({ merge: null }, true)}
        />
      )}
      {deleting.asked !== null && mayChange && (
        <ConfirmTyped
          title="Delete the schema"
          name={schema.name}
          act="Delete schema"
          onClose={deleting.close}
          onConfirm={async () => {
            await request("DELETE", url`/v1/schemas/${schema.id}`);
            discard();
            await client.invalidateQueries({ queryKey: keys.schemas, exact: true });
            await navigate(`/p/${project}/schemas`, { replace: true });
          }}
        >
          <About>
            <Notice tone="warn" boxed>
              A schema that live configs are bound to is not deleted; the service says which they are.
            </Notice>
          </About>
        </ConfirmTyped>
      )}
    </>
  );
}

function SchemaMerge({
  schema,
  draft,
  ...acts
}: {
  schema: Schema;
  draft: Draft;
  onKeep: (merge: BegunMerge) => void;
  onMerged: (text: string, version: number) => void;
  onTheirs: () => void;
  onClose: () => void;
}) {
  const base = useSchemaVersion(schema.id, draft.baseVersion);
  return (
    <MergeDialog
      name={schema.name}
      newest={{ version: schema.version, content: schema.schema }}
      before={{ known: base.data !== undefined, content: base.data?.schema, error: base.error, retry: () => void base.refetch() }}
      draft={draft}
      {...acts}
    />
  );
}

function WhereUsed({ project, schemaId }: { project: string; schemaId: string }) {
  const usage = useUsage(schemaId);
  const { items = [], total = 0, hidden = 0 } = usage.data ?? {};
  return (
    <section className="panel" aria-label="Where it is used">
      <header>
        <h2>{usage.data ? `Used by ${total === 1 ? "1 live config" : `${total.toLocaleString()} live configs`}` : "Where it is used"}</h2>
      </header>
      {usage.error && (
        <div className="body">
          <Failure error={usage.error} retry={() => void usage.refetch()} />
        </div>
      )}
      {usage.isPending && (
        <div className="body">
          <Loading rows={3} />
        </div>
      )}
      {usage.data && total === 0 && <div className="body muted">Bind it to a config with the schema field above the editor.</div>}
      {total > 0 && (
        <ul className="list" style={{ maxHeight: "20rem", overflow: "auto" }}>
          {items.map((each) => (
            <li key={`${each.project_id}/${each.key}`}>
              <Link className="mono grow break" to={`/p/${each.project_id}/configs/${each.key}`}>
                {each.key}
              </Link>
              {each.project_id !== project && <span className="muted">in another project</span>}
            </li>
          ))}
          {total - hidden > items.length && <li className="muted">and {total - hidden - items.length} more</li>}
          {hidden > 0 && <li className="muted">and {hidden} in projects that you cannot see</li>}
        </ul>
      )}
    </section>
  );
}
