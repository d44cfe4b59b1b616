import { useState } from "react";
import { newActId } from "../api/commit";
import { asProblem } from "../api/problem";

/**
 * The id of an act that is sent again under it until there is an answer. `answered` makes the next
 * one: a refusal is kept with its id, so what is sent after it is another act.
 */
export function useActId(): { id: string; answered: (refusal?: unknown) => void } {
  const [id, setId] = useState(newActId);
  const answered = (refusal?: unknown) => {
    if (refusal === undefined || !asProblem(refusal).isAway) setId(newActId());
  };
  return { id, answered };
}
