import { Button, Checkbox, PasswordInput, Switch, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { request, url } from "../api/client";
import { client, keys, useMe, useUsers } from "../api/queries";
import type { User } from "../api/types";
import { Badge, Empty, Failure, Loading, Time, usePageTitle } from "../components/basics";
import { MakeDialog } from "../components/MakeDialog";
import { useAsked } from "../lib/address";
import { useRowFocus } from "../lib/rowFocus";
import { DeleteUser } from "./DeleteUser";
import { SetPassword } from "./SetPassword";
import { SuperuserChange } from "./SuperuserChange";

const refresh = () => client.invalidateQueries({ queryKey: keys.users });

export function UsersPage() {
  usePageTitle("Users");
  const me = useMe();
  const superuser = me.data?.is_superuser === true;
  const users = useUsers(superuser);
  const making = useAsked("new");
  const [removal, password, right] = [useAsked("delete"), useAsked("password"), useAsked("superuser")];
  const named = (id: string | null) => (users.data ?? []).find((user) => user.id === id);
  const [deleting, setting, raising] = [named(removal.asked), named(password.asked), named(right.asked)];
  /** What was done last, for those who do not see the row change. */
  const [done, setDone] = useState("");
  /** Whose password was set. */
  const [renewed, setRenewed] = useState<readonly User[]>([]);
  const { region, leaving } = useRowFocus<HTMLElement>((users.data ?? []).map((user) => user.id), deleting !== undefined);
  const change = useMutation({
    mutationFn: ({ id, disabled }: { id: string; disabled: boolean }) => request("PATCH", url`/v1/users/${id}`, { body: { disabled } }),
    onSuccess: refresh,
  });
  return (
    <main id="main" className="main">
      <div className="page">
        <div className="page-head">
          <div>
            <h1>Users</h1>
            <p>Who can sign in. What they may do in a project is set under its members.</p>
          </div>
          {superuser && (
            <Button className="end" leftSection={<IconPlus size={16} />} onClick={() => making.ask()}>
              New user
            </Button>
          )}
        </div>
        {me.data && !superuser && (
          <section className="panel">
            <Empty title="Only superusers see the users">Ask one of them to add a person or to set a new password.</Empty>
          </section>
        )}
        {users.error && <Failure error={users.error} retry={() => void users.refetch()} />}
        {change.error && <Failure error={change.error} />}
        {superuser && users.isPending && <Loading />}
        {users.data && (
          <section ref={region} className="panel" aria-label="Users">
            <ul className="list">
              {users.data.map((user) => (
                <li key={user.id}>
                  <div className="grow stack tight">
                    <span className="break">
                      {user.email} {user.id === me.data?.id && <span className="muted">(you)</span>}
                    </span>
                    {user.created_at && (
                      <span className="muted">
                        since <Time iso={user.created_at} />
                      </span>
                    )}
                  </div>
                  {renewed.some((each) => each.id === user.id) && <Badge tone="good">new password set</Badge>}
                  {user.disabled && <Badge tone="warn">disabled</Badge>}
                  {user.is_superuser && <Badge tone="info">superuser</Badge>}
                  {user.id !== me.data?.id && (
                    <>
                      <Button
                        size="compact-xs"
                        variant="subtle"
                        aria-label={user.is_superuser ? `No superuser any more: ${user.email}` : `Make superuser: ${user.email}`}
                        onClick={() => right.ask(user.id)}
                      >
                        {user.is_superuser ? "No superuser any more…" : "Make superuser…"}
                      </Button>
                      <Switch
                        size="xs"
                        label="can sign in"
                        checked={!user.disabled}
                        aria-label={`${user.email} can sign in`}
                        onChange={(event) => change.mutate({ id: user.id, disabled: !event.currentTarget.checked })}
                      />
                      <Button size="compact-xs" variant="subtle" aria-label={`Set password of ${user.email}`} onClick={() => password.ask(user.id)}>
                        Set password…
                      </Button>
                      <Button size="compact-xs" variant="subtle" color="red" aria-label={`Delete ${user.email}`} data-row-act={user.id} onClick={() => removal.ask(user.id)}>
                        Delete…
                      </Button>
                    </>
                  )}
                </li>
              ))}
            </ul>
          </section>
        )}
      </div>
      {making.asked !== null && superuser && <NewUser onClose={making.close} />}
      <p role="status" className="visually-hidden">
        {done}
      </p>
      {setting && (
        <SetPassword
          user={setting}
          onDone={() => {
            setRenewed([...renewed, setting]);
            setDone(`The new password of ${setting.email} is set.`);
          }}
          onClose={password.close}
        />
      )}
      {raising && (
        <SuperuserChange
          user={raising}
          onDone={() => {
            setDone(`${raising.email} is ${raising.is_superuser ? "no superuser any more" : "a superuser now"}.`);
            return refresh();
          }}
          onClose={right.close}
        />
      )}
      {deleting && (
        <DeleteUser
          user={deleting}
          onDone={() => {
            leaving(deleting.id);
            setDone(`${deleting.email} is deleted.`);
            return refresh();
          }}
          onClose={removal.close}
        />
      )}
    </main>
  );
}

function NewUser({ onClose }: { onClose: () => void }) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [superuser, setSuperuser] = useState(false);
  const make = useMutation({
    mutationFn: () => request("POST", "/v1/users", { body: { email: email.trim(), password, is_superuser: superuser } }),
    onSuccess: async () => {
      await refresh();
      onClose();
    },
  });
  return (
    <MakeDialog thing="user" make={make} ready={email !== "" && password !== ""} onClose={onClose}>
      <TextInput label="Email" type="email" value={email} onChange={(event) => setEmail(event.currentTarget.value)} required autoComplete="off" data-autofocus />
      <PasswordInput label="First password" description="Tell it to them; they change it after signing in" value={password} onChange={(event) => setPassword(event.currentTarget.value)} required autoComplete="new-password" />
      <Checkbox label="Superuser" description="May do everything in every project, and manage users" checked={superuser} onChange={(event) => setSuperuser(event.currentTarget.checked)} />
    </MakeDialog>
  );
}
