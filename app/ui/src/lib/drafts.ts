/**
 * What somebody typed and has not committed yet, by person, project and key.
 * Memory first, localStorage a moment later, so that neither a reload nor a
 * session that ends loses a letter. Only a commit or a discard removes it.
 */
import { useCallback, useSyncExternalStore } from "react";
import type { Side } from "./merge3";
import { Store } from "./store";

/** What was chosen and typed in a merge that is not ended. */
export type BegunMerge = {
  version: number;
  /** The text of that version: the merge stays one with it, whatever comes in meanwhile. */
  theirs: string;
  /** By pointer. */
  sides: Record<string, Side>;
  /** The result, if it was edited. */
  edited: string | null;
  /** The draft's own text was edited since: that is not in the result. */
  overtaken: boolean;
};

export type Draft = {
  op: "put" | "delete";
  text: string;
  /** What was live when the edit began; 0: the config is new. Its text is in the history. */
  baseVersion: number;
  /** undefined: the binding stays; null: none; otherwise the schema to bind. */
  schemaId?: string | null;
  comment: string;
  savedAt: string;
  merge?: BegunMerge;
};

/** What becomes of a merge when the text that it is of is edited. */
export function overtaken(merge: BegunMerge | undefined, edited: boolean): BegunMerge | undefined {
  return merge && edited && merge.edited !== null ? { ...merge, overtaken: true } : merge;
}

/** What a draft is an edit of; `text`: as the editor shows its content. */
type Edited = { version: number; schema_id: string | null; text: string };

/** The draft after `changes`; null: nothing is left of it, it is what is live. `live`: null where there is none. */
export function draftAfter(draft: Draft | null, live: Edited | null, changes: Partial<Draft>): Draft | null {
  const next: Draft = {
    op: "put",
    text: draft?.op === "put" ? draft.text : (live?.text ?? ""),
    baseVersion: draft?.baseVersion ?? live?.version ?? 0,
    schemaId: draft?.schemaId,
    comment: draft?.comment ?? "",
    merge: overtaken(draft?.merge, changes.text !== undefined && changes.text !== draft?.text),
    ...changes,
    savedAt: new Date().toISOString(),
  };
  const unchanged =
    live !== null &&
    next.op === "put" &&
    next.text === live.text &&
    next.baseVersion === live.version &&
    (next.schemaId === undefined || next.schemaId === live.schema_id);
  return unchanged ? null : next;
}

/**
 * The edit of a config that is gone, as one of a new config: bound to what it was bound to (`bound`
 * is what the edit left as it was), if that is one of the `schemas` that are still there.
 */
export function draftAnew({ merge, ...mine }: Draft, bound: string | null, schemas: readonly string[]): Draft {
  const wanted = mine.schemaId === undefined ? bound : mine.schemaId;
  const schemaId = wanted !== null && schemas.includes(wanted) ? wanted : null;
  // With what it was to be merged is gone; what was typed in the merge is the newest that was typed.
  const text = merge && !merge.overtaken ? (merge.edited ?? mine.text) : mine.text;
  return { ...mine, text, baseVersion: 0, schemaId, savedAt: new Date().toISOString() };
}

const PREFIX = "guardian:draft:";
/** As long as letters come, they are written down only now and then: all of the text each time. */
const PERSIST_AFTER_MS = 250;
const PERSIST_AT_LEAST_EVERY_MS = 2000;
const drafts = new Map<string, Draft>();
const dirty = new Set<string>();
const listeners = new Set<() => void>();
let revision = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
/** Since when something is not written down. */
let dirtySince = 0;

/** Why drafts cannot be kept over a reload, if so. */
export const draftTrouble = new Store<string | null>(null);

const nameOf = (user: string, project: string, key: string): string => `${PREFIX}${user}:${project}:${key}`;

function load(name: string): void {
  const raw = localStorage.getItem(name);
  if (raw === null) drafts.delete(name);
  else drafts.set(name, JSON.parse(raw) as Draft);
}

for (let index = 0; index < localStorage.length; index += 1) {
  const name = localStorage.key(index);
  if (name?.startsWith(PREFIX)) load(name);
}

function announce(): void {
  revision += 1;
  for (const listener of listeners) listener();
}

export function persist(): void {
  clearTimeout(timer);
  timer = undefined;
  for (const name of dirty) {
    const draft = drafts.get(name);
    try {
      if (draft) localStorage.setItem(name, JSON.stringify(draft));
      else localStorage.removeItem(name);
      dirty.delete(name);
      draftTrouble.set(null);
    } catch {
      draftTrouble.set("The browser’s storage is full: what you typed is kept only while this tab is open.");
    }
  }
}

window.addEventListener("pagehide", persist);
document.addEventListener("visibilitychange", persist);
window.addEventListener("storage", (event) => {
  if (event.key?.startsWith(PREFIX) && !dirty.has(event.key)) {
    load(event.key);
    announce();
  }
});

function change(name: string, draft: Draft | null): void {
  if (draft) drafts.set(name, draft);
  else drafts.delete(name);
  const now = performance.now();
  if (dirty.size === 0) dirtySince = now;
  dirty.add(name);
  clearTimeout(timer);
  timer = setTimeout(persist, Math.max(0, Math.min(PERSIST_AFTER_MS, dirtySince + PERSIST_AT_LEAST_EVERY_MS - now)));
  announce();
}

export const draftOf = (user: string, project: string, key: string): Draft | undefined => drafts.get(nameOf(user, project, key));

export function saveDraft(user: string, project: string, key: string, draft: Draft): void {
  change(nameOf(user, project, key), draft);
}

export function discardDraft(user: string, project: string, key: string): void {
  change(nameOf(user, project, key), null);
}

/** After a commit of `sent`: what was typed since stays. */
export function settleDraft(user: string, project: string, key: string, sent: Draft): void {
  const now = draftOf(user, project, key);
  if (now && now.op === sent.op && now.text === sent.text && now.schemaId === sent.schemaId) discardDraft(user, project, key);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export type DraftHandle = {
  draft: Draft | null;
  save: (draft: Draft) => void;
  discard: () => void;
  settle: (sent: Draft) => void;
};

export function useDraft(user: string, project: string, key: string): DraftHandle {
  const draft = useSyncExternalStore(subscribe, () => drafts.get(nameOf(user, project, key)) ?? null);
  const save = useCallback((next: Draft) => saveDraft(user, project, key, next), [user, project, key]);
  const discard = useCallback(() => discardDraft(user, project, key), [user, project, key]);
  const settle = useCallback((sent: Draft) => settleDraft(user, project, key, sent), [user, project, key]);
  return { draft, save, discard, settle };
}

type Listed = { key: string; draft: Draft };
let listed: { revision: number; of: string; drafts: Listed[] } | null = null;

function draftsOf(of: string): Listed[] {
  if (listed?.revision !== revision || listed.of !== of) {
    const found = [...drafts]
      .filter(([name]) => name.startsWith(of))
      .map(([name, draft]) => ({ key: name.slice(of.length), draft }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    listed = { revision, of, drafts: found };
  }
  return listed.drafts;
}

export function useDrafts(user: string, project: string): Listed[] {
  return useSyncExternalStore(subscribe, () => draftsOf(nameOf(user, project, "")));
}

let edited: { of: string; keys: ReadonlySet<string> } | null = null;

/** Of which configs there is a draft: the same set as long as only their texts change, letter by letter. */
export function useEdited(user: string, project: string): ReadonlySet<string> {
  return useSyncExternalStore(subscribe, () => {
    const of = nameOf(user, project, "");
    const found = draftsOf(of);
    if (edited?.of !== of || edited.keys.size !== found.length || !found.every((each) => edited?.keys.has(each.key))) {
      edited = { of, keys: new Set(found.map((each) => each.key)) };
    }
    return edited.keys;
  });
}
