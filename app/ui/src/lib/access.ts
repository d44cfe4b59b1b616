/** What a person may do in a project. The service decides; this only keeps buttons honest. */
import type { Project, RoleLevel, User } from "../api/types";

export type Access = {
  role: RoleLevel | "superuser" | null;
  canEdit: boolean;
  canManage: boolean;
  canDelete: boolean;
  superuser: boolean;
  /** Both are there to tell by. */
  known: boolean;
};

export function accessOf(me: User | undefined, project: Project | undefined): Access {
  const superuser = me?.is_superuser === true;
  const owner = project !== undefined && project.owner_user_id === me?.id;
  const role = owner ? "owner" : superuser ? "superuser" : (project?.role ?? null);
  const manages = role === "owner" || role === "superuser" || role === "admin";
  return {
    role,
    canEdit: manages || role === "editor",
    canManage: manages,
    canDelete: role === "owner" || role === "superuser",
    superuser,
    known: project !== undefined && me !== undefined,
  };
}
