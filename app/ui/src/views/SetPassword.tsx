import { PasswordInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { request, url } from "../api/client";
import type { User } from "../api/types";
import { About } from "../components/Dialog";
import { FormDialog } from "../components/FormDialog";
import { Notice } from "../components/basics";

/** For who has forgotten theirs: one's own is changed under "Your account", with the old one. */
export function SetPassword({ user, onDone, onClose }: { user: User; onDone: () => void; onClose: () => void }) {
  const [password, setPassword] = useState("");
  const set = useMutation({
    mutationFn: () => request("PATCH", url`/v1/users/${user.id}`, { body: { password } }),
    onSuccess: () => {
      onDone();
      onClose();
    },
  });
  return (
    <FormDialog title={`Set password of ${user.email}`} act="Set password" doing={set} ready={password !== ""} onClose={onClose}>
      <About>
        <Notice tone="warn" boxed>
          Their old password ends, and every sign-in of theirs.
        </Notice>
      </About>
      <PasswordInput
        label="New password"
        description="12 characters or more. Tell it to them; they change it after signing in"
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
        required
        autoComplete="new-password"
        data-autofocus
      />
    </FormDialog>
  );
}
