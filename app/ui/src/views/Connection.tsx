/** Whether what is on the page is current, and whether changes can be made. */
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { useStore } from "../lib/store";
import { live, type LiveState } from "../api/watch";
import { parseJson, type Json, isObject } from "../lib/json";
import { Badge, Notice, type Tone } from "../components/basics";

type Readiness = { ready: boolean; reasons: string[]; reached: boolean };

const WELL_MS = 15_000;
const UNWELL_MS = 2000;

/** Each dependency's reason, whatever shape the answer gives them. */
function reasonsIn(body: Json): string[] {
  if (!isObject(body)) return [];
  const checks = isObject(body.checks) ? body.checks : isObject(body.dependencies) ? body.dependencies : body;
  const found: string[] = [];
  for (const [name, check] of Object.entries(checks)) {
    if (isObject(check) && (check.ok === false || check.ready === false)) {
      const reason = check.reason ?? check.detail ?? check.error;
      found.push(typeof reason === "string" ? `${name}: ${reason}` : name);
    }
  }
  if (found.length === 0 && Array.isArray(body.reasons)) found.push(...body.reasons.map(String));
  return found;
}

async function ask(signal: AbortSignal): Promise<Readiness> {
  try {
    const response = await fetch("/readyz", { signal, headers: { Accept: "application/json" } });
    const text = await response.text();
    const reasons = text.startsWith("{") ? reasonsIn(parseJson(text)) : [];
    return { ready: response.ok, reasons, reached: true };
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    return { ready: false, reasons: [], reached: false };
  }
}

const useReadiness = () =>
  useQuery({
    queryKey: ["ready"],
    queryFn: ({ signal }) => ask(signal),
    refetchInterval: (state) => (state.state.data?.ready === false ? UNWELL_MS : WELL_MS),
    staleTime: 0,
  });

function useReadinessAtOnce() {
  const readiness = useReadiness();
  const { refetch } = readiness;
  // A stream that breaks or comes back is the first to know: why wait for the next round?
  const watch = useStore(live);
  useEffect(() => {
    if (watch === "interrupted" || watch === "live") void refetch();
  }, [watch, refetch]);
  useEffect(() => {
    const again = () => void refetch();
    window.addEventListener("offline", again);
    window.addEventListener("online", again);
    return () => {
      window.removeEventListener("offline", again);
      window.removeEventListener("online", again);
    };
  }, [refetch]);
  return readiness;
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
  const { data } = useReadiness();
  // A stream that is dead on the line looks alive for a while: the service's own answer counts more.
  const state = stream === "live" && data?.reached === false ? "interrupted" : stream;
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
  const { data } = useReadinessAtOnce();
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
