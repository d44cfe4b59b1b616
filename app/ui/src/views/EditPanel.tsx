/** One edit of a change set: what it does to its config, folded away or not. */
import { ActionIcon, Button, Checkbox } from "@mantine/core";
import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { lazy, memo, Suspense, useId } from "react";
import { Link } from "react-router";
import type { Config } from "../api/types";
import { Badge, Loading, Notice } from "../components/basics";
import { WhenSeen } from "../components/WhenSeen";
import type { Draft } from "../lib/drafts";
import { formatJson, formatted } from "../lib/json";
import { useAnew } from "./useAnew";

const DiffView = lazy(async () => ({ default: (await import("../editor/DiffView")).DiffView }));

/** "newer": another version came in; "gone": its config was deleted. */
export type Overtaken = "newer" | "gone" | null;

/** What came between an edit and the set that holds it. Only a whole list tells that a config is gone. */
export function overtakenBy(draft: Draft, live: Config | undefined, complete: boolean): Overtaken {
  if ((live?.version ?? 0) > draft.baseVersion) return "newer";
  return complete && !live && draft.baseVersion > 0 ? "gone" : null;
}

export type Edited = {
  key: string;
  draft: Draft;
  live: Config | null;
  overtaken: Overtaken;
  /** It is ticked. */
  included: boolean;
};

type Acts = {
  include: (key: string, included: boolean) => void;
  discard: (key: string) => void;
  anew: (key: string, draft: Draft) => void;
};

/** Where the overview leads to. */
export const panelOf = (key: string): string => `edit:${key}`;

type Props = Omit<Edited, "key"> & { project: string; name: string; acts: Acts; open: boolean; onOpen: (key: string, open: boolean) => void };

// One of hundreds: it is drawn anew only when it is about it.
export const EditPanel = memo(function EditPanel({ project, name: key, draft, live, overtaken, included, acts, open, onOpen }: Props) {
  const gone = overtaken === "gone";
  const marked = draft.op === "delete";
  const body = useId();
  const Twist = open ? IconChevronDown : IconChevronRight;
  return (
    <section className="panel" id={panelOf(key)} aria-label={`Edit of ${key}`}>
      <header className="row wrap">
        <Checkbox checked={included} onChange={(event) => acts.include(key, event.currentTarget.checked)} aria-label={`Commit ${key} with the others`} />
        <ActionIcon variant="subtle" color="gray" size="sm" aria-label={`What changes in ${key}`} aria-expanded={open} aria-controls={open ? body : undefined} onClick={() => onOpen(key, !open)}>
          <Twist size={15} />
        </ActionIcon>
        <h2 className="grow mono break">
          <Link to={`/p/${project}/configs/${key}`}>{key}</Link>
        </h2>
        {marked ? <Badge tone="bad">to be deleted</Badge> : draft.baseVersion === 0 ? <Badge tone="good">new</Badge> : !gone && <Badge>{overtaken ? `made on version ${draft.baseVersion}` : `version ${draft.baseVersion + 1}`}</Badge>}
        {gone && !open && <Badge tone="warn">deleted meanwhile</Badge>}
        {overtaken === "newer" && (
          <Badge tone="warn">
            version {live?.version} came in: {marked ? "look at it" : "merge it"} first
          </Badge>
        )}
        {overtaken === "newer" && (
          <Button component={Link} to={`/p/${project}/configs/${key}?merge`} size="compact-xs">
            {marked ? "Look at it and decide" : "Merge"}
          </Button>
        )}
        <Button size="compact-xs" variant="default" onClick={() => acts.discard(key)}>
          Discard
        </Button>
      </header>
      {open && (
        <div className="body stack" id={body}>
          {gone && <Gone project={project} name={key} draft={draft} onAnew={acts.anew} />}
          {!(gone && marked) && (
            <WhenSeen>
              <Suspense fallback={<Loading rows={3} />}>
                <DiffView
                  before={live ? formatJson(live.content) : ""}
                  after={marked ? "" : formatted(draft.text)}
                  beforeLabel={live ? `live, version ${live.version}` : gone ? "deleted" : "nothing yet"}
                  afterLabel={marked ? "deleted" : "yours"}
                />
              </Suspense>
            </WhenSeen>
          )}
        </div>
      )}
    </section>
  );
});

/** The config was deleted after the edit began. */
function Gone({ project, name: key, draft, onAnew }: { project: string; name: string; draft: Draft; onAnew: Acts["anew"] }) {
  const anew = useAnew(project, key, draft);
  if (draft.op === "delete") {
    return (
      <Notice tone="warn" boxed live>
        This config is deleted already: somebody was before you. Discard the mark.
      </Notice>
    );
  }
  return (
    <Notice tone="warn" boxed live>
      <div className="row wrap">
        <span>This config was deleted while you edited version {draft.baseVersion}. What you typed is untouched.</span>
        <Button size="compact-xs" loading={anew === null} onClick={() => anew && onAnew(key, anew)}>
          Keep mine as a new config
        </Button>
      </div>
    </Notice>
  );
}
