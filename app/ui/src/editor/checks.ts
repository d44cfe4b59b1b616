/**
 * To read a text of 200 KB takes longer than there is between two letters, so a worker reads it,
 * and of what is typed meanwhile only the newest.
 */
import { check, type Ask, type Found } from "./check";

type Waiting = { ask: Ask; signal: AbortSignal; settle: (found: Promise<Found>) => void };

/** Asks one thing after another; what is aborted before its turn is never asked, nor answered. */
export class Checks {
  #waiting: Waiting[] = [];
  #busy = false;

  constructor(readonly run: (ask: Ask) => Promise<Found>) {}

  find(ask: Ask, signal: AbortSignal): Promise<Found> {
    return new Promise((settle) => {
      this.#waiting.push({ ask, signal, settle });
      void this.#goOn();
    });
  }

  async #goOn(): Promise<void> {
    if (this.#busy) return;
    this.#waiting = this.#waiting.filter((each) => !each.signal.aborted);
    const next = this.#waiting.shift();
    if (!next) return;
    this.#busy = true;
    const found = this.run(next.ask);
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

/** undefined: none yet; null: the browser gives none, so the page's own thread reads. */
let worker: Worker | null | undefined;

function inWorker(ask: Ask): Promise<Found> {
  if (worker === undefined) worker = new Worker(new URL("./checks.worker.ts", import.meta.url), { type: "module" });
  const asked = worker;
  if (asked === null) return check(ask);
  return new Promise((settle, fail) => {
    const giveUp = () => {
      asked.terminate();
      worker = undefined;
      fail(new Error(`The check took longer than ${PATIENCE_MS} ms`));
    };
    const timer = ask.schema === null ? undefined : setTimeout(giveUp, PATIENCE_MS);
    asked.onmessage = (event: MessageEvent<Found>) => {
      clearTimeout(timer);
      settle(event.data);
    };
    // Its script did not come, or it failed: what fails here, too, is told as what it is.
    asked.onerror = () => {
      clearTimeout(timer);
      asked.terminate();
      worker = null;
      settle(check(ask));
    };
    asked.postMessage(ask);
  });
}

export const checks = new Checks(inWorker);
