/** A slider over the project's life. The chosen moment stands in the address and turns the page read-only. */
import { ActionIcon, Button, Slider, TextInput, Tooltip } from "@mantine/core";
import { IconPlayerSkipBack, IconPlayerSkipForward } from "@tabler/icons-react";
import { useEffect, useMemo, useState } from "react";
import { Link } from "react-router";
import { useAudit, useConfigs, useProject } from "../api/queries";
import { useAddress } from "../lib/address";
import { withMoment } from "../lib/moment";
import { exactTime, fromLocalInput, momentMs, toLocalInput, utcTime } from "../lib/time";
import { useAccess } from "./useCurrentProject";

const SECOND_MS = 1000;
const DAY_MS = 86_400_000;

export function MomentPicker({ project }: { project: string }) {
  const [search, address] = useAddress();
  const at = search.get("at");
  const detail = useProject(project);
  const access = useAccess(project);
  const feed = useAudit(project, {});
  const shown = useConfigs(project, at);
  const [now_ms, setNow] = useState(() => Date.now());
  useEffect(() => setNow(Date.now()), [feed.dataUpdatedAt]);

  const steps = useMemo(() => {
    const byPosition = new Map<number, number>();
    for (const each of feed.data?.pages.flatMap((page) => page.items) ?? []) {
      byPosition.set(each.position, Date.parse(each.created_at));
    }
    return [...byPosition].map(([position, time]) => ({ position, time })).sort((a, b) => a.position - b.position);
  }, [feed.data]);
  const complete = feed.hasNextPage === false;
  const born = detail.data?.created_at ? Date.parse(detail.data.created_at) : undefined;
  // Times are kept finer than a millisecond: the first change is there one later, surely.
  const first = steps[0] && steps[0].time + 1;
  const start = (complete ? (first ?? born) : (born ?? first)) ?? now_ms - DAY_MS;
  const position = at !== null && /^\d+$/.test(at) ? Number(at) : null;
  const named = at === null ? now_ms : position === null ? momentMs(at) : steps.find((each) => each.position === position)?.time;
  // An address may name a moment that is none: the service says so, and the slider stays at now.
  const chosen = named ?? now_ms;
  const [dragged, setDragged] = useState<number | null>(null);
  // The thumb stays where it was let go until the address, which follows later, says the same.
  useEffect(() => setDragged(null), [at]);
  const value = Math.min(Math.max(dragged ?? chosen, start), now_ms);
  const go = (to: string | null) => {
    if (to === at) setDragged(null);
    else address({ at: to }, true);
  };
  // A slider of no length cannot be moved: it goes on beyond now while all is younger than a second.
  const end = Math.max(now_ms, start + SECOND_MS);
  const isNow = at === null && dragged === null;
  const step_ms = Math.max(1, Math.floor((now_ms - start) / 2000));
  // The last step may end short of now; whoever moves the thumb to the end means now.
  const choose = (time: number) => go(time > now_ms - step_ms ? null : new Date(time).toISOString());
  // Steps go by position: two changes may share a millisecond, never a position.
  const isBefore = (each: { position: number; time: number }) =>
    position === null ? (at === null ? true : each.time <= value) : each.position < position;
  const before = at === null ? steps.at(-2) : steps.findLast(isBefore);
  const after = at === null ? undefined : steps.find((each) => !isBefore(each) && each.position !== position);
  const iso = new Date(value).toISOString();

  return (
    <section className="panel" aria-label="The project at any moment">
      <header>
        <h2 className="grow">The project at any moment</h2>
        <span className="muted" title={utcTime(iso)}>
          {isNow ? "now" : exactTime(iso)}
          {position !== null && dragged === null && `, position ${position}`}
        </span>
      </header>
      <div className="body stack">
        <div className="row">
          <Tooltip label="The change before">
            <ActionIcon variant="default" aria-label="The change before" disabled={before === undefined} onClick={() => before && go(String(before.position))}>
              <IconPlayerSkipBack size={15} />
            </ActionIcon>
          </Tooltip>
          <Slider
            className="grow"
            min={start}
            max={end}
            step={step_ms}
            value={isNow ? end : value}
            onChange={setDragged}
            onChangeEnd={choose}
            label={(time) => exactTime(new Date(time).toISOString())}
            thumbLabel="Moment"
          />
          <Tooltip label="The change after">
            <ActionIcon variant="default" aria-label="The change after" disabled={after === undefined} onClick={() => after && go(String(after.position))}>
              <IconPlayerSkipForward size={15} />
            </ActionIcon>
          </Tooltip>
        </div>
        <div className="row wrap">
          <ExactMoment key={dragged ?? at ?? "now"} iso={iso} onChoose={choose} />
          {at === null ? (
            <span className="muted">Move the slider to see the project as it was.</span>
          ) : (
            <>
              <Button component={Link} to={withMoment(`/p/${project}/configs`, at)} size="compact-sm">
                Look at its configs as they were
              </Button>
              {access.canEdit && (
                <Button size="compact-sm" variant="default" onClick={() => address({ rollback: "" })}>
                  Roll the project back to this moment…
                </Button>
              )}
              <Button size="compact-sm" variant="default" onClick={() => go(null)}>
                Back to now
              </Button>
              <span className="muted" role="status">
                {shown.data && (shown.data.items.length === 1 ? "1 config then" : `${shown.data.items.length.toLocaleString()} configs then`)}
                {shown.error && `It cannot be shown: ${shown.error.message}`}
              </span>
            </>
          )}
        </div>
      </div>
    </section>
  );
}

/** Typed in full before it counts: half a year is a year of antiquity. */
function ExactMoment({ iso, onChoose }: { iso: string; onChoose: (time_ms: number) => void }) {
  const shown = toLocalInput(iso);
  /** null: nothing was typed, and what is shown may still come to be known. */
  const [typed, setTyped] = useState<string | null>(null);
  const done = () => typed !== null && typed !== "" && typed !== shown && onChoose(Date.parse(fromLocalInput(typed)));
  return (
    <TextInput
      type="datetime-local"
      step={1}
      size="xs"
      aria-label="Date and time"
      value={typed ?? shown}
      onChange={(event) => setTyped(event.currentTarget.value)}
      onBlur={done}
      onKeyDown={(event) => event.key === "Enter" && done()}
    />
  );
}
