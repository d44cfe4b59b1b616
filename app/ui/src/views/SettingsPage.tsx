import { Button, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useNavigate, useParams } from "react-router";
import { request, url } from "../api/client";
import { client, keys, useConfigs, useProject } from "../api/queries";
import { Copy, Failure, Loading, Notice, ReasonedButton, usePageTitle } from "../components/basics";
import { ConfirmTyped } from "../components/ConfirmTyped";
import { About } from "../components/Dialog";
import { useAsked } from "../lib/address";
import { useAccess } from "./useCurrentProject";

export function SettingsPage() {
  const { project = "" } = useParams();
  const detail = useProject(project);
  const access = useAccess(project);
  const configs = useConfigs(project, null);
  const navigate = useNavigate();
  const [name, setName] = useState("");
  const deleting = useAsked("delete");
  usePageTitle("Settings", detail.data?.name);
  useEffect(() => setName(detail.data?.name ?? ""), [detail.data?.name]);
  const rename = useMutation({
    mutationFn: () => request("PATCH", url`/v1/projects/${project}`, { body: { name: name.trim() } }),
    onSuccess: () =>
      Promise.all([
        client.invalidateQueries({ queryKey: keys.project(project), exact: true }),
        client.invalidateQueries({ queryKey: keys.projects }),
      ]),
  });
  if (!detail.data) {
    return (
      <main id="main" className="main">
        <div className="page">
          <Loading />
        </div>
      </main>
    );
  }
  const current = detail.data.name;
  return (
    <main id="main" className="main">
      <div className="page">
        <div className="page-head">
          <h1>Settings</h1>
        </div>
        <section className="panel" aria-label="Name">
          <header>
            <h2>Name</h2>
          </header>
          <form
            className="body stack"
            onSubmit={(event) => {
              event.preventDefault();
              rename.mutate();
            }}
          >
            <TextInput
              aria-label="Name of the project"
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              readOnly={!access.canManage}
              maxLength={200}
              maw={420}
              description={access.canManage ? undefined : "An admin or the owner can rename it"}
            />
            <div className="row wrap muted">
              Id <code>{project}</code> <Copy value={project} label="Copy id" />
            </div>
            {rename.error && <Failure error={rename.error} />}
            {access.canManage && (
              <div className="row">
                <Button type="submit" variant="default" disabled={name.trim() === "" || name.trim() === current} loading={rename.isPending}>
                  Rename project
                </Button>
                {rename.isSuccess && name === current && <span role="status">Renamed</span>}
              </div>
            )}
          </form>
        </section>
        <section className="panel" aria-label="Delete">
          <header>
            <h2>Delete the project</h2>
          </header>
          <div className="body row wrap">
            <span className="grow">Its configs are no longer served, and its keys and members lose their access.</span>
            <ReasonedButton variant="outline" color="red" reason={access.canDelete ? null : "Only the owner or a superuser can delete the project"} onClick={() => deleting.ask()}>
              Delete project…
            </ReasonedButton>
          </div>
        </section>
      </div>
      {deleting.asked !== null && access.canDelete && (
        <ConfirmTyped
          title={`Delete ${current}`}
          name={current}
          act="Delete this project"
          onClose={deleting.close}
          onConfirm={async () => {
            await request("DELETE", url`/v1/projects/${project}`);
            await client.invalidateQueries({ queryKey: keys.projects });
            await navigate("/projects", { replace: true });
          }}
        >
          <About>
            <Notice tone="bad" boxed>
              {configs.data
                ? configs.data.items.length === 1
                  ? "1 config is removed with its history."
                  : `${configs.data.items.length.toLocaleString()} configs are removed with their history.`
                : "Its configs are removed with their history."}{" "}
              Every program that reads them is refused at once. This cannot be taken back here.
            </Notice>
          </About>
        </ConfirmTyped>
      )}
    </main>
  );
}
