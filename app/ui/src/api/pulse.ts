/**
 * Whether the service is there. A line that is dead on its way, or a process that is frozen, ends
 * no connection, and the stream's comments are 15 s apart: only a question that nobody answers tells.
 */
import { Store } from "../lib/store";
import { isObject, parseJson, type Json } from "../lib/json";

export type Readiness = { ready: boolean; reasons: string[]; reached: boolean };

/** While the page says "Live". Each page at its own moments, not in step with the stream's comments. */
export const LIVE_MS = 9000;
const WELL_MS = 15_000;
/** So long a question waits before what is shown may be old: the service takes 2 s to find a dependency silent. */
export const DOUBT_MS = 2500;
/** So long until it is said to be lost: on a slow line an answer waits behind what else is fetched. */
export const GIVE_UP_MS = 10_000;
const UNWELL_MS = [2000, 4000, 8000, 10_000];

export class Pulse {
  readonly readiness = new Store<Readiness | null>(null);
  /** Nothing was heard for a while. */
  readonly silent = new Store(false);
  #on = false;
  #following = false;
  #asking: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #doubt: ReturnType<typeof setTimeout> | undefined;
  #asked_ms = 0;
  #heard_ms = 0;
  #unwell = 0;

  /** `question` never throws. */
  constructor(private readonly question: (signal: AbortSignal) => Promise<Readiness>) {}

  /** Asks at once, and from now on. */
  start(): void {
    this.#on = true;
    this.ask();
  }

  /** Nobody looks. */
  pause(): void {
    this.#on = false;
    clearTimeout(this.#timer);
    clearTimeout(this.#doubt);
    this.#asking?.abort();
    this.#asking = null;
  }

  /** Whether the page says that it is live; the service's own answer counts more than the stream. */
  follow(following: boolean): void {
    this.#following = following;
    if (!this.#on || this.#asking) return;
    if (!following || this.readiness.get()?.ready !== true) this.#askIn(1000 * Math.random());
    else this.#askLater();
  }

  /** Calls back when the service is there again; gives the function that ends it. */
  back(listener: () => void): () => void {
    let away = false;
    return this.readiness.subscribe(() => {
      const reached = this.readiness.get()?.reached !== false;
      if (away && reached) listener();
      away = !reached;
    });
  }

  /** Bytes came. */
  heard(): void {
    this.#heard_ms = performance.now();
    clearTimeout(this.#doubt);
    this.silent.set(false);
    if (this.readiness.get()?.reached === false) this.ask();
  }

  ask(): void {
    if (this.#on && !this.#asking) void this.#ask();
  }

  async #ask(): Promise<void> {
    clearTimeout(this.#timer);
    const asking = (this.#asking = new AbortController());
    this.#asked_ms = performance.now();
    this.#doubt = setTimeout(() => this.silent.set(true), DOUBT_MS);
    const giveUp = setTimeout(() => asking.abort(), GIVE_UP_MS);
    const answer = await this.question(asking.signal);
    clearTimeout(giveUp);
    if (this.#asking !== asking) return;
    this.#asking = null;
    clearTimeout(this.#doubt);
    // What came meanwhile says more than a question that was lost.
    if (answer.reached || this.#heard_ms < this.#asked_ms) {
      this.#unwell = answer.ready ? 0 : this.#unwell + 1;
      this.silent.set(!answer.reached);
      this.readiness.set(answer);
    }
    this.#askLater();
  }

  #askLater(): void {
    const unwell_ms = UNWELL_MS[Math.min(this.#unwell, UNWELL_MS.length) - 1];
    this.#askIn((unwell_ms ?? (this.#following ? LIVE_MS : WELL_MS)) * (0.9 + Math.random() / 5));
  }

  #askIn(wait_ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.ask(), wait_ms);
  }
}

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

export async function readiness(signal: AbortSignal): Promise<Readiness> {
  try {
    const response = await fetch("/readyz", { signal, headers: { Accept: "application/json" } });
    const text = await response.text();
    const reasons = text.startsWith("{") ? reasonsIn(parseJson(text)) : [];
    // A proxy may keep the answer from us (403): that says nothing of the service.
    return { ready: response.status < 500, reasons, reached: true };
  } catch {
    return { ready: false, reasons: [], reached: false };
  }
}

export const pulse = new Pulse(readiness);
