/** Brings the watch into what the views show. */
import { useEffect } from "react";
import { compareKeys } from "../lib/tree";
import { applyChanges, client, keys, useConfigs, type ConfigList } from "./queries";
import type { Config } from "./types";
import { watchProject, type WatchEvent } from "./watch";

type Listener = (change: WatchEvent) => void;
const listeners = new Set<Listener>();

/** Calls back for each change of the open project, ours and everybody else's. */
export function useChanges(listener: Listener): void {
  useEffect(() => {
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }, [listener]);
}

function place(items: readonly Config[], key: string): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareKeys((items[middle] as Config).key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function applyChange(project: string, list: ConfigList, change: WatchEvent): ConfigList {
  const index = place(list.items, change.key);
  const known = list.items[index]?.key === change.key ? list.items[index] : undefined;
  if (known && known.version >= change.version) return { ...list, position: change.position };
  const items = list.items.slice();
  if (change.deleted) {
    if (known) items.splice(index, 1);
  } else {
    const next: Config = {
      project_id: project,
      key: change.key,
      version: change.version,
      content: change.content,
      schema_id: change.schema_id === undefined ? (known?.schema_id ?? null) : change.schema_id,
      schema_version:
        change.schema_version === undefined ? (known?.schema_version ?? null) : change.schema_version,
      updated_at: change.updated_at ?? new Date().toISOString(),
      updated_by_user_id: change.updated_by_user_id ?? null,
      updated_by_email: change.updated_by_email ?? null,
      position: change.position,
    };
    items.splice(index, known ? 1 : 0, next);
  }
  return { ...list, items, position: change.position };
}

/** Keeps one project's views current for as long as it is open. */
export function useLiveProject(project: string): void {
  const list = useConfigs(project, null);
  const ready = list.data?.complete === true;
  useEffect(() => {
    if (!ready) return;
    const name = keys.configs(project, null);
    const from = client.getQueryData<ConfigList>(name)?.position ?? 0;
    const apply = (change: WatchEvent) => {
      client.setQueryData<ConfigList>(name, (data) => data && applyChange(project, data, change));
      applyChanges(project, [change.key]);
      for (const listener of listeners) listener(change);
    };
    // Whether the project is there, and what one may do in it, is asked anew.
    const askAnew = () => {
      void client.invalidateQueries({ queryKey: keys.project(project), exact: true });
      void client.invalidateQueries({ queryKey: keys.projects, exact: true });
    };
    return watchProject(project, from, apply, askAnew);
  }, [project, ready]);
}
