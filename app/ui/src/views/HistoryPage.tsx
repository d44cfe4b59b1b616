/** The project through time: its feed, any moment of it, and whether the record is whole. */
import { Button, Select, TextInput } from "@mantine/core";
import { IconFilter } from "@tabler/icons-react";
import { useMemo, useState } from "react";
import { useParams } from "react-router";
import { useAudit, useChain, useProject, useRoles } from "../api/queries";
import { Badge, Copy, Loading, Time, usePageTitle } from "../components/basics";
import { useAddress } from "../lib/address";
import { AuditFeed } from "./AuditFeed";
import { MomentPicker } from "./MomentPicker";
import { ProjectRollback } from "./ProjectRollback";
import { useAccess } from "./useCurrentProject";

export function HistoryPage() {
  const { project = "" } = useParams();
  const [search, address] = useAddress();
  const detail = useProject(project);
  usePageTitle("History", detail.data?.name);
  const filter = { user: search.get("user"), key: search.get("key") };
  return (
    <main id="main" className="main">
      <div className="page">
        <div className="page-head">
          <div>
            <h1>History</h1>
            <p>Every change of every config of this project, for ever, in the order of the log.</p>
          </div>
        </div>
        <MomentPicker project={project} />
        <ChainState project={project} />
        <section className="panel" aria-label="Audit feed">
          <header className="row wrap">
            <h2 className="grow">Changes</h2>
            <PersonFilter project={project} value={filter.user} onChange={(user) => address({ user }, true)} />
            <KeyFilter value={filter.key} onChange={(key) => address({ key }, true)} />
          </header>
          <AuditFeed project={project} filter={filter} />
        </section>
      </div>
      {search.has("rollback") && search.get("at") !== null && (
        <ProjectRollback project={project} at={search.get("at") ?? ""} onClose={() => address({ rollback: null }, true)} />
      )}
    </main>
  );
}

/** No user's id. A choice like the others, because a button inside the field is not for keyboards. */
const ANYBODY = "";

/** People that the page has met: authors of what is loaded, and the members for who may list them. */
function PersonFilter({ project, value, onChange }: { project: string; value: string | null; onChange: (user: string | null) => void }) {
  const access = useAccess(project);
  const roles = useRoles(project, access.canManage);
  const detail = useProject(project);
  const feed = useAudit(project, {});
  const names = useMemo(() => {
    const found = new Map<string, string>();
    for (const page of feed.data?.pages ?? []) {
      for (const each of page.items) {
        if (each.created_by_user_id && each.created_by_email) found.set(each.created_by_user_id, each.created_by_email);
      }
    }
    for (const role of roles.data ?? []) if (role.email) found.set(role.user_id, role.email);
    if (detail.data?.owner_email) found.set(detail.data.owner_user_id, detail.data.owner_email);
    if (value !== null && !found.has(value)) found.set(value, value);
    return found;
  }, [feed.data, roles.data, detail.data, value]);
  return (
    <Select
      size="xs"
      aria-label="Changed by"
      searchable
      allowDeselect={false}
      value={value ?? ANYBODY}
      data={[{ value: ANYBODY, label: "By anybody" }, ...[...names].map(([id, name]) => ({ value: id, label: name }))]}
      onChange={(chosen) => onChange(chosen === ANYBODY ? null : chosen)}
    />
  );
}

function KeyFilter({ value, onChange }: { value: string | null; onChange: (key: string | null) => void }) {
  const [typed, setTyped] = useState(value ?? "");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onChange(typed.trim() || null);
      }}
    >
      <TextInput
        size="xs"
        aria-label="Only this key"
        placeholder="Key, then Enter"
        leftSection={<IconFilter size={14} aria-hidden />}
        value={typed}
        onChange={(event) => {
          setTyped(event.currentTarget.value);
          if (event.currentTarget.value === "") onChange(null);
        }}
      />
    </form>
  );
}

/** Each revision's hash covers the one before it: a change of the past would show here. */
function ChainState({ project }: { project: string }) {
  const chain = useChain(project);
  return (
    <section className="panel" aria-label="Hash chain">
      <div className="body row wrap">
        <strong>Hash chain</strong>
        {chain.isPending && <Loading rows={1} label="Checking the hash chain" />}
        {chain.error && <Badge tone="warn">could not be checked: {chain.error.message}</Badge>}
        {chain.data && (
          <>
            {chain.data.intact ? <Badge tone="good">intact</Badge> : <Badge tone="bad">broken</Badge>}
            <span className="muted">
              {chain.data.revisions === 1 ? "1 revision" : `${chain.data.revisions.toLocaleString()} revisions`}
              {chain.dataUpdatedAt > 0 && (
                <>
                  , checked <Time iso={new Date(chain.dataUpdatedAt).toISOString()} />
                </>
              )}
            </span>
            {chain.data.head_hash && (
              <>
                <code className="ellipsis muted" title={chain.data.head_hash}>
                  {chain.data.head_hash.slice(0, 16)}…
                </code>
                <Copy value={chain.data.head_hash} label="Copy head" />
              </>
            )}
            {!chain.data.intact && <code className="break">{JSON.stringify(chain.data.first_bad)}</code>}
          </>
        )}
        <Button className="end" size="compact-sm" variant="default" loading={chain.isFetching && !chain.isPending} onClick={() => void chain.refetch()}>
          Check again
        </Button>
      </div>
    </section>
  );
}
