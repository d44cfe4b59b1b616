import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef } from "react";
import { Link, useSearchParams } from "react-router";
import { useAudit, useMomentPosition, type AuditFilter } from "../api/queries";
import type { Revision } from "../api/types";
import { Empty, Failure, Loading, Time } from "../components/basics";
import { authorOf } from "../lib/authors";
import { withMoment } from "../lib/moment";
import { eventOf } from "./Timeline";

const ROW_PX = 56;

export function AuditFeed({ project, filter }: { project: string; filter: AuditFilter }) {
  const feed = useAudit(project, filter);
  const at = useSearchParams()[0].get("at");
  const until = useMomentPosition(project, at);
  const revisions = useMemo(() => feed.data?.pages.flatMap((page) => page.items) ?? [], [feed.data]);
  const scroll = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: revisions.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_PX,
    overscan: 10,
  });
  const items = rows.getVirtualItems();
  const lastSeen = items.at(-1)?.index ?? 0;
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = feed;
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && lastSeen >= revisions.length - 20) void fetchNextPage();
  }, [lastSeen, revisions.length, hasNextPage, isFetchingNextPage, fetchNextPage]);

  if (feed.error && !feed.data) {
    return (
      <div className="body">
        <Failure error={feed.error} retry={() => void feed.refetch()} />
      </div>
    );
  }
  if (feed.isPending) {
    return (
      <div className="body">
        <Loading rows={6} label="Loading the changes" />
      </div>
    );
  }
  if (revisions.length === 0) {
    return (
      <Empty title={filter.key || filter.user ? "No change matches" : "Nothing has been changed yet"}>
        {filter.key || filter.user ? "Clear a filter to see more." : "The first commit of a config will stand here."}
      </Empty>
    );
  }
  return (
    <div ref={scroll} style={{ maxHeight: "60vh", overflow: "auto" }} tabIndex={0} role="group" aria-label="Changes, newest first">
      <div role="list" style={{ height: rows.getTotalSize(), position: "relative" }}>
        {items.map((item) => {
          const revision = revisions[item.index];
          return (
            revision && (
              <FeedRow
                key={`${revision.position}/${revision.key}`}
                project={project}
                revision={revision}
                at={at}
                later={until !== undefined && revision.position > until}
                top={item.start}
              />
            )
          );
        })}
      </div>
    </div>
  );
}

function FeedRow({ project, revision, at, later, top }: { project: string; revision: Revision; at: string | null; later: boolean; top: number }) {
  const { words, mark } = eventOf(revision);
  const key = revision.key ?? revision.config_key ?? "";
  return (
    <div role="listitem" className={`moment ${mark}`} style={{ transform: `translateY(${top}px)`, height: ROW_PX }}>
      <div className="row">
        <Link className="mono ellipsis" aria-label={`${key}, version ${revision.version}`} to={withMoment(`/p/${project}/configs/${key}?diff=${revision.version - 1}..${revision.version}&side=history`, later ? null : at)}>
          {key}
        </Link>
        <span className="muted" style={{ whiteSpace: "nowrap" }}>
          {words}, version {revision.version}
        </span>
        <span className="muted end only-wide" style={{ whiteSpace: "nowrap" }} title={`change set ${revision.change_id}`}>
          position {revision.position}
        </span>
      </div>
      <div className="muted ellipsis">
        {later && "after the chosen moment · "}
        <Time iso={revision.created_at} /> · {authorOf(revision)}
        {revision.comment && <> · {revision.comment}</>}
      </div>
    </div>
  );
}
