import { Button, PasswordInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../api/client";
import { useMe } from "../api/queries";
import { keep, type TokenAnswer } from "../api/session";
import { Copy, Failure, Notice, usePageTitle } from "../components/basics";

/** Three of the same name would not tell which of them is shown. */
const toggle = (which: string) => ({ visibilityToggleButtonProps: { "aria-label": `Show the ${which}` } });

export function AccountPage() {
  usePageTitle("Your account");
  const me = useMe();
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const [again, setAgain] = useState("");
  const change = useMutation({
    mutationFn: () => request<TokenAnswer>("PUT", "/v1/me/password", { body: { current_password: current, new_password: next } }),
    onSuccess: ({ data }) => {
      // Every sign-in of this person ends with the old password; this one goes on with new tokens.
      keep(data);
      setCurrent("");
      setNext("");
      setAgain("");
    },
  });
  return (
    <main id="main" className="main">
      <div className="page">
        <div className="page-head">
          <div>
            <h1>Your account</h1>
            <p>{me.data?.email}</p>
          </div>
        </div>
        <section className="panel" aria-label="Your id">
          <div className="body row wrap">
            <span className="muted">Your id, for admins who add you to a project:</span>
            <code>{me.data?.id}</code>
            <Copy value={me.data?.id ?? ""} label="Copy id" />
          </div>
        </section>
        <section className="panel" aria-label="Password">
          <header>
            <h2>Change password</h2>
          </header>
          <form
            className="body stack"
            style={{ maxWidth: "24rem" }}
            onSubmit={(event) => {
              event.preventDefault();
              change.mutate();
            }}
          >
            <PasswordInput {...toggle("current password")} label="Current password" autoComplete="current-password" value={current} onChange={(event) => setCurrent(event.currentTarget.value)} required />
            <PasswordInput {...toggle("new password")} label="New password" autoComplete="new-password" value={next} onChange={(event) => setNext(event.currentTarget.value)} required />
            <PasswordInput
              {...toggle("new password again")}
              label="New password again"
              autoComplete="new-password"
              value={again}
              onChange={(event) => setAgain(event.currentTarget.value)}
              error={again !== "" && again !== next ? "The two are not the same" : null}
              required
            />
            {change.error && <Failure error={change.error} />}
            {change.isSuccess && (
              <Notice tone="good" boxed live>
                The password is changed. Other sessions of yours have ended.
              </Notice>
            )}
            <div className="row">
              <Button type="submit" loading={change.isPending} disabled={current === "" || next === "" || next !== again}>
                Change password
              </Button>
            </div>
          </form>
        </section>
      </div>
    </main>
  );
}
