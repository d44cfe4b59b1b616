/** What the page itself finds wrong in a text; in a worker, or where there is none in the page. */
import { compact, findIssues, type Issue } from "../lib/ijson";

export type Ask = {
  text: string;
  /** The service's limit of a content: a worker has no page to read it in. */
  limit: number;
  /** A schema's text: what it says of a document. null: whether the text is one at all. */
  schema: string | null;
};
export type Found = {
  issues: Issue[];
  /** The text without white space; null where it is no document that the service takes. */
  document: string | null;
};

export async function check({ text, limit, schema }: Ask): Promise<Found> {
  if (schema !== null) {
    const { findViolations } = await import("./schemaCheck");
    return { issues: await findViolations(text, schema), document: null };
  }
  const issues = findIssues(text, limit);
  return { issues, document: issues.length > 0 ? null : compact(text) };
}
