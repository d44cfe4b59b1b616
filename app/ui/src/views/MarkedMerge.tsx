import { Button } from "@mantine/core";
import { Notice } from "../components/basics";
import { DiffView } from "../editor/DiffView";
import type { Draft } from "../lib/drafts";
import { formatJson, tryParse, writtenAlike, type Json } from "../lib/json";
import { merge3 } from "../lib/merge3";
import type { Theirs } from "./MergeDialog";

/** A version came in that whoever marked the config to be deleted has not seen: it is shown, then decided on. */
export function MarkedMerge({
  base,
  live,
  newest,
  draft,
  onKeep,
  onUnmark,
  onClose,
}: {
  base: Json | undefined;
  live: Theirs;
  newest: number;
  draft: Draft;
  /** With what the edit is if the mark is undone later. */
  onKeep: (text: string) => void;
  onUnmark: (edited: boolean) => void;
  onClose: () => void;
}) {
  const mine = tryParse(draft.text);
  const edited = draft.schemaId !== undefined || (draft.text !== "" && !writtenAlike(mine?.value, base));
  const keep = () => {
    const merged = mine ? merge3(base, live.content, mine.value).value : undefined;
    onKeep(merged === undefined ? draft.text : formatJson(merged));
  };
  return (
    <div className="stack">
      <Notice tone="warn" boxed>
        You marked version {draft.baseVersion} to be deleted, and version {live.version} came in meanwhile: this is what it changed. Nothing is deleted
        before you have reviewed it.
      </Notice>
      <DiffView
        before={base === undefined ? "" : formatJson(base)}
        after={formatJson(live.content)}
        beforeLabel={`version ${draft.baseVersion}, which you marked`}
        afterLabel={`live, version ${live.version}`}
      />
      {newest > live.version && (
        <Notice tone="warn" boxed live>
          Version {newest} came in meanwhile. Decide on this one; you are shown that one next.
        </Notice>
      )}
      <div className="row wrap">
        <Button color="red" onClick={keep}>
          Keep the mark: delete version {live.version}
        </Button>
        <Button variant="default" onClick={() => onUnmark(edited)}>
          {edited ? "Drop the mark and merge what I typed" : "Drop the mark: keep the config"}
        </Button>
        <Button variant="default" onClick={onClose}>
          Decide later
        </Button>
      </div>
    </div>
  );
}
