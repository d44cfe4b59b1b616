import type { Json } from "../lib/json";

export type Violation = { pointer: string; keyword: string; message: string };

/** An answer of the service that is not a success (RFC 9457), or no answer at all (status 0). */
export class Problem extends Error {
  readonly slug: string;

  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly requestId: string | null,
    readonly body: Record<string, Json>,
  ) {
    super(detail || title);
    this.name = "Problem";
    this.slug = typeof body.type === "string" ? (body.type.split("/").pop() ?? "") : "";
  }

  get violations(): Violation[] {
    return Array.isArray(this.body.errors) ? (this.body.errors as unknown as Violation[]) : [];
  }

  get currentVersion(): number | null {
    return typeof this.body.current_version === "number" ? this.body.current_version : null;
  }

  /** The service could not be asked, or could not say: what was asked has no answer yet. */
  get isAway(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }

  get isConflict(): boolean {
    return this.status === 409 && (this.slug === "version-conflict" || this.currentVersion !== null);
  }
}

export async function problemOf(response: Response, parse: (text: string) => Json): Promise<Problem> {
  const text = await response.text();
  let body: Record<string, Json> = {};
  if (response.headers.get("Content-Type")?.includes("json")) {
    body = parse(text) as Record<string, Json>;
  }
  return new Problem(
    response.status,
    typeof body.title === "string" ? body.title : response.statusText || `Status ${response.status}`,
    typeof body.detail === "string" ? body.detail : "",
    response.headers.get("X-Request-Id"),
    body,
  );
}

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return new Problem(0, "Something went wrong in the page", detail, null, {});
}
