/** Somebody else's change, told quietly: never over what is being typed. */
import { Button } from "@mantine/core";
import { isOurs } from "../api/commit";
import type { Config } from "../api/types";
import type { WatchEvent } from "../api/watch";
import { Notice, Time } from "../components/basics";
import type { Draft } from "../lib/drafts";

export function NewsBar({
  live,
  draft,
  behind,
  arrived,
  onSee,
  onMerge,
  onAnew,
  onDrop,
}: {
  live: Config | null;
  draft: Draft | null;
  behind: boolean;
  arrived: WatchEvent | null;
  onSee: () => void;
  onMerge: () => void;
  /** null: not possible yet. */
  onAnew: (() => void) | null;
  onDrop: () => void;
}) {
  const marked = draft?.op === "delete";
  if (draft && live && behind) {
    const author = live.updated_by_email;
    return (
      <Notice tone="warn" live>
        <div className="row wrap">
          <span>
            <strong>Version {live.version}</strong> {author && <>by {author} </>}
            <Time iso={live.updated_at} />,{" "}
            {marked ? (
              <>after you marked version {draft.baseVersion} to be deleted. Nothing is deleted.</>
            ) : (
              <>while you edited {draft.baseVersion === 0 ? "a new config" : `version ${draft.baseVersion}`}. What you typed is untouched.</>
            )}
          </span>
          {draft.baseVersion > 0 && !marked && (
            <Button size="compact-xs" variant="default" onClick={onSee}>
              See the difference
            </Button>
          )}
          <Button size="compact-xs" onClick={onMerge}>
            {marked ? "Look at it and decide" : draft.merge ? "Go on with the merge" : "Merge"}
          </Button>
        </div>
      </Notice>
    );
  }
  if (draft && !live && draft.baseVersion > 0) {
    return (
      <Notice tone="warn" live>
        <div className="row wrap">
          <span>
            {marked
              ? "This config is deleted already: somebody was before you."
              : `This config was deleted while you edited version ${draft.baseVersion}. What you typed is untouched.`}
          </span>
          {!marked && (
            <Button size="compact-xs" loading={onAnew === null} onClick={() => onAnew?.()}>
              Keep mine as a new config
            </Button>
          )}
          {marked && (
            <Button size="compact-xs" onClick={onDrop}>
              Drop the mark
            </Button>
          )}
        </div>
      </Notice>
    );
  }
  if (!draft && arrived && !arrived.deleted && live && arrived.version === live.version && !isOurs(live.project_id, live.key, live.version)) {
    return (
      <Notice tone="info" live>
        Version {live.version} has just come in and is shown.
      </Notice>
    );
  }
  return null;
}
