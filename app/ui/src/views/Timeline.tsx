/** The versions of one config, newest first; any two of them make a diff. */
import { ActionIcon, Button, Checkbox } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { useMomentPosition, useRevisions, useStanding } from "../api/queries";
import type { Revision } from "../api/types";
import { Empty, Failure, Loading, Time } from "../components/basics";
import { useAddress } from "../lib/address";
import { authorOf } from "../lib/authors";
import { isDeletion } from "./CompareView";
import { useAccess } from "./useCurrentProject";

const ROW_PX = 104;

const eventWords: [pattern: RegExp, words: string, mark: string][] = [
  [/rolled/i, "rolled back", "rolled"],
  [/restor/i, "set again", "restored"],
  [/delet/i, "deleted", "deleted"],
  [/creat/i, "created", "created"],
  [/updat/i, "changed", "updated"],
];

export function eventOf(revision: Revision): { words: string; mark: string } {
  const [, words, mark] = eventWords.find(([pattern]) => pattern.test(revision.event)) ?? [null, revision.event, ""];
  return { words, mark };
}

export function Timeline({ project, configKey }: { project: string; configKey: string }) {
  const [search, address] = useAddress();
  const list = useRevisions(project, configKey);
  const at = search.get("at");
  const standing = useStanding(project, configKey, at)?.version;
  const until = useMomentPosition(project, at);
  const access = useAccess(project);
  const [chosen, setChosen] = useState<number[]>([]);
  const revisions = useMemo(
    () => list.data?.pages.flatMap((page) => page.items).filter((each) => until !== undefined && each.position <= until) ?? [],
    [list.data, until],
  );
  const scroll = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: revisions.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_PX,
    getItemKey: (index) => revisions[index]?.version ?? index,
    overscan: 6,
  });
  const items = rows.getVirtualItems();
  const lastSeen = items.at(-1)?.index ?? 0;
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = list;
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && lastSeen >= revisions.length - 20) void fetchNextPage();
  }, [lastSeen, revisions.length, hasNextPage, isFetchingNextPage, fetchNextPage]);

  const choose = (version: number) =>
    setChosen((before) => (before.includes(version) ? before.filter((each) => each !== version) : [...before.slice(-1), version]));
  const [low, high] = [...chosen].sort((a, b) => a - b);
  const open = search.get("version");

  return (
    <aside className="side-pane" aria-label="History of this config">
      <header>
        <h2 className="grow">History</h2>
        <Button
          size="compact-xs"
          disabled={high === undefined}
          onClick={() => address({ diff: `${low}..${high}`, version: null })}
        >
          {high === undefined ? "Compare: tick two" : `Compare ${low} and ${high}`}
        </Button>
        <ActionIcon variant="subtle" color="gray" aria-label="Close the history" onClick={() => address({ side: null })}>
          <IconX size={15} />
        </ActionIcon>
      </header>
      {list.error && <Failure error={list.error} retry={() => void list.refetch()} />}
      {list.isPending && (
        <div style={{ padding: "0.875rem" }}>
          <Loading rows={8} />
        </div>
      )}
      {at !== null && <p className="muted side-note">Up to the chosen moment: later versions are left out.</p>}
      {list.data && until !== undefined && revisions.length === 0 && !hasNextPage && (
        <Empty title={at === null ? "No versions yet" : "No versions at this moment"}>
          {at === null ? "They appear here with the first commit." : "The config was made later."}
        </Empty>
      )}
      <div ref={scroll} className="side-scroll" tabIndex={0} role="group" aria-label="Versions">
        <div role="list" style={{ height: rows.getTotalSize(), position: "relative" }}>
          {items.map((item) => {
            const revision = revisions[item.index];
            if (!revision) return null;
            return (
              <Moment
                key={item.key}
                index={item.index}
                measure={rows.measureElement}
                top={item.start}
                revision={revision}
                open={open === String(revision.version)}
                standing={revision.version === standing ? (at === null ? "live" : "then") : null}
                ticked={chosen.includes(revision.version)}
                canRollBack={at === null && access.canEdit && revision.version !== standing && !isDeletion(revision)}
                onTick={() => choose(revision.version)}
                onAddress={address}
              />
            );
          })}
        </div>
      </div>
    </aside>
  );
}

function Moment({
  index,
  measure,
  top,
  revision,
  open,
  standing,
  ticked,
  canRollBack,
  onTick,
  onAddress,
}: {
  index: number;
  measure: (element: Element | null) => void;
  top: number;
  revision: Revision;
  open: boolean;
  /** What holds now, or held at the moment that is looked at. */
  standing: "live" | "then" | null;
  ticked: boolean;
  canRollBack: boolean;
  onTick: () => void;
  onAddress: (changes: Record<string, string | null>) => void;
}) {
  const { version } = revision;
  const { words, mark } = eventOf(revision);
  return (
    <div ref={measure} data-index={index} role="listitem" className={`moment ${mark}${open ? " open" : ""}`} style={{ transform: `translateY(${top}px)` }}>
      <div className="row">
        <strong>Version {version}</strong>
        <span className="muted">{words}</span>
        {standing && <span className="badge good">{standing}</span>}
        <Checkbox className="end" size="xs" checked={ticked} onChange={onTick} aria-label={`Choose version ${version} to compare`} />
      </div>
      <div className="muted ellipsis" title={authorOf(revision)}>
        <Time iso={revision.created_at} /> · {authorOf(revision)}
      </div>
      {revision.comment && <div className="comment">{revision.comment}</div>}
      <div className="actions">
        {!isDeletion(revision) && (
          <button type="button" className="link" aria-label={`View version ${version}`} onClick={() => onAddress({ version: String(version), diff: null })}>
            View
          </button>
        )}
        <button type="button" className="link" aria-label={`What changed in version ${version}`} onClick={() => onAddress({ diff: `${version - 1}..${version}`, version: null })}>
          What changed
        </button>
        {canRollBack && (
          <button type="button" className="link" aria-label={`Roll back… to version ${version}`} onClick={() => onAddress({ rollback: String(version) })}>
            Roll back…
          </button>
        )}
      </div>
    </div>
  );
}
