/** What is wrong with the text: at once what the page can tell, a moment later what the service says. */
import { useEffect, useState } from "react";
import { request, url } from "../api/client";
import { documentOf } from "../api/document";
import { asProblem } from "../api/problem";
import type { Schema, Validation } from "../api/types";
import { findIssues, type Issue } from "../lib/ijson";
import { placeViolations } from "../lib/places";
import type { SchemaAssist } from "./assist";

const ASK_AFTER_MS = 350;

export type Verdict = {
  issues: Issue[];
  /** The text that they are about; an older one while typing. */
  text: string;
  /** Who says so: the page's own check or the service. */
  by: "page" | "service";
};

export function useIssues(
  text: string,
  schema: Schema | null,
  assist: SchemaAssist | null,
  enabled: boolean,
): Verdict {
  const [verdict, setVerdict] = useState<Verdict>({ issues: [], text: "", by: "page" });
  useEffect(() => {
    if (!enabled) {
      setVerdict({ issues: [], text, by: "page" });
      return;
    }
    const own = findIssues(text);
    if (own.length > 0 || !schema) {
      setVerdict({ issues: own, text, by: "page" });
      return;
    }
    const abort = new AbortController();
    let answered = false;
    void assist?.validate(text).then((issues) => {
      if (!abort.signal.aborted && !answered) setVerdict({ issues, text, by: "page" });
    });
    const timer = setTimeout(() => {
      request<Validation>("POST", url`/v1/schemas/${schema.id}/validate`, {
        rawBody: `{"content":${documentOf(text)}}`,
        signal: abort.signal,
      })
        .then(({ data }) => {
          answered = true;
          setVerdict({ issues: placeViolations(text, data.errors), text, by: "service" });
        })
        .catch((error: unknown) => {
          // Without an answer the page's own word stands; the review asks again.
          if (asProblem(error).status === 422 && !abort.signal.aborted) {
            answered = true;
            setVerdict({ issues: [{ from: 0, to: 1, message: asProblem(error).message }], text, by: "service" });
          }
        });
    }, ASK_AFTER_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text, schema, assist, enabled]);
  return verdict;
}
