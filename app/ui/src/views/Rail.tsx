import { Select } from "@mantine/core";
import {
  IconBraces,
  IconFolders,
  IconGitCommit,
  IconHistory,
  IconKey,
  IconListTree,
  IconServer2,
  IconSettings,
  IconUsers,
} from "@tabler/icons-react";
import { NavLink, useNavigate, useSearchParams } from "react-router";
import { useMe, useProjects } from "../api/queries";
import { useEdited } from "../lib/drafts";
import { withMoment } from "../lib/moment";

export function Rail({
  open,
  project,
  superuser,
}: {
  open: boolean;
  project: string | null;
  superuser: boolean;
}) {
  const projects = useProjects();
  const navigate = useNavigate();
  return (
    <nav className={`rail${open ? " open" : ""}`} aria-label="Main">
      <Item to="/projects" icon={<IconFolders size={17} />} label="Projects" />
      {projects.data !== undefined && projects.data.length > 0 && (
        <Select
          aria-label="Project"
          placeholder="Choose a project"
          searchable={projects.data.length > 8}
          allowDeselect={false}
          value={project}
          data={projects.data.map((each) => ({ value: each.id, label: each.name }))}
          onChange={(id) => id !== null && void navigate(`/p/${id}/configs`)}
          size="sm"
          my={6}
        />
      )}
      {project !== null && <ProjectItems project={project} />}
      <hr />
      <Item to="/cluster" icon={<IconServer2 size={17} />} label="Cluster" />
      {superuser && <Item to="/users" icon={<IconUsers size={17} />} label="Users" />}
    </nav>
  );
}

function ProjectItems({ project }: { project: string }) {
  const me = useMe();
  const edited = useEdited(me.data?.id ?? "", project);
  const [search] = useSearchParams();
  const at = search.get("at");
  return (
    <>
      <Item to={withMoment(`/p/${project}/configs`, at)} icon={<IconListTree size={17} />} label="Configs" />
      <Item
        to={`/p/${project}/changes`}
        icon={<IconGitCommit size={17} />}
        label="Change set"
        count={edited.size}
      />
      <Item to={withMoment(`/p/${project}/history`, at)} icon={<IconHistory size={17} />} label="History" />
      <Item to={`/p/${project}/schemas`} icon={<IconBraces size={17} />} label="Schemas" />
      <Item to={`/p/${project}/access`} icon={<IconKey size={17} />} label="Members & keys" />
      <Item to={`/p/${project}/settings`} icon={<IconSettings size={17} />} label="Settings" />
    </>
  );
}

function Item({
  to,
  icon,
  label,
  count = 0,
}: {
  to: string;
  icon: React.ReactNode;
  label: string;
  count?: number;
}) {
  return (
    <NavLink to={to} className="rail-link">
      {icon}
      <span>{label}</span>
      {count > 0 && (
        <span className="badge warn end" title={count === 1 ? "1 edit not committed yet" : `${count} edits not committed yet`}>
          {count}
          <span className="visually-hidden"> not committed</span>
        </span>
      )}
    </NavLink>
  );
}
