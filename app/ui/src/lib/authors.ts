/** Who made a version: a person by their address, or an application by the name of its key. */
import type { Revision } from "../api/types";

type Authored = Pick<Revision, "created_by_email" | "created_by_key_name">;

export function authorKnown(revision: Authored): boolean {
  return revision.created_by_email !== null || (revision.created_by_key_name ?? null) !== null;
}

export function authorOf(revision: Authored): string {
  if (revision.created_by_email !== null) return revision.created_by_email;
  const key = revision.created_by_key_name ?? null;
  return key === null ? "unknown" : `API key ${key}`;
}
