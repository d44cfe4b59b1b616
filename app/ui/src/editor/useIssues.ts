/** What is wrong with the text: soon what the page can tell, a moment later what the service says. */
import { useEffect, useMemo, useState } from "react";
import { request, url } from "../api/client";
import { asProblem } from "../api/problem";
import type { Schema, Validation } from "../api/types";
import { MAX_CONTENT_BYTES, type Issue } from "../lib/ijson";
import { placeViolations } from "../lib/places";
import { checks, unlessGivenUp } from "./checks";

const ASK_AFTER_MS = 350;

/** Why nothing can be done with a text that has no verdict yet. */
export const STILL_CHECKING = "Still checking what you typed";

export type Verdict = {
  issues: readonly Issue[];
  /** The text that they are about; an older one while typing. */
  text: string;
  /** Who says so: the page's own check, the service, or nobody: it took the page too long. */
  by: "page" | "service" | "nobody";
};

/** Always the same one: an editor that has none to show is not told so after each letter. */
const NONE: readonly Issue[] = [];

export function useIssues(text: string, schema: Schema | null, enabled: boolean): Verdict {
  const [verdict, setVerdict] = useState<Verdict>({ issues: NONE, text: "", by: "page" });
  const bound = useMemo(() => schema && { id: schema.id, text: JSON.stringify(schema.schema) }, [schema]);
  useEffect(() => {
    if (!enabled) {
      setVerdict({ issues: NONE, text, by: "page" });
      return;
    }
    const abort = new AbortController();
    const tell = (issues: readonly Issue[], by: Verdict["by"]) => {
      if (!abort.signal.aborted) setVerdict({ issues: issues.length === 0 ? NONE : issues, text, by });
    };
    void judge(text, bound, abort.signal, tell);
    return () => abort.abort();
  }, [text, bound, enabled]);
  return verdict;
}

async function judge(
  text: string,
  schema: { id: string; text: string } | null,
  signal: AbortSignal,
  tell: (issues: readonly Issue[], by: Verdict["by"]) => void,
): Promise<void> {
  const rested = new Promise((done) => setTimeout(done, ASK_AFTER_MS));
  const own = await checks.find({ what: "document", text, limit: MAX_CONTENT_BYTES }, signal);
  if (schema === null || own.document === null) return tell(own.issues, "page");
  const sooner = new AbortController();
  const end = () => sooner.abort();
  signal.addEventListener("abort", end);
  const page = checks.find({ what: "violations", text, schema: schema.text }, sooner.signal).catch(unlessGivenUp);
  const say = (issues: readonly Issue[], by: Verdict["by"]) => sooner.signal.aborted || tell(issues, by);
  // What it could not tell, the service does.
  void page.then((issues) => say(issues ?? NONE, issues === null ? "nobody" : "page"), () => say(NONE, "page"));
  await rested;
  if (signal.aborted) return;
  try {
    const { data } = await request<Validation>("POST", url`/v1/schemas/${schema.id}/validate`, {
      rawBody: `{"content":${own.document}}`,
      signal,
    });
    end();
    tell(placeViolations(text, data.errors), "service");
  } catch (error) {
    // Without an answer the page's own word stands; the review asks again.
    if (asProblem(error).status !== 422) return;
    end();
    tell([{ from: 0, to: 1, message: asProblem(error).message }], "service");
  }
}
