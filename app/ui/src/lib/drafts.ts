/**
 * What somebody typed and has not committed yet, by person, project and key.
 * Memory first, localStorage a moment later, so that neither a reload nor a
 * session that ends loses a letter. Only a commit or a discard removes it.
 */
import { useCallback, useSyncExternalStore } from "react";
import { Store } from "./store";

export type Draft = {
  op: "put" | "delete";
  text: string;
  /** What was live when the edit began; 0: the config is new. Its text is in the history. */
  baseVersion: number;
  /** undefined: the binding stays; null: none; otherwise the schema to bind. */
  schemaId?: string | null;
  comment: string;
  savedAt: string;
};

const PREFIX = "guardian:draft:";
const PERSIST_AFTER_MS = 250;
const drafts = new Map<string, Draft>();
const dirty = new Set<string>();
const listeners = new Set<() => void>();
let revision = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

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
  dirty.add(name);
  timer ??= setTimeout(persist, PERSIST_AFTER_MS);
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

export function useDrafts(user: string, project: string): Listed[] {
  return useSyncExternalStore(subscribe, () => {
    const of = nameOf(user, project, "");
    if (listed?.revision !== revision || listed.of !== of) {
      const found = [...drafts]
        .filter(([name]) => name.startsWith(of))
        .map(([name, draft]) => ({ key: name.slice(of.length), draft }))
        .sort((a, b) => (a.key < b.key ? -1 : 1));
      listed = { revision, of, drafts: found };
    }
    return listed.drafts;
  });
}
