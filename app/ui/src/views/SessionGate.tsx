/**
 * Nothing of the product shows before it is known who looks. When a session
 * ends in the middle of work, the sign-in opens over the work, which stays.
 */
import { Button } from "@mantine/core";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { About, Dialog } from "../components/Dialog";
import logo from "../guardian.svg";
import { forgetPositions } from "../api/client";
import { client } from "../api/queries";
import { resume, session } from "../api/session";
import { Failure, Loading } from "../components/basics";
import { useStore } from "../lib/store";
import { leave } from "./leave";
import { SignInForm } from "./SignInForm";

const RETRY_MS = 3000;

export function SessionGate({ children }: { children: ReactNode }) {
  const state = useStore(session);
  const error = useResumed(state === "starting");
  if (state === "starting") {
    return (
      <div className="page" style={{ margin: "10vh auto", maxWidth: "22rem" }}>
        {error === null ? <Loading rows={3} label="Signing in" /> : <Failure error={error} />}
      </div>
    );
  }
  if (state === "out") return <SignInPage />;
  return (
    <>
      {children}
      {state === "ended" && <SignInAgain />}
    </>
  );
}

function useResumed(starting: boolean): unknown {
  const [error, setError] = useState<unknown>(null);
  const [attempt, setAttempt] = useState(0);
  const asked = useRef(-1);
  useEffect(() => {
    if (!starting || asked.current === attempt) return;
    asked.current = attempt;
    resume().catch((reason: unknown) => {
      setError(reason);
      setTimeout(() => setAttempt((count) => count + 1), RETRY_MS);
    });
  }, [starting, attempt]);
  return error;
}

function SignInPage() {
  useEffect(() => {
    document.title = "Sign in · Config Guardian";
    client.clear();
    forgetPositions();
  }, []);
  return (
    <main style={{ minHeight: "100%", display: "grid", placeItems: "center", padding: "1.5rem" }}>
      <div className="stack loose" style={{ width: "min(22rem, 100%)" }}>
        <div className="row">
          <img src={logo} alt="" width={32} height={32} />
          <h1 style={{ fontSize: "1.25rem", margin: 0 }}>Config Guardian</h1>
        </div>
        <SignInForm />
        <p className="muted" style={{ margin: 0 }}>
          No account? A superuser makes one under Users, or with{" "}
          <code>guardian users create EMAIL</code>.
        </p>
      </div>
    </main>
  );
}

function SignInAgain() {
  useEffect(
    () => () => {
      // It goes on, from here or from another tab.
      if (session.get() === "in") void client.invalidateQueries();
    },
    [],
  );
  return (
    <Dialog
      onClose={() => undefined}
      withCloseButton={false}
      closeOnEscape={false}
      closeOnClickOutside={false}
      title="Your session has ended"
    >
      <div className="stack">
        <About>What you typed is kept. Sign in to go on where you were.</About>
        <SignInForm act="Sign in and go on" />
        <Button variant="subtle" size="compact-sm" onClick={leave}>
          Leave instead
        </Button>
      </div>
    </Dialog>
  );
}
