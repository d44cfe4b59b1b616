/** What a roll back of the project would do to each config, and how its content would change. */
import { lazy, Suspense, useMemo, useState } from "react";
import { useConfigs } from "../api/queries";
import type { Config } from "../api/types";
import { Loading } from "../components/basics";
import { formatJson } from "../lib/json";

const DiffView = lazy(async () => ({ default: (await import("../editor/DiffView")).DiffView }));

export type Line = { op?: string; key: string; version: number; deleted?: boolean };

export function PlannedChanges({ project, at, lines }: { project: string; at: string; lines: readonly Line[] }) {
  // Both are there already: the one is what the page shows, the other what it would show at the moment.
  const now = useConfigs(project, null).data;
  const then = useConfigs(project, at).data;
  const known = now?.complete === true && then?.complete === true;
  const [live, past] = useMemo(() => [now, then].map((list) => new Map(list?.items.map((each) => [each.key, each]))), [now, then]);
  return (
    <ul className="list panel" style={{ maxHeight: "45vh", overflow: "auto" }} aria-label="What would change">
      {lines.map((line) => (
        <Planned key={line.key} line={line} now={live?.get(line.key)} then={past?.get(line.key)} known={known} />
      ))}
    </ul>
  );
}

function Planned({ line, now, then, known }: { line: Line; now: Config | undefined; then: Config | undefined; known: boolean }) {
  const [open, setOpen] = useState(false);
  const goes = line.deleted || line.op === "delete";
  return (
    <li>
      <code className="grow break">{line.key}</code>
      <span className="muted">
        {goes ? "is deleted" : "gets its old content"}, version {line.version}
      </span>
      <button type="button" className="link" aria-expanded={open} aria-label={`What changes in ${line.key}`} onClick={() => setOpen(!open)}>
        What changes
      </button>
      {open && (
        <div style={{ flex: "1 0 100%", minWidth: 0 }}>
          {known ? (
            <Suspense fallback={<Loading rows={3} />}>
              <DiffView
                before={now ? formatJson(now.content) : ""}
                after={goes || !then ? "" : formatJson(then.content)}
                beforeLabel={now ? `live, version ${now.version}` : "deleted"}
                afterLabel={goes ? "deleted" : `version ${line.version}`}
              />
            </Suspense>
          ) : (
            <Loading rows={3} />
          )}
        </div>
      )}
    </li>
  );
}
