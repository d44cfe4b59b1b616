/**
 * To read a text of 200 KB takes longer than there is between two letters, so a worker reads it,
 * and of what is typed meanwhile only the newest.
 */
import { check, type Answer, type Ask } from "./check";

type Found = Answer<Ask>;
type Waiting = { ask: Ask; signal: AbortSignal; settle: (found: Promise<Found>) => void };
type Run = (ask: Ask, signal: AbortSignal) => Promise<Found>;

/** It took too long. What it would have said, nobody knows. */
class GivenUp extends Error {}

/** For `catch`: null instead of an answer that nobody knows. */
export function unlessGivenUp(reason: unknown): null {
  if (reason instanceof GivenUp) return null;
  throw reason;
}

/** Asks one thing after another; what is aborted before its turn is never asked, nor answered. */
export class Checks {
  #waiting: Waiting[] = [];
  #busy = false;

  constructor(readonly run: Run) {}

  find<A extends Ask>(ask: A, signal: AbortSignal): Promise<Answer<A>> {
    const found = new Promise<Found>((settle) => {
      this.#waiting.push({ ask, signal, settle });
      void this.#goOn();
    });
    // `check` answers each ask with what belongs to it.
    return found as Promise<unknown> as Promise<Answer<A>>;
  }

  async #goOn(): Promise<void> {
    if (this.#busy) return;
    this.#waiting = this.#waiting.filter((each) => !each.signal.aborted);
    const next = this.#waiting.shift();
    if (!next) return;
    this.#busy = true;
    const found = this.run(next.ask, next.signal);
    next.settle(found);
    await found.catch(() => undefined);
    this.#busy = false;
    void this.#goOn();
  }
}

/**
 * A pattern of somebody's schema may never come to an end. What has no schema always does, and is not given up: there
 * would be no verdict, and a machine that slept meanwhile wakes with its time run out.
 */
const PATIENCE_MS = 10_000;
/** What nobody waits for any more holds up the next no longer. To end it costs a worker. */
const UNWANTED_MS = 300;

/** undefined: none yet; null: there is none to be had, so the page's own thread reads. */
let worker: Worker | null | undefined = typeof Worker === "undefined" ? null : undefined;

function inWorker(ask: Ask, signal: AbortSignal): Promise<Found> {
  if (worker === undefined) worker = new Worker(new URL("./checks.worker.ts", import.meta.url), { type: "module" });
  const asked = worker;
  if (asked === null) return check(ask);
  return new Promise((settle, fail) => {
    const begun_ms = performance.now();
    const giveUp = () => {
      end();
      asked.terminate();
      worker = undefined;
      fail(new GivenUp());
    };
    const hurry = () => {
      clearTimeout(timer);
      timer = setTimeout(giveUp, UNWANTED_MS - (performance.now() - begun_ms));
    };
    let timer: ReturnType<typeof setTimeout> | undefined;
    if (ask.what !== "document") {
      timer = setTimeout(giveUp, PATIENCE_MS);
      signal.addEventListener("abort", hurry);
    }
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", hurry);
    };
    asked.onmessage = (event: MessageEvent<Found>) => {
      end();
      settle(event.data);
    };
    // Its script did not come, or it failed: what fails here, too, is told as what it is.
    asked.onerror = () => {
      end();
      asked.terminate();
      worker = null;
      settle(check(ask));
    };
    asked.postMessage(ask);
  });
}

export const checks = new Checks(inWorker);
