import { useQuery } from "@tanstack/react-query";
import { request, url } from "../api/client";
import type { User } from "../api/types";
import { ConfirmTyped } from "../components/ConfirmTyped";
import { About } from "../components/Dialog";
import { Failure, Loading, Notice } from "../components/basics";

type Goes = { projects: { id: string; name: string }[]; schemas: { id: string; name: string }[]; roles: number };

/** A user takes their projects with them: what goes is asked first and shown. */
export function DeleteUser({ user, onDone, onClose }: { user: User; onDone: () => Promise<unknown>; onClose: () => void }) {
  const path = url`/v1/users/${user.id}`;
  const plan = useQuery({
    queryKey: ["delete-user", user.id],
    queryFn: async () => (await request<Goes>("DELETE", `${path}?dry_run=true`)).data,
    retry: false,
    staleTime: 0,
  });
  const projects = plan.data?.projects ?? [];
  const schemas = plan.data?.schemas ?? [];
  return (
    <ConfirmTyped
      title="Delete a user"
      name={user.email}
      act="Delete this user"
      impossible={!plan.data}
      onClose={onClose}
      onConfirm={async () => {
        await request("DELETE", path);
        await onDone();
      }}
    >
      {plan.isPending && <Loading rows={3} label="Asking what goes with them" />}
      {plan.error && <Failure error={plan.error} />}
      {plan.data && projects.length + schemas.length === 0 && (
        <About>
          <Notice tone="warn" boxed>
            They can no longer sign in and leave {plan.data.roles === 1 ? "1 project" : `${plan.data.roles} projects`}. They own no
            project and no schema: nothing else goes.
          </Notice>
        </About>
      )}
      {projects.length + schemas.length > 0 && (
        <Notice tone="bad" boxed>
          <About>
            <strong>With them goes what they own.</strong> To keep it, disable them instead.
          </About>
          <ul style={{ margin: "0.25rem 0 0", paddingLeft: "1.25rem", maxHeight: "12rem", overflow: "auto" }}>
            {projects.map((each) => (
              <li key={each.id}>Project {each.name}, with its configs and their history</li>
            ))}
            {schemas.map((each) => (
              <li key={each.id}>Schema {each.name}</li>
            ))}
          </ul>
        </Notice>
      )}
    </ConfirmTyped>
  );
}
