/** What the service says of an act before it is made, and while nobody knows whether it was. */
import { withoutOutcome } from "../api/commit";
import { asProblem } from "../api/problem";
import { useStore } from "../lib/store";
import { Failure, Notice } from "./basics";

export function Verdict({ refusal, fine, onAgain }: { refusal: unknown; fine: string | null; onAgain: () => void }) {
  if (refusal !== null) return <Refusal error={refusal} onAgain={onAgain} />;
  if (fine === null) return <span className="muted late">Asking the service whether it would accept this…</span>;
  return (
    <Notice tone="good" boxed live>
      {fine}
    </Notice>
  );
}

/** What the service could not say is asked again by itself; the button is for who cannot wait. */
export function Refusal({ error, onAgain }: { error: unknown; onAgain: () => void }) {
  const problem = asProblem(error);
  if (problem.violations.length === 0) return <Failure error={error} retry={problem.isAway ? onAgain : undefined} />;
  return (
    <Lines
      title={problem.title}
      lines={problem.violations.map((each) => (
        <>
          <code>{each.pointer || "/"}</code> {each.message}
        </>
      ))}
    />
  );
}

export function Lines({ title, lines }: { title: string; lines: React.ReactNode[] }) {
  return (
    <Notice tone="bad" boxed live>
      <strong>{title}</strong>
      <ul style={{ margin: "0.25rem 0 0", paddingLeft: "1.25rem" }}>
        {lines.map((line, index) => (
          <li key={index}>{line}</li>
        ))}
      </ul>
    </Notice>
  );
}

/** Shown after a 202 or a lost answer: the change may be committed, and must not be taken for lost. */
export function StillAsking() {
  if (useStore(withoutOutcome) === 0) return null;
  return (
    <Notice tone="warn" boxed live>
      The service cannot say yet whether it is committed. Asking again by itself; nothing is done twice.
    </Notice>
  );
}
