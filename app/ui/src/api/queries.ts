/** What the views ask the service for, named once. */
import {
  QueryClient,
  type QueryFilters,
  useInfiniteQuery,
  useQuery,
  type UseQueryResult,
} from "@tanstack/react-query";
import { all, get, pages, query, request, url, type Page } from "./client";
import { reuse } from "../lib/reuse";
import { compareKeys } from "../lib/tree";
import { Problem } from "./problem";
import { live } from "./watch";
import type {
  ChainVerdict,
  Cluster,
  Config,
  NamedKey,
  Project,
  Revision,
  Role,
  Schema,
  User,
} from "./types";

export const client = new QueryClient({
  defaultOptions: {
    mutations: { networkMode: "always" },
    queries: {
      // Whether the service can be reached is found out by asking it: the browser's own idea of
      // being online is about another network, and would leave views waiting without a word.
      networkMode: "always",
      staleTime: 10_000,
      structuralSharing: reuse,
      retry: (count, error) =>
        count < 2 && error instanceof Problem && (error.status === 0 || error.status === 503),
      retryDelay: (count) => 500 * 2 ** count,
    },
  },
});

const ASK_AGAIN_MS = 3000;

/** For what is asked before an act: it is of this moment, and asked again until the service can say. */
export const rehearsing = {
  retry: false,
  staleTime: 0,
  gcTime: 0,
  refetchInterval: ({ state }: { state: { error: Error | null } }) =>
    state.error instanceof Problem && state.error.isAway ? ASK_AGAIN_MS : (false as const),
};

export const keys = {
  me: ["me"] as const,
  projects: ["projects"] as const,
  project: (project: string) => ["project", project] as const,
  roles: (project: string) => ["project", project, "roles"] as const,
  apiKeys: (project: string) => ["project", project, "keys"] as const,
  configs: (project: string, at: string | null) => ["configs", project, at] as const,
  config: (project: string, key: string) => ["config", project, key] as const,
  revisions: (project: string, key: string) => ["revisions", project, key] as const,
  audit: (project: string) => ["audit", project] as const,
  schemas: ["schemas"] as const,
  users: ["users"] as const,
};

export const useMe = (): UseQueryResult<User> =>
  useQuery({ queryKey: keys.me, queryFn: ({ signal }) => get<User>("/v1/me", signal), staleTime: 300_000 });

export const useProjects = (): UseQueryResult<Project[]> =>
  useQuery({
    queryKey: keys.projects,
    queryFn: ({ signal }) => all<Project>("/v1/projects?limit=200", signal),
  });

export const useProject = (project: string): UseQueryResult<Project> =>
  useQuery({
    queryKey: keys.project(project),
    queryFn: ({ signal }) => get<Project>(url`/v1/projects/${project}`, signal),
  });

export const useRoles = (project: string, enabled = true): UseQueryResult<Role[]> =>
  useQuery({
    queryKey: keys.roles(project),
    enabled,
    queryFn: ({ signal }) => all<Role>(url`/v1/projects/${project}/roles` + "?limit=500", signal),
  });

export const useApiKeys = (project: string, enabled: boolean): UseQueryResult<NamedKey[]> =>
  useQuery({
    queryKey: keys.apiKeys(project),
    queryFn: ({ signal }) => all<NamedKey>(url`/v1/projects/${project}/keys` + "?limit=500", signal),
    enabled,
  });

/** A moment in an address: a position (digits) or an RFC 3339 time. */
export function momentQuery(at: string | null): Record<string, string> {
  if (at === null) return {};
  return /^\d+$/.test(at) ? { position: at } : { at };
}

export type ConfigList = { items: Config[]; position: number; complete: boolean };

/** Every config of a project; `onPart` is told what there is as long as more is to come. */
export async function readConfigs(project: string, at: string | null, onPart: (part: ConfigList) => void, signal?: AbortSignal): Promise<ConfigList> {
  const path = url`/v1/projects/${project}/configs` + query({ limit: 500, ...momentQuery(at) });
  let items: Config[] = [];
  let position: number | null = null;
  for await (const page of pages<Config>(path, signal)) {
    items = items.concat(page.data.items).sort((a, b) => compareKeys(a.key, b.key));
    // The first page's position: what changed since is repeated by the watch.
    position ??= page.position ?? 0;
    if (page.data.next !== null) onPart({ items, position, complete: false });
  }
  return { items, position: position ?? 0, complete: true };
}

/** Pages show as they arrive; the watch keeps it current. */
export const useConfigs = (project: string, at: string | null): UseQueryResult<ConfigList> =>
  useQuery({
    queryKey: keys.configs(project, at),
    staleTime: Infinity,
    queryFn: ({ signal }) => {
      const fresh = client.getQueryData(keys.configs(project, at)) === undefined;
      return readConfigs(project, at, (part) => fresh && client.setQueryData<ConfigList>(keys.configs(project, at), part), signal);
    },
  });

/** What was there at a moment has this position or one before; undefined: not known yet. */
export function useMomentPosition(project: string, at: string | null): number | undefined {
  const { data } = useConfigs(project, at);
  return at === null ? Infinity : data?.position;
}

export type Moment = { version?: number | null; at?: string | null };

/** `listed`: as the list has it, which holds whole configs: what it has just brought is not asked for once more. */
export const useConfig = (project: string, key: string, moment: Moment = {}, enabled = true, listed?: Config): UseQueryResult<Config> =>
  useQuery({
    enabled,
    initialData: listed,
    initialDataUpdatedAt: () => client.getQueryState(keys.configs(project, null))?.dataUpdatedAt,
    queryKey: [...keys.config(project, key), moment.version ?? null, moment.at ?? null],
    queryFn: ({ signal }) =>
      get<Config>(
        url`/v1/projects/${project}/configs/${key}` +
          query({ version: moment.version, ...momentQuery(moment.at ?? null) }),
        signal,
      ),
    retry: (count, error) => error instanceof Problem && error.status !== 404 && count < 2,
  });

/** The config that is live, or was at a moment; null: there is none (what was read before is still held), undefined: not known yet. */
export function useStanding(project: string, key: string, at: string | null = null): Config | null | undefined {
  const config = useConfig(project, key, { at });
  if (config.error instanceof Problem && config.error.status === 404) return null;
  return config.data;
}

export const useRevision = (
  project: string,
  key: string,
  version: number | null,
): UseQueryResult<Revision> =>
  useQuery({
    queryKey: [...keys.revisions(project, key), version],
    queryFn: ({ signal }) =>
      get<Revision>(url`/v1/projects/${project}/configs/${key}/revisions/${version ?? 0}`, signal),
    enabled: version !== null && version > 0,
    staleTime: Infinity,
  });

export const useRevisions = (project: string, key: string, enabled = true) =>
  useInfiniteQuery({
    enabled,
    queryKey: keys.revisions(project, key),
    initialPageParam: url`/v1/projects/${project}/configs/${key}/revisions` + "?limit=100",
    queryFn: ({ pageParam, signal }) => get<Page<Revision>>(pageParam, signal),
    getNextPageParam: (page) => page.next,
  });

export type AuditFilter = { user?: string | null; key?: string | null };

export const useAudit = (project: string, filter: AuditFilter) =>
  useInfiniteQuery({
    queryKey: [...keys.audit(project), filter.user ?? null, filter.key ?? null],
    initialPageParam:
      url`/v1/projects/${project}/revisions` + query({ limit: 100, order: "desc", ...filter }),
    queryFn: ({ pageParam, signal }) => get<Page<Revision>>(pageParam, signal),
    getNextPageParam: (page) => page.next,
  });

export const useChain = (project: string) =>
  useQuery({
    // Not below the feed's key: a walk of the whole chain is not repeated for each change.
    queryKey: ["chain", project],
    queryFn: ({ signal }) => get<ChainVerdict>(url`/v1/projects/${project}/audit/verify`, signal),
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    retry: (count, error) => count < 5 && error instanceof Problem && error.status === 429,
    retryDelay: 3000,
  });

export const useSchemas = (enabled = true): UseQueryResult<Schema[]> =>
  useQuery({
    enabled,
    queryKey: keys.schemas,
    queryFn: ({ signal }) => all<Schema>("/v1/schemas?limit=500", signal),
  });

export const useSchema = (id: string | null | undefined): UseQueryResult<Schema> =>
  useQuery({
    queryKey: [...keys.schemas, id],
    queryFn: ({ signal }) => get<Schema>(url`/v1/schemas/${id ?? ""}`, signal),
    enabled: Boolean(id),
  });

export const useSchemaVersion = (id: string, version: number): UseQueryResult<Schema> =>
  useQuery({
    queryKey: ["schema-version", id, version],
    queryFn: ({ signal }) => get<Schema>(url`/v1/schemas/${id}` + query({ version }), signal),
    staleTime: Infinity,
  });

type Usage = { items: { project_id: string; key: string }[]; total: number; hidden: number };

export const useUsage = (schema: string): UseQueryResult<Usage> =>
  useQuery({
    queryKey: [...keys.schemas, schema, "usage"],
    queryFn: ({ signal }) => get<Usage>(url`/v1/schemas/${schema}/usage` + "?limit=500", signal),
  });

export const useUsers = (enabled: boolean): UseQueryResult<User[]> =>
  useQuery({
    queryKey: keys.users,
    queryFn: ({ signal }) => all<User>("/v1/users?limit=500", signal),
    enabled,
  });

export const useCluster = (enabled: boolean) =>
  useQuery({
    enabled,
    queryKey: ["cluster"],
    queryFn: ({ signal }) => get<Cluster>("/v1/cluster", signal),
    refetchInterval: 2000,
    staleTime: 0,
  });

/**
 * Asks again. A first answer that is still on its way may be older than the change, and
 * invalidating alone would wait for it and take it: so it is dropped first.
 */
async function renew(filters: QueryFilters): Promise<void> {
  await client.cancelQueries(filters);
  await client.invalidateQueries(filters);
}

/** Configs have changed: by a commit of ours, or by what the watch has told. */
export function applyChanges(project: string, changed: readonly string[]): void {
  for (const key of changed) {
    void renew({ queryKey: keys.config(project, key) });
    void renew({ queryKey: keys.revisions(project, key), exact: true });
  }
  void renew({ queryKey: keys.audit(project) });
  // Without the watch nobody else brings the list up to date.
  if (live.get() !== "live") void renew({ queryKey: keys.configs(project, null) });
}

export { request };
