/**
 * The project's watch: one stream a tab, resumed after the last position seen.
 * (EventSource cannot send an Authorization header, so the stream is fetched.)
 */
import { createParser } from "eventsource-parser";
import { parseJson } from "../lib/json";
import { Store } from "../lib/store";
import { authorized, query, url } from "./client";
import { asProblem, problemOf } from "./problem";
import { pulse } from "./pulse";
import { session } from "./session";
import type { WatchChange } from "./types";

export type LiveState = "off" | "connecting" | "live" | "interrupted" | "paused";
export const live = new Store<LiveState>("off");

/** The service sends a comment every 15 s; longer silence means that the line is dead. */
const SILENCE_MS = 20_000;
/** The answer begins at once, or after the 5 s for which a process may wait to be current. */
const ANSWER_MS = 10_000;
/** A stream that is opened no sooner is one that is missed; the first views of a slow line take 3 s. */
const MISSED_MS = 5000;
/** One that ends sooner was none: else who closes each at once is asked without a pause. */
const STEADY_MS = 10_000;
const HIDDEN_MS = 60_000;
const BACKOFF_MS = [250, 500, 1000, 2000, 4000, 8000, 10_000];
/** A process that stops ends all its streams in one moment. */
const SPREAD_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

export type WatchEvent = WatchChange & { position: number };

class Watch {
  #abort = new AbortController();
  #stopped = false;
  #last: number;
  #hidden: ReturnType<typeof setTimeout> | undefined;
  #wake: (() => void) | null = null;
  #opened_ms = Infinity;
  /** What the last refusal asked for. */
  #retryAfter_ms = 0;
  readonly #leave: (() => void)[];

  constructor(
    private readonly project: string,
    from: number,
    private readonly onChange: (change: WatchEvent) => void,
    private readonly onAccess: () => void,
  ) {
    this.#last = from;
    document.addEventListener("visibilitychange", this.#visibility);
    window.addEventListener("online", this.#wakeUp);
    // A session that ended, and began again, ended the stream too.
    this.#leave = [
      session.subscribe(() => session.get() === "in" && this.#wakeUp()),
      pulse.back(this.#wakeUp),
    ];
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    document.removeEventListener("visibilitychange", this.#visibility);
    window.removeEventListener("online", this.#wakeUp);
    for (const leave of this.#leave) leave();
    clearTimeout(this.#hidden);
    this.#abort.abort();
    this.#wakeUp();
    live.set("off");
  }

  #wakeUp = (): void => this.#wake?.();

  /** A browser opens six connections to one host: a hidden tab gives its own back. */
  #visibility = (): void => {
    clearTimeout(this.#hidden);
    if (document.hidden) this.#hidden = setTimeout(() => this.#abort.abort(), HIDDEN_MS);
    else this.#wakeUp();
  };

  async #run(): Promise<void> {
    let failures = 0;
    let refused = false;
    while (!this.#stopped) {
      if (document.hidden && failures > 0) {
        live.set("paused");
        await this.#pause(null);
        if (this.#stopped) return;
      }
      live.set(failures === 0 ? "connecting" : "interrupted");
      this.#opened_ms = Infinity;
      this.#retryAfter_ms = 0;
      let broke = false;
      try {
        await this.#stream(() => {
          if (refused) this.onAccess();
          refused = false;
        });
      } catch (error) {
        if (this.#stopped) return;
        broke = true;
        const problem = asProblem(error);
        // The project was deleted, or one's role in it; that may come back, too.
        refused = problem.status === 403 || problem.status === 404;
        if (refused) this.onAccess();
        if (problem.status === 401) {
          live.set("interrupted");
          await this.#pause(null);
        }
      }
      if (this.#stopped) return;
      const steady = performance.now() - this.#opened_ms > STEADY_MS;
      failures = !steady ? failures + 1 : broke || document.hidden ? 1 : 0;
      live.set(failures === 0 ? "connecting" : document.hidden ? "paused" : "interrupted");
      const backOff_ms = BACKOFF_MS[Math.min(failures, BACKOFF_MS.length) - 1];
      await this.#pause(
        backOff_ms === undefined
          ? SPREAD_MS * Math.random()
          : Math.max(backOff_ms * (0.75 + Math.random() / 2), this.#retryAfter_ms),
      );
    }
  }

  #pause(wait_ms: number | null): Promise<void> {
    return new Promise((resolve) => {
      const timer = wait_ms === null ? undefined : setTimeout(resolve, wait_ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #stream(onOpen: () => void): Promise<void> {
    const abort = (this.#abort = new AbortController());
    const missed = setTimeout(() => this.#stopped || live.set("interrupted"), MISSED_MS);
    const unanswered = setTimeout(() => abort.abort(), ANSWER_MS);
    let response: Response;
    try {
      response = await authorized(
        "GET",
        url`/v1/projects/${this.project}/watch` + query({ from: this.#last }),
        {
          headers: { Accept: "text/event-stream", "Last-Event-ID": String(this.#last) },
          signal: abort.signal,
        },
      );
    } finally {
      clearTimeout(missed);
      clearTimeout(unanswered);
    }
    if (!response.ok || response.body === null) {
      const asked_ms = 1000 * Number(response.headers.get("Retry-After"));
      this.#retryAfter_ms = Math.min(asked_ms || 0, LONGEST_PAUSE_MS);
      throw await problemOf(response, parseJson);
    }
    this.#opened_ms = performance.now();
    live.set("live");
    onOpen();
    const parser = createParser({
      onEvent: (event) => {
        if (event.id !== undefined && event.id !== "") this.#last = Number(event.id);
        if (event.event === "change") {
          this.onChange({ ...parseJson<WatchChange>(event.data), position: this.#last });
        }
      },
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const silence = setTimeout(() => abort.abort(), SILENCE_MS);
      try {
        const { done, value } = await reader.read();
        if (done) return;
        pulse.heard();
        parser.feed(value);
      } finally {
        clearTimeout(silence);
      }
    }
  }
}

/** Follows a project from a position on; gives the function that ends it. */
export function watchProject(
  project: string,
  from: number,
  onChange: (change: WatchEvent) => void,
  /** It is refused, or not any more. */
  onAccess: () => void,
): () => void {
  const watch = new Watch(project, from, onChange, onAccess);
  return () => watch.stop();
}
