import { useRevision, useSchemas } from "../api/queries";
import { draftAnew, type Draft } from "../lib/drafts";

/** The edit of a config that was deleted meanwhile, as one of a new config. null: not known yet, or nothing was given. */
export function useAnew(project: string, key: string, draft: Draft | null): Draft | null {
  const asked = draft?.op === "put" ? draft : null;
  const base = useRevision(project, key, asked?.baseVersion ?? null).data;
  const schemas = useSchemas(asked !== null).data;
  return asked && base && schemas ? draftAnew(asked, base.schema_id ?? null, schemas.map((each) => each.id)) : null;
}
