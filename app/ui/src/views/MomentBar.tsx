/** Says that the page shows the past, and leads back. */
import { Button } from "@mantine/core";
import { Notice } from "../components/basics";
import { useAddress } from "../lib/address";
import { withMoment } from "../lib/moment";
import { exactTime, momentMs, utcTime } from "../lib/time";
import { useNavigate } from "react-router";

export function MomentBar({ project }: { project: string }) {
  const [search, address] = useAddress();
  const navigate = useNavigate();
  const at = search.get("at");
  if (at === null) return null;
  const isPosition = /^\d+$/.test(at);
  const isTime = momentMs(at) !== null;
  return (
    <Notice tone="info" live>
      <div className="row wrap">
        <span>
          The project <strong>as it was</strong>{" "}
          {isPosition || !isTime ? (
            <>
              at {isPosition ? "position " : ""}
              <strong>{at}</strong>
            </>
          ) : (
            <>
              on <strong title={utcTime(at)}>{exactTime(at)}</strong>
            </>
          )}
          . Nothing can be changed here.
        </span>
        <Button
          size="compact-xs"
          variant="default"
          onClick={() => void navigate(withMoment(`/p/${project}/history`, at))}
        >
          Choose another moment
        </Button>
        <Button size="compact-xs" onClick={() => address({ at: null })}>
          Back to now
        </Button>
      </div>
    </Notice>
  );
}
