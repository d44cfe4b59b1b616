import { TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useCallback, useRef, useState } from "react";
import { rollBackProject } from "../api/commit";
import { request, url } from "../api/client";
import { useChanges } from "../api/live";
import { asProblem } from "../api/problem";
import { applyChanges, momentQuery, rehearsing, useProject } from "../api/queries";
import { ConfirmTyped } from "../components/ConfirmTyped";
import { About } from "../components/Dialog";
import { Loading, Notice } from "../components/basics";
import { Refusal, StillAsking } from "../components/Verdict";
import { exactTime, momentMs } from "../lib/time";
import { PlannedChanges, type Line } from "./PlannedChanges";
import { useAct } from "./useAct";

type Plan = { changes: Line[]; position: number };

/** The whole project as it stood, as one change set: shown first, named by hand, then made as it was shown. */
export function ProjectRollback({ project, at, onClose }: { project: string; at: string; onClose: () => void }) {
  const detail = useProject(project);
  const [comment, setComment] = useState("");
  const moment = momentQuery(at);
  const body = "position" in moment ? { position: Number(moment.position) } : moment;
  const path = url`/v1/projects/${project}/rollback`;
  const plan = useQuery({
    queryKey: ["project-rollback", project, at],
    queryFn: async () => (await request<Plan>("POST", `${path}?dry_run=true`, { body })).data,
    ...rehearsing,
  });
  // What it would do depends on how the project stands; nothing is rolled back unseen.
  const { refetch } = plan;
  const sending = useRef(false);
  useChanges(useCallback(() => void (sending.current || refetch()), [refetch]));
  const [overtaken, setOvertaken] = useState(false);
  const position = plan.data?.position ?? 0;
  const act = useAct();
  const rollBack = async () => {
    setOvertaken(false);
    sending.current = true;
    try {
      const done = await rollBackProject(project, { ...body, unchanged_since: position }, { comment: comment.trim(), act });
      applyChanges(project, done.changes.map((each) => each.key));
      return true;
    } catch (reason) {
      if (!asProblem(reason).isConflict) throw reason;
      setOvertaken(true);
      await refetch();
      return false;
    } finally {
      sending.current = false;
    }
  };
  const when = "position" in moment ? `position ${at}` : momentMs(at) === null ? at : exactTime(at);
  const name = detail.data?.name ?? project;
  const count = plan.data?.changes.length ?? 0;
  return (
    <ConfirmTyped
      title={`Roll ${name} back to ${when}`}
      name={name}
      size="min(64rem, 96vw)"
      act={`Roll back ${count === 1 ? "1 config" : `${count} configs`}`}
      impossible={!plan.data || plan.isFetching || count === 0}
      shown={plan.data && JSON.stringify(plan.data.changes)}
      onClose={onClose}
      onConfirm={rollBack}
    >
      {plan.isPending && <Loading rows={4} label="Working out what would change" />}
      {plan.error && <Refusal error={plan.error} onAgain={() => void refetch()} />}
      {overtaken && (
        <Notice tone="warn" boxed live>
          Somebody changed the project after this was worked out. Nothing was rolled back; this is what would change now.
        </Notice>
      )}
      {plan.data && count === 0 && (
        <Notice tone="good" boxed>
          The project stands as it did then: there is nothing to roll back.
        </Notice>
      )}
      {plan.data && count > 0 && (
        <>
          <About>
            <Notice tone="warn" boxed>
              Together, or not at all, these configs change. Nothing of the history is lost: each gets one more version.
            </Notice>
          </About>
          <PlannedChanges project={project} at={at} lines={plan.data.changes} />
        </>
      )}
      <StillAsking />
      <TextInput label="Comment" description="Why (optional)" value={comment} onChange={(event) => setComment(event.currentTarget.value)} maxLength={2000} />
    </ConfirmTyped>
  );
}
