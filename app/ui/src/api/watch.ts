/**
 * The project's watch: one stream a tab, resumed after the last position seen.
 * (EventSource cannot send an Authorization header, so the stream is fetched.)
 */
import { createParser } from "eventsource-parser";
import { parseJson } from "../lib/json";
import { Store } from "../lib/store";
import { authorized, query, url } from "./client";
import { asProblem, problemOf } from "./problem";
import { session } from "./session";
import type { WatchChange } from "./types";

export type LiveState = "off" | "connecting" | "live" | "interrupted" | "paused";
export const live = new Store<LiveState>("off");

/** The service sends a comment every 15 s; longer silence means that the line is dead. */
const SILENCE_MS = 40_000;
const HIDDEN_MS = 60_000;
const BACKOFF_MS = [250, 500, 1000, 2000, 4000, 8000, 15_000];

export type WatchEvent = WatchChange & { position: number };

class Watch {
  #abort = new AbortController();
  #stopped = false;
  #last: number;
  #hidden: ReturnType<typeof setTimeout> | undefined;
  #wake: (() => void) | null = null;
  readonly #leaveSession: () => void;

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
    this.#leaveSession = session.subscribe(() => session.get() === "in" && this.#wakeUp());
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    document.removeEventListener("visibilitychange", this.#visibility);
    window.removeEventListener("online", this.#wakeUp);
    this.#leaveSession();
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
      try {
        await this.#stream(() => {
          failures = 0;
          if (refused) this.onAccess();
          refused = false;
        });
        failures = Math.max(failures, document.hidden ? 1 : 0);
      } catch (error) {
        if (this.#stopped) return;
        failures += 1;
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
      if (failures > 0) {
        live.set(document.hidden ? "paused" : "interrupted");
        const wait = BACKOFF_MS[Math.min(failures, BACKOFF_MS.length) - 1] ?? 1000;
        await this.#pause(wait * (0.75 + Math.random() / 2));
      }
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
    this.#abort = new AbortController();
    const response = await authorized(
      "GET",
      url`/v1/projects/${this.project}/watch` + query({ from: this.#last }),
      {
        headers: { Accept: "text/event-stream", "Last-Event-ID": String(this.#last) },
        signal: this.#abort.signal,
      },
    );
    if (!response.ok || response.body === null) throw await problemOf(response, parseJson);
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
      const silence = setTimeout(() => this.#abort.abort(), SILENCE_MS);
      try {
        const { done, value } = await reader.read();
        if (done) return;
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
