import { compact, findIssues } from "../lib/ijson";
import { Problem } from "./problem";

/**
 * A text as a part of a request's body. One that is not a single JSON value could close the part
 * and say something else in the body: `1,"schema_id":null`.
 */
export function documentOf(text: string): string {
  const [issue] = findIssues(text);
  if (issue) throw new Problem(422, "This is not a JSON document that the service takes", issue.message, null, {});
  return compact(text);
}
