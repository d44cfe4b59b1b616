/** What somebody asks for once, however often it is sent. */
import { asProblem } from "./problem";

/**
 * The service does what it is asked under one Idempotency-Key once, and refuses the key with
 * anything else. So what is sent again unchanged keeps its key; a changed request has another one.
 */
export class Act {
  #last: { request: string; key: string } | null = null;

  /** `request`: all that the service compares. */
  keyOf(request: string): string {
    if (this.#last?.request !== request) this.#last = { request, key: newKey() };
    return this.#last.key;
  }

  /** The outcome of `doing`. It ends the act, unless it is that there is no answer yet. */
  async ended<T>(doing: Promise<T>): Promise<T> {
    try {
      const done = await doing;
      this.#last = null;
      return done;
    } catch (error) {
      // A refusal is kept with its key: what is sent after it is another act.
      if (!asProblem(error).isAway) this.#last = null;
      throw error;
    }
  }
}

/** (randomUUID needs a secure context.) */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
