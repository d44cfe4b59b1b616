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
}: {
  live: Config | null;
  draft: Draft | null;
  behind: boolean;
  arrived: WatchEvent | null;
  onSee: () => void;
  onMerge: () => void;
  onAnew: () => void;
}) {
  if (draft && live && behind) {
    const author = live.updated_by_email;
    return (
      <Notice tone="warn" live>
        <div className="row wrap">
          <span>
            <strong>Version {live.version}</strong> {author && <>by {author} </>}
            <Time iso={live.updated_at} />, while you edited{" "}
            {draft.baseVersion === 0 ? "a new config" : `version ${draft.baseVersion}`}. What you typed is untouched.
          </span>
          {draft.baseVersion > 0 && (
            <Button size="compact-xs" variant="default" onClick={onSee}>
              See the difference
            </Button>
          )}
          <Button size="compact-xs" onClick={onMerge}>
            Merge
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
            This config was deleted while you edited version {draft.baseVersion}. What you typed is untouched.
          </span>
          <Button size="compact-xs" onClick={onAnew}>
            Keep mine as a new config
          </Button>
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
