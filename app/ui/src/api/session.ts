/**
 * Who is signed in. The access token lives in memory only; the refresh token
 * is an HttpOnly cookie that no script can read.
 */
import { Store } from "../lib/store";
import { parseJson } from "../lib/json";
import { Problem, problemOf } from "./problem";

export type SessionState = "starting" | "in" | "out" | "ended";
export const session = new Store<SessionState>("starting");

export type TokenAnswer = { access_token: string; expires_in: number };
type RefreshOutcome = "ok" | "refused";

/** Says that a cookie may exist, so that a first visit does not ask in vain. */
const HINT = "guardian:signed-in";
let token: string | null = null;
/** Whose token it is. The cookie is one for all tabs, and another one may have signed in as somebody else. */
let subject: string | null = null;
let refreshAt: ReturnType<typeof setTimeout> | undefined;
let refreshing: Promise<RefreshOutcome> | null = null;

export const accessToken = (): string | null => token;

/** The user that an access token names (RFC 7519 section 4.1.2); the service checks it, not we. */
function subjectOf(jwt: string): string {
  const payload = (jwt.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
  return (JSON.parse(atob(payload)) as { sub: string }).sub;
}

const isSomebodyElse = (answer: TokenAnswer): boolean => subject !== null && subjectOf(answer.access_token) !== subject;

/** The session goes on with these tokens. */
export function keep(answer: TokenAnswer): void {
  token = answer.access_token;
  subject = subjectOf(token);
  localStorage.setItem(HINT, "1");
  clearTimeout(refreshAt);
  refreshAt = setTimeout(() => void refresh().catch(() => undefined), answer.expires_in * 800);
  session.set("in");
}

function forget(next: SessionState): void {
  token = null;
  // What an ended one had open is for the same person alone.
  if (next !== "ended") subject = null;
  clearTimeout(refreshAt);
  localStorage.removeItem(HINT);
  session.set(next);
}

async function post(path: string, body: object, keepalive = false): Promise<Response> {
  try {
    return await fetch(path, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
      keepalive,
    });
  } catch {
    throw new Problem(0, "The service cannot be reached", "Check the connection, then try again.", null, {});
  }
}

export async function signIn(email: string, password: string): Promise<void> {
  const response = await post("/v1/auth/login", { email, password, cookie: true });
  if (!response.ok) throw await problemOf(response, parseJson);
  const answer = (await response.json()) as TokenAnswer;
  if (isSomebodyElse(answer)) {
    // They must not see, nor commit, what the first person had open.
    window.location.assign("/");
    return new Promise(() => undefined);
  }
  keep(answer);
}

/** Ends the session. Throws where it may go on: the cookie is still good then, so nobody is told "signed out". */
export async function signOut(): Promise<void> {
  const response = await post("/v1/auth/logout", {});
  // 401: there is none any more.
  if (!response.ok && response.status !== 401) throw await problemOf(response, parseJson);
  forget("out");
}

async function refreshOnce(): Promise<RefreshOutcome> {
  // keepalive: the rotated cookie must arrive even if the page is left meanwhile.
  const response = await post("/v1/auth/refresh", { cookie: true }, true);
  if (response.ok) {
    const answer = (await response.json()) as TokenAnswer;
    if (isSomebodyElse(answer)) {
      // Nothing may be done as one person under the name of another.
      window.location.reload();
      return new Promise(() => undefined);
    }
    keep(answer);
    return "ok";
  }
  if (response.status === 400 || response.status === 401 || response.status === 403) {
    forget(session.get() === "in" || session.get() === "ended" ? "ended" : "out");
    return "refused";
  }
  throw await problemOf(response, parseJson);
}

/**
 * Asks for a new access token. Refresh tokens rotate and a reused one ends
 * every session of its family, so tabs take turns.
 */
export function refresh(): Promise<RefreshOutcome> {
  refreshing ??= (
    navigator.locks
      ? navigator.locks.request("guardian-refresh", refreshOnce)
      : refreshOnce()
  ).finally(() => {
    refreshing = null;
  });
  return refreshing;
}

/** At page load: resumes the session if there may be one. */
export async function resume(): Promise<void> {
  if (localStorage.getItem(HINT) === null) {
    session.set("out");
    return;
  }
  await refresh();
}

/** Another tab signed out, or in: this one must not go on as if nothing happened, nor ask for what is there. */
window.addEventListener("storage", (event) => {
  if (event.key !== HINT) return;
  const state = session.get();
  if (event.newValue === null && state === "in") forget("ended");
  if (event.newValue !== null && (state === "ended" || state === "out")) void refresh().catch(() => undefined);
});
