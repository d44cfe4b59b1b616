import { useState } from "react";
import { useMatch } from "react-router";
import { useMe, useProject, useProjects } from "../api/queries";
import type { RoleLevel } from "../api/types";

/** The project of the address, or null outside of any. */
export function useCurrentProject(): string | null {
  return useMatch("/p/:project/*")?.params.project ?? null;
}

/** The project of the address; outside of any the one that was left, so that there is a way back. */
export function useProjectAtHand(): string | null {
  const current = useCurrentProject();
  const [left, setLeft] = useState(current);
  if (current !== null && current !== left) setLeft(current);
  const projects = useProjects();
  if (current !== null) return current;
  return projects.data?.some((each) => each.id === left) ? left : null;
}

export type Access = {
  role: RoleLevel | "superuser" | null;
  canEdit: boolean;
  canManage: boolean;
  canDelete: boolean;
  superuser: boolean;
  known: boolean;
};

/** What the person may do in a project. The service decides; this only keeps buttons honest. */
export function useAccess(projectId: string): Access {
  const me = useMe();
  const project = useProject(projectId);
  const superuser = me.data?.is_superuser === true;
  const owner = project.data !== undefined && project.data.owner_user_id === me.data?.id;
  const role = owner ? "owner" : superuser ? "superuser" : (project.data?.role ?? null);
  const manages = role === "owner" || role === "superuser" || role === "admin";
  return {
    role,
    canEdit: manages || role === "editor",
    canManage: manages,
    canDelete: role === "owner" || role === "superuser",
    superuser,
    known: project.data !== undefined && me.data !== undefined,
  };
}
