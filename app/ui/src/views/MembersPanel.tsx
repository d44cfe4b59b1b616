import { ActionIcon, Button, Select, TextInput } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { request, url } from "../api/client";
import { client, keys, useMe, useProject, useRoles, useUsers } from "../api/queries";
import { Badge, Failure, Loading } from "../components/basics";
import { useRowFocus } from "../lib/rowFocus";

const LEVELS = [
  { value: "viewer", label: "Viewer: reads" },
  { value: "editor", label: "Editor: changes configs" },
  { value: "admin", label: "Admin: manages all" },
];

export function MembersPanel({ project, canManage }: { project: string; canManage: boolean }) {
  const roles = useRoles(project, canManage);
  const detail = useProject(project);
  const me = useMe();
  const refresh = () => client.invalidateQueries({ queryKey: keys.roles(project) });
  const put = useMutation({
    mutationFn: ({ user, level }: { user: string; level: string }) =>
      request("PUT", url`/v1/projects/${project}/roles/${user}`, { body: { role_level: level } }),
    onSuccess: refresh,
  });
  const { region, leaving } = useRowFocus<HTMLElement>((roles.data ?? []).map((role) => role.user_id), false);
  const remove = useMutation({
    mutationFn: (user: string) => request("DELETE", url`/v1/projects/${project}/roles/${user}`),
    onSuccess: (_, user) => {
      leaving(user);
      return refresh();
    },
  });
  const error = put.error ?? remove.error;
  return (
    <section ref={region} className="panel" aria-label="Members">
      <header>
        <h2 tabIndex={-1} data-no-row>
          Members
        </h2>
      </header>
      {roles.error && (
        <div className="body">
          <Failure error={roles.error} retry={() => void roles.refetch()} />
        </div>
      )}
      {canManage && roles.isPending && (
        <div className="body">
          <Loading rows={3} />
        </div>
      )}
      {error && (
        <div className="body">
          <Failure error={error} />
        </div>
      )}
      <ul className="list">
        {detail.data && !roles.data?.some((role) => role.user_id === detail.data.owner_user_id) && (
          <li>
            <span className="grow break">
              {detail.data.owner_email ?? (detail.data.owner_user_id === me.data?.id ? me.data.email : detail.data.owner_user_id)}
            </span>
            <Badge tone="info">owner</Badge>
          </li>
        )}
        {!canManage && <li className="muted">Only admins and the owner see the other members.</li>}
        {roles.data?.map((role) => {
          const name = role.email ?? role.user_id;
          const owner = role.user_id === detail.data?.owner_user_id;
          return (
            <li key={role.user_id}>
              <span className="grow break">
                {name} {role.user_id === me.data?.id && <span className="muted">(you)</span>}
              </span>
              {owner ? (
                <Badge tone="info">owner</Badge>
              ) : canManage ? (
                <>
                  <Select
                    size="xs"
                    aria-label={`Role of ${name}`}
                    data={LEVELS}
                    value={role.role_level}
                    allowDeselect={false}
                    w={200}
                    onChange={(level) => level && put.mutate({ user: role.user_id, level })}
                  />
                  <ActionIcon variant="subtle" color="red" aria-label={`Remove ${name}`} data-row-act={role.user_id} onClick={() => remove.mutate(role.user_id)}>
                    <IconTrash size={15} />
                  </ActionIcon>
                </>
              ) : (
                <Badge>{role.role_level}</Badge>
              )}
            </li>
          );
        })}
      </ul>
      {canManage && <AddMember members={new Set([detail.data?.owner_user_id ?? "", ...(roles.data ?? []).map((role) => role.user_id)])} onAdd={(user, level) => put.mutateAsync({ user, level })} busy={put.isPending} />}
    </section>
  );
}

/** Superusers choose from the users; others know the id of whom they add. */
function AddMember({
  members,
  onAdd,
  busy,
}: {
  members: ReadonlySet<string>;
  onAdd: (user: string, level: string) => Promise<unknown>;
  busy: boolean;
}) {
  const me = useMe();
  const superuser = me.data?.is_superuser === true;
  const users = useUsers(superuser);
  const [user, setUser] = useState<string | null>(null);
  const [level, setLevel] = useState<string | null>("viewer");
  const add = () => {
    if (user && level) {
      onAdd(user.trim(), level).then(
        () => setUser(null),
        () => undefined,
      );
    }
  };
  return (
    <form
      className="body row wrap"
      style={{ alignItems: "flex-end", borderTop: "1px solid var(--g-line)" }}
      onSubmit={(event) => {
        event.preventDefault();
        add();
      }}
    >
      {superuser ? (
        <Select
          label="Add a member"
          placeholder="Choose a person"
          searchable
          value={user}
          onChange={setUser}
          data={(users.data ?? []).filter((each) => !members.has(each.id)).map((each) => ({ value: each.id, label: each.email }))}
          nothingFoundMessage={users.isPending ? "Loading…" : "Nobody else"}
          w={280}
        />
      ) : (
        <TextInput label="Add a member" description="The id that they see under “Change password”" value={user ?? ""} onChange={(event) => setUser(event.currentTarget.value)} w={320} />
      )}
      <Select aria-label="Role of the new member" data={LEVELS} value={level} onChange={setLevel} allowDeselect={false} w={210} />
      <Button type="submit" variant="default" disabled={!user} loading={busy}>
        Add member
      </Button>
    </form>
  );
}
