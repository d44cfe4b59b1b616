import { Button, Select, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { request, url } from "../api/client";
import { client, keys, useApiKeys } from "../api/queries";
import type { NamedKey } from "../api/types";
import { Badge, Empty, Failure, Loading, Notice, Time } from "../components/basics";
import { MakeDialog } from "../components/MakeDialog";
import { ConfirmTyped } from "../components/ConfirmTyped";
import { About } from "../components/Dialog";
import { ShownOnce } from "../components/ShownOnce";
import { useAsked } from "../lib/address";
import { useRowFocus } from "../lib/rowFocus";
import { fromLocalInput } from "../lib/time";

export function KeysPanel({ project }: { project: string }) {
  const list = useApiKeys(project, true);
  const making = useAsked("new");
  const end = useAsked("end");
  const ending = (list.data ?? []).find((key) => key.id === end.asked);
  const [made, setMade] = useState<NamedKey | null>(null);
  const { region, leaving } = useRowFocus<HTMLElement>((list.data ?? []).map((key) => key.id), ending !== undefined);
  return (
    <section ref={region} className="panel" aria-label="Named keys">
      <header>
        <h2 className="grow">Named keys</h2>
        <Button size="compact-sm" variant="default" leftSection={<IconPlus size={14} />} onClick={() => making.ask()} data-no-row>
          New key
        </Button>
      </header>
      {list.error && (
        <div className="body">
          <Failure error={list.error} retry={() => void list.refetch()} />
        </div>
      )}
      {list.isPending && (
        <div className="body">
          <Loading rows={3} />
        </div>
      )}
      {list.data?.length === 0 && (
        <Empty title="No named keys">One for each pipeline and service: it can be limited to part of the tree, and ended alone.</Empty>
      )}
      {list.data && list.data.length > 0 && (
        <div className="table-wrap" tabIndex={0} role="group" aria-label="Keys">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Role</th>
                <th scope="col">Only under</th>
                <th scope="col">Last used</th>
                <th scope="col">Ends</th>
                <th scope="col">
                  <span className="visually-hidden">Acts</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {list.data.map((key) => (
                <tr key={key.id}>
                  <td className="break">{key.name}</td>
                  <td>
                    <Badge>{key.role_level}</Badge>
                  </td>
                  <td>{key.prefix ? <code className="break">{key.prefix}</code> : <span className="muted">everything</span>}</td>
                  <td>{key.last_used_at ? <Time iso={key.last_used_at} /> : <span className="muted">never</span>}</td>
                  <td>{key.expires_at ? <Time iso={key.expires_at} /> : <span className="muted">never</span>}</td>
                  <td>
                    <Button size="compact-xs" variant="subtle" color="red" aria-label={`End the key ${key.name}`} data-row-act={key.id} onClick={() => end.ask(key.id)}>
                      End…
                    </Button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {making.asked !== null && (
        <NewKey
          project={project}
          onClose={making.close}
          onMade={(key) => {
            making.close();
            setMade(key);
          }}
        />
      )}
      {made && making.asked === null && <ShownOnce title={`The key ${made.name}`} secret={made.api_key ?? ""} project={project} onClose={() => setMade(null)} />}
      {ending && (
        <ConfirmTyped
          title="End a key"
          name={ending.name}
          act="End this key"
          onClose={end.close}
          onConfirm={async () => {
            await request("DELETE", url`/v1/projects/${project}/keys/${ending.id}`);
            leaving(ending.id);
            await client.invalidateQueries({ queryKey: keys.apiKeys(project) });
          }}
        >
          <About>
            <Notice tone="warn" boxed>
              Whatever still sends it is refused from now on.
            </Notice>
          </About>
        </ConfirmTyped>
      )}
    </section>
  );
}

function NewKey({ project, onClose, onMade }: { project: string; onClose: () => void; onMade: (key: NamedKey) => void }) {
  const [name, setName] = useState("");
  const [level, setLevel] = useState("viewer");
  const [prefix, setPrefix] = useState("");
  const [ends, setEnds] = useState("");
  const make = useMutation({
    mutationFn: async () =>
      (
        await request<NamedKey>("POST", url`/v1/projects/${project}/keys`, {
          body: {
            name: name.trim(),
            role_level: level,
            ...(prefix.trim() === "" ? {} : { prefix: prefix.trim() }),
            ...(ends === "" ? {} : { expires_at: fromLocalInput(ends) }),
          },
        })
      ).data,
    onSuccess: (key) => {
      void client.invalidateQueries({ queryKey: keys.apiKeys(project) });
      onMade({ ...key, name: key.name ?? name });
    },
  });
  return (
    <MakeDialog thing="key" make={make} ready={name.trim() !== ""} onClose={onClose}>
      <TextInput label="Name" description="The service or pipeline that will send it" value={name} onChange={(event) => setName(event.currentTarget.value)} required maxLength={200} data-autofocus />
      <Select
        label="Role"
        data={[
          { value: "viewer", label: "Viewer: reads" },
          { value: "editor", label: "Editor: changes configs" },
        ]}
        value={level}
        onChange={(value) => value && setLevel(value)}
        allowDeselect={false}
      />
      <TextInput label="Only under" description="Limits it to keys that begin so; empty: all" placeholder="payments." value={prefix} onChange={(event) => setPrefix(event.currentTarget.value)} />
      <TextInput type="datetime-local" label="Ends" description="Empty: never" value={ends} onChange={(event) => setEnds(event.currentTarget.value)} />
    </MakeDialog>
  );
}
