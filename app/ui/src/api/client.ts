/** The one way to the service: credentials, read-your-writes, problems, exact numbers. */
import { parseJson, type Json } from "../lib/json";
import { Problem, problemOf } from "./problem";
import { accessToken, refresh, session } from "./session";

export type Answer<T> = {
  data: T;
  status: number;
  etag: string | null;
  location: string | null;
  position: number | null;
};
export type RequestOptions = {
  body?: unknown;
  /** Body text that goes out as it is (it is JSON already). */
  rawBody?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
};

/** The newest position that a write of this page has reached. */
let written = 0;

function send(method: string, path: string, options: RequestOptions): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json", ...options.headers };
  const token = accessToken();
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  const body = options.rawBody ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  if (body !== undefined) headers["Content-Type"] ??= "application/json";
  if (method === "GET" && written > 0) headers["Guardian-Min-Position"] = String(written);
  return fetch(path, { method, headers, body, signal: options.signal });
}

/** Sends with the session's credentials; renews them once when they have run out. */
export async function authorized(
  method: string,
  path: string,
  options: RequestOptions = {},
): Promise<Response> {
  try {
    const response = await send(method, path, options);
    if (response.status !== 401 || session.get() !== "in") return response;
    if ((await refresh()) === "refused") return response;
    return await send(method, path, options);
  } catch (error) {
    if (error instanceof Problem || (error instanceof DOMException && error.name === "AbortError")) throw error;
    throw new Problem(0, "The service cannot be reached", outcomeOf(method, path, options), null, {});
  }
}

/** The line may have broken before the service heard of it, or before its answer came. */
function outcomeOf(method: string, path: string, { headers }: RequestOptions): string {
  if (method === "GET" || path.includes("dry_run=true")) return "Nothing was changed by this.";
  return headers?.["Idempotency-Key"]
    ? "Whether it was done is not known. To send it again from here is safe: it is done once."
    : "Whether it was done is not known: look, before you send it again.";
}

export async function request<T>(
  method: string,
  path: string,
  options: RequestOptions = {},
): Promise<Answer<T>> {
  const response = await authorized(method, path, options);
  if (!response.ok) throw await problemOf(response, parseJson);
  const text = await response.text();
  const at = response.headers.get("Guardian-Position");
  const position = at === null ? null : Number(at);
  if (method !== "GET" && position !== null && position > written) written = position;
  return {
    data: (text === "" ? null : parseJson<T>(text)) as T,
    status: response.status,
    etag: response.headers.get("ETag"),
    location: response.headers.get("Location"),
    position,
  };
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await request<T>("GET", path, { signal })).data;
}

export function query(parameters: Record<string, string | number | boolean | null | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}

/** `path` with each `${}` part percent-encoded. */
export function url(strings: TemplateStringsArray, ...parts: (string | number)[]): string {
  return strings.reduce(
    (path, text, index) => path + (index === 0 ? "" : encodeURIComponent(parts[index - 1] ?? "")) + text,
    "",
  );
}

export type Page<T> = { items: T[]; next: string | null };

/** Every page of a list, handed over as they come. */
export async function* pages<T>(path: string, signal?: AbortSignal): AsyncGenerator<Answer<Page<T>>> {
  let next: string | null = path;
  while (next !== null) {
    const answer: Answer<Page<T>> = await request<Page<T>>("GET", next, { signal });
    yield answer;
    next = answer.data.next;
  }
}

export async function all<T>(path: string, signal?: AbortSignal): Promise<T[]> {
  const items: T[] = [];
  for await (const page of pages<T>(path, signal)) items.push(...page.data.items);
  return items;
}

/** Forgets what belongs to one person when another signs in. */
export function forgetPositions(): void {
  written = 0;
}

export type { Json };
