/** What is wrong with the text: at once what the page can tell, a moment later what the service says. */
import { useEffect, useState } from "react";
import { findNodeAtLocation, parseTree } from "jsonc-parser";
import { request, url } from "../api/client";
import { asProblem, type Violation } from "../api/problem";
import type { Schema, Validation } from "../api/types";
import { findIssues, type Issue } from "../lib/ijson";
import { pointerPath } from "../lib/json";
import type { SchemaAssist } from "./assist";

const ASK_AFTER_MS = 350;

export type Verdict = {
  issues: Issue[];
  /** The text that they are about; an older one while typing. */
  text: string;
  /** Who says so: the page's own check or the service. */
  by: "page" | "service";
};

/** Marks a value; of an object or a list only the bracket, or half the page would be red. */
export function placeViolations(text: string, violations: readonly Violation[]): Issue[] {
  const tree = parseTree(text);
  return violations.map((violation) => {
    let path = pointerPath(violation.pointer);
    let node = tree && findNodeAtLocation(tree, path);
    while (!node && path.length > 0) {
      path = path.slice(0, -1);
      node = tree && findNodeAtLocation(tree, path);
    }
    const place = violation.pointer === "" || violation.pointer === "#" ? "The document" : violation.pointer;
    const message = `${place}: ${violation.message}`;
    if (!node) return { from: 0, to: 1, message };
    const broad = node.type === "object" || node.type === "array";
    return { from: node.offset, to: node.offset + (broad ? 1 : node.length), message };
  });
}

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
        rawBody: `{"content":${text}}`,
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
