import { useState } from "react";
import { useMatch } from "react-router";
import { useMe, useProject, useProjects } from "../api/queries";
import { accessOf, type Access } from "../lib/access";

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

/** What the person may do in a project. */
export function useAccess(projectId: string): Access {
  const me = useMe();
  const project = useProject(projectId);
  return accessOf(me.data, project.data);
}
