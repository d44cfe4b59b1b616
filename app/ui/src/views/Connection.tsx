/** Whether what is on the page is current, and whether changes can be made. */
import { useEffect } from "react";
import { pulse } from "../api/pulse";
import { live, type LiveState } from "../api/watch";
import { useStore } from "../lib/store";
import { Badge, Notice, type Tone } from "../components/basics";

/** Asks for as long as somebody looks. */
function usePulse() {
  const stream = useStore(live);
  useEffect(() => pulse.follow(stream === "live"), [stream]);
  useEffect(() => {
    const look = () => (document.hidden ? pulse.pause() : pulse.start());
    const again = () => pulse.ask();
    look();
    document.addEventListener("visibilitychange", look);
    window.addEventListener("offline", again);
    window.addEventListener("online", again);
    return () => {
      document.removeEventListener("visibilitychange", look);
      window.removeEventListener("offline", again);
      window.removeEventListener("online", again);
      pulse.pause();
    };
  }, []);
}

const words: Record<LiveState, { tone: Tone; text: string; why: string }> = {
  off: { tone: "plain", text: "", why: "" },
  connecting: { tone: "plain", text: "Connecting", why: "The live view of this project is being opened" },
  live: { tone: "good", text: "Live", why: "Changes by others appear at once" },
  interrupted: { tone: "warn", text: "Not live", why: "Changes by others appear when the connection is back" },
  paused: { tone: "plain", text: "Paused", why: "Goes on when this tab is looked at" },
};

export function Connection() {
  const stream = useStore(live);
  const silent = useStore(pulse.silent);
  // A stream that is dead on the line looks alive for a while.
  const state = stream === "live" && silent ? "interrupted" : stream;
  const { tone, text, why } = words[state];
  return (
    <span role="status" aria-label="Connection" className="row">
      {text !== "" && (
        <Badge tone={tone} title={why}>
          {text}
        </Badge>
      )}
    </span>
  );
}

export function ServiceBanner() {
  usePulse();
  const data = useStore(pulse.readiness);
  if (!data || data.ready) return null;
  if (!data.reached) {
    return (
      <Notice tone="bad" live>
        <strong>Config Guardian cannot be reached.</strong> What is shown may be old. What you type is kept in this
        browser; trying again by itself.
      </Notice>
    );
  }
  return (
    <Notice tone="warn" live>
      <strong>The service is cut off: changes wait or are refused for now.</strong> Reading goes on.
      {data.reasons.length > 0 && <> {data.reasons.join(" · ")}</>}
    </Notice>
  );
}
