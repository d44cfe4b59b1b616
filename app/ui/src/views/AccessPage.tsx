/** Who and what may reach a project: members with roles, and keys for programs. */
import { useParams } from "react-router";
import { useProject } from "../api/queries";
import { Notice, usePageTitle } from "../components/basics";
import { KeysPanel } from "./KeysPanel";
import { MembersPanel } from "./MembersPanel";
import { ProjectKeyPanel } from "./ProjectKeyPanel";
import { useAccess } from "./useCurrentProject";

export function AccessPage() {
  const { project = "" } = useParams();
  const detail = useProject(project);
  usePageTitle("Members and keys", detail.data?.name);
  const access = useAccess(project);
  return (
    <main id="main" className="main">
      <div className="page">
        <div className="page-head">
          <div>
            <h1>Members &amp; keys</h1>
            <p>People sign in and have a role. Programs send a key. A viewer reads, an editor changes configs, an admin manages the rest.</p>
          </div>
        </div>
        {access.known && !access.canManage && (
          <Notice tone="info" boxed>
            Your role here is {access.role ?? "viewer"}: an admin or the owner changes members and keys.
          </Notice>
        )}
        <MembersPanel project={project} canManage={access.canManage} />
        {access.canManage && (
          <>
            <ProjectKeyPanel project={project} />
            <KeysPanel project={project} />
          </>
        )}
      </div>
    </main>
  );
}
