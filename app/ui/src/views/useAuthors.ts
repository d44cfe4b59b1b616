import { useMemo } from "react";
import { useMe, useProject, useRoles } from "../api/queries";

/** Names for user ids, as far as the members of the project are known. */
export function useAuthors(project: string): (id: string | null | undefined) => string | null {
  const me = useMe();
  const roles = useRoles(project);
  const detail = useProject(project);
  return useMemo(() => {
    const names = new Map<string, string>();
    for (const role of roles.data ?? []) if (role.email) names.set(role.user_id, role.email);
    if (me.data) names.set(me.data.id, me.data.email);
    if (detail.data?.owner_email) names.set(detail.data.owner_user_id, detail.data.owner_email);
    return (id) => (id ? (names.get(id) ?? null) : null);
  }, [me.data, roles.data, detail.data]);
}
