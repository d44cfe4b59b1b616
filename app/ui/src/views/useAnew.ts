import { useRevision, useSchemas } from "../api/queries";
import type { Draft } from "../lib/drafts";

/**
 * The edit of a config that was deleted meanwhile, as one of a new config: bound to what it was
 * bound to, if that is still there. null: not known yet, or nothing was given.
 */
export function useAnew(project: string, key: string, draft: Draft | null): Draft | null {
  const asked = draft?.op === "put" ? draft : null;
  const base = useRevision(project, key, asked?.baseVersion ?? null).data;
  const schemas = useSchemas(asked !== null).data;
  if (!asked || !base || !schemas) return null;
  const bound = asked.schemaId === undefined ? base.schema_id : asked.schemaId;
  const schemaId = schemas.some((each) => each.id === bound) ? (bound ?? null) : null;
  // With what it was to be merged is gone; what was typed in the merge is the newest that was typed.
  const { merge, ...mine } = asked;
  const text = merge && !merge.overtaken ? (merge.edited ?? mine.text) : mine.text;
  return { ...mine, text, baseVersion: 0, schemaId, savedAt: new Date().toISOString() };
}
