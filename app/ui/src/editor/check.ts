/** What the page itself reads in a text; in a worker, or where there is none in the page. */
import { compact, findIssues, type Issue } from "../lib/ijson";
import type { Hint, Suggestions } from "./hints";

/** `schema` is a schema's text. */
export type Ask =
  /** Whether the text is a document. `limit`: the service's, of a content; a worker has no page to read it in. */
  | { what: "document"; text: string; limit: number }
  /** What the schema says of it. */
  | { what: "violations"; text: string; schema: string }
  | { what: "suggestions"; text: string; schema: string; offset: number }
  | { what: "hint"; text: string; schema: string; offset: number };

export type Answers = {
  /** `document`: the text without white space; null where it is none that the service takes. */
  document: { issues: Issue[]; document: string | null };
  violations: Issue[];
  suggestions: Suggestions | null;
  hint: Hint | null;
};
export type Answer<A extends Ask> = Answers[A["what"]];

export async function check(ask: Ask): Promise<Answers[keyof Answers]> {
  if (ask.what === "document") {
    const issues = findIssues(ask.text, ask.limit);
    return { issues, document: issues.length > 0 ? null : compact(ask.text) };
  }
  const { findViolations, hintAt, suggestionsAt } = await import("./hints");
  if (ask.what === "violations") return findViolations(ask.text, ask.schema);
  return ask.what === "hint" ? hintAt(ask.text, ask.schema, ask.offset) : suggestionsAt(ask.text, ask.schema, ask.offset);
}
