import { Button, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { request } from "../api/client";
import { client, keys, useMe, useProjects } from "../api/queries";
import type { Project } from "../api/types";
import { Badge, Empty, Failure, Loading, Time, usePageTitle } from "../components/basics";
import { MakeDialog } from "../components/MakeDialog";
import { ShownOnce } from "../components/ShownOnce";
import { useHotkeys } from "../lib/hotkeys";

export function ProjectsPage() {
  usePageTitle("Projects");
  const projects = useProjects();
  const [search, setSearch] = useSearchParams();
  const making = search.has("new");
  const make = () => setSearch({ new: "" });
  useHotkeys({ n: make });
  return (
    <main id="main" className="main">
      <div className="page">
        <div className="page-head">
          <div>
            <h1>Projects</h1>
            <p>A project holds the configs of one product or team, with its own members and keys.</p>
          </div>
          <Button className="end" leftSection={<IconPlus size={16} />} onClick={make}>
            New project
          </Button>
        </div>
        {projects.error && <Failure error={projects.error} retry={() => void projects.refetch()} />}
        {projects.isPending && <Loading />}
        {projects.data?.length === 0 && (
          <section className="panel">
            <Empty title="No projects yet" action={<Button onClick={make}>Make the first project</Button>}>
              Make one to store configs in, or ask a project’s admin to add you as a member.
            </Empty>
          </section>
        )}
        {projects.data !== undefined && projects.data.length > 0 && <ProjectList projects={projects.data} />}
      </div>
      {making && <NewProject onClose={() => setSearch({}, { replace: true })} />}
    </main>
  );
}

function ProjectList({ projects }: { projects: Project[] }) {
  const me = useMe();
  return (
    <section className="panel" aria-label="Projects">
      <ul className="list">
        {projects.map((project) => (
          <li key={project.id}>
            <div className="grow stack tight">
              <Link to={`/p/${project.id}/configs`} className="ellipsis">
                <strong>{project.name}</strong>
              </Link>
              <code className="muted ellipsis">{project.id}</code>
            </div>
            {project.created_at && (
              <span className="muted only-wide">
                made <Time iso={project.created_at} />
              </span>
            )}
            <Badge>
              {project.owner_user_id === me.data?.id ? "owner" : (project.role ?? "member")}
            </Badge>
          </li>
        ))}
      </ul>
    </section>
  );
}

function NewProject({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const navigate = useNavigate();
  const make = useMutation({
    mutationFn: async () => (await request<Project>("POST", "/v1/projects", { body: { name: name.trim() } })).data,
    onSuccess: () => client.invalidateQueries({ queryKey: keys.projects }),
  });
  if (make.data) {
    const made = make.data;
    return (
      <ShownOnce
        title={`The key of ${made.name}`}
        secret={made.api_key ?? ""}
        project={made.id}
        onClose={() => void navigate(`/p/${made.id}/configs`)}
      />
    );
  }
  return (
    <MakeDialog thing="project" make={make} ready={name.trim() !== ""} onClose={onClose}>
      <TextInput
        label="Name"
        description="What people will look for: payments, web shop, …"
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        required
        maxLength={200}
        data-autofocus
      />
    </MakeDialog>
  );
}
