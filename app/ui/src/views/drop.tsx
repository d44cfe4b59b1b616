/** One click throws away what was typed, so one click brings it back. */
import { notifications } from "@mantine/notifications";
import { discardDraft, draftOf, saveDraft } from "../lib/drafts";

const TIME_TO_THINK_MS = 20_000;

export function dropDraft(user: string, project: string, key: string, name = key): void {
  const dropped = draftOf(user, project, key);
  if (!dropped) return;
  discardDraft(user, project, key);
  const id = `dropped ${project} ${key}`;
  const undo = () => {
    notifications.hide(id);
    // What was begun since is somebody's work, too.
    if (!draftOf(user, project, key)) saveDraft(user, project, key, dropped);
    else notifications.show({ message: `You have changed ${name} again since: that is kept.`, color: "red" });
  };
  // One for each name: only the newest can be brought back.
  notifications.hide(id);
  notifications.show({
    id,
    color: "accent",
    autoClose: TIME_TO_THINK_MS,
    message: (
      <span className="break">
        {dropped.op === "delete" ? `${name} is not to be deleted any more.` : `What you changed in ${name} is discarded.`}{" "}
        <button type="button" className="link" onClick={undo}>
          Undo
        </button>
      </span>
    ),
  });
}
