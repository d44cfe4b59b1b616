import { request, url } from "../api/client";
import type { User } from "../api/types";
import { ConfirmTyped } from "../components/ConfirmTyped";
import { About } from "../components/Dialog";
import { Notice } from "../components/basics";

/** The most powerful right there is: who gets or loses it, and what it is, is read before it changes. */
export function SuperuserChange({ user, onDone, onClose }: { user: User; onDone: () => Promise<unknown>; onClose: () => void }) {
  const gives = !user.is_superuser;
  return (
    <ConfirmTyped
      title={gives ? `Make ${user.email} a superuser` : `${user.email} is to be no superuser any more`}
      name={user.email}
      act={gives ? "Make a superuser" : "Take the right away"}
      onClose={onClose}
      onConfirm={async () => {
        await request("PATCH", url`/v1/users/${user.id}`, { body: { is_superuser: gives } });
        await onDone();
      }}
    >
      <About>
        <Notice tone={gives ? "bad" : "warn"} boxed>
          {gives ? (
            <>
              <strong>A superuser may do everything.</strong> They read, change and delete every project, whoever owns it, and its keys; they make and
              delete users, set anybody’s password and make others superusers.
            </>
          ) : (
            <>
              They keep the projects that they own and the roles that they were given. They no longer see other projects or the users, within a second, wherever
              they are signed in.
            </>
          )}
        </Notice>
      </About>
    </ConfirmTyped>
  );
}
