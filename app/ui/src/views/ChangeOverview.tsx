/** What a change set does, before one reads it: how many of what, and the way to each. */
import { Button } from "@mantine/core";
import { Badge } from "../components/basics";
import { panelOf, type Edited } from "./EditPanel";
import type { Folds } from "./useFolds";

function Kind({ draft, overtaken }: Edited) {
  if (overtaken !== null) return <Badge tone="warn">{overtaken === "gone" ? "deleted meanwhile" : "a newer version came in"}</Badge>;
  if (draft.op === "delete") return <Badge tone="bad">to be deleted</Badge>;
  return draft.baseVersion === 0 ? <Badge tone="good">new</Badge> : <Badge>changed</Badge>;
}

export function ChangeOverview({ edits, folds, onCommit }: { edits: readonly Edited[]; folds: Folds; onCommit: () => void }) {
  const deleted = edits.filter((each) => each.draft.op === "delete").length;
  const made = edits.filter((each) => each.draft.op === "put" && each.draft.baseVersion === 0).length;
  const left = edits.filter((each) => !each.included).length;
  const numbers = Object.entries({ new: made, changed: edits.length - made - deleted, "to be deleted": deleted, "not ticked": left });
  const goTo = (key: string) => {
    folds.set(key, true);
    const panel = document.getElementById(panelOf(key));
    panel?.scrollIntoView({ block: "start" });
    panel?.querySelector<HTMLElement>("h2 a")?.focus({ preventScroll: true });
  };
  return (
    <section className="panel" aria-label="Overview">
      <header className="row wrap">
        <h2 className="grow">
          {edits.length} edits:{" "}
          {numbers
            .filter(([, count]) => count > 0)
            .map(([what, count]) => `${count} ${what}`)
            .join(", ")}
        </h2>
        <Button size="compact-xs" variant="default" onClick={onCommit}>
          Go to the commit
        </Button>
        <Button size="compact-xs" variant="default" onClick={() => folds.setAll(false)}>
          Collapse all
        </Button>
        <Button size="compact-xs" variant="default" onClick={() => folds.setAll(true)}>
          Expand all
        </Button>
      </header>
      <ul className="list overview" aria-label="Edits" tabIndex={0}>
        {edits.map((each) => (
          <li key={each.key}>
            <button type="button" className="link mono break grow" onClick={() => goTo(each.key)}>
              {each.key}
            </button>
            {!each.included && <span className="muted">not ticked</span>}
            <Kind {...each} />
          </li>
        ))}
      </ul>
    </section>
  );
}
