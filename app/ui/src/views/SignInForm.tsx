import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useState } from "react";
import { signIn } from "../api/session";
import { asProblem } from "../api/problem";
import { Failure, Notice } from "../components/basics";

const LAST_EMAIL = "guardian:last-email";

export function SignInForm({ act = "Sign in" }: { act?: string }) {
  const [email, setEmail] = useState(localStorage.getItem(LAST_EMAIL) ?? "");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);

  const submit = async () => {
    setBusy(true);
    setError(null);
    try {
      await signIn(email.trim(), password);
      localStorage.setItem(LAST_EMAIL, email.trim());
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy(false);
    }
  };

  const status = error === null ? null : asProblem(error).status;
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <TextInput
        label="Email"
        type="email"
        autoComplete="username"
        required
        value={email}
        onChange={(event) => setEmail(event.currentTarget.value)}
        data-autofocus={email === "" || undefined}
        autoFocus={email === ""}
      />
      <PasswordInput
        label="Password"
        autoComplete="current-password"
        required
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
        data-autofocus={email !== "" || undefined}
        autoFocus={email !== ""}
      />
      {status === 401 ? (
        <Notice tone="bad" boxed live>
          The email or the password is not right.
        </Notice>
      ) : (
        error !== null && <Failure error={error} />
      )}
      <Button type="submit" loading={busy} fullWidth>
        {act}
      </Button>
    </form>
  );
}
