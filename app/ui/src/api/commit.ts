/** Changes of configs. Content goes out as the text that was reviewed: only white space is left out. */
import type { Act } from "./act";
import { documentOf } from "./document";
import { Store } from "../lib/store";
import { query, request, url, type Answer } from "./client";
import { asProblem, Problem } from "./problem";
import type { Json } from "../lib/json";

export type Edit = {
  op: "put" | "delete";
  key: string;
  text: string;
  schemaId?: string | null;
  /** The version that the edit was made on; 0: the config is new. */
  baseVersion: number;
};
export type Committed = { key: string; version: number };
type Pending = {
  status: "applied" | "rejected" | "pending" | "unknown";
  changes?: Committed[];
  conflicts?: { key: string; current_version: number }[];
  [name: string]: Json | undefined;
};

/** How many changes of ours were sent and have no outcome yet. */
export const withoutOutcome = new Store(0);

/** The newest version of a key that this tab has committed; null while a commit of it is on its way. */
const ours = new Map<string, number | null>();

const nameOf = (project: string, key: string): string => `${project}/${key}`;

/** Whether a version that the watch tells of is this tab's own, whose answer may come later. */
export function isOurs(project: string, key: string, version: number): boolean {
  const own = ours.get(nameOf(project, key));
  return own === null || own === version;
}

async function asOurs<T>(project: string, keys: readonly string[], act: () => Promise<T>, made: (done: T) => readonly Committed[]): Promise<T> {
  for (const key of keys) ours.set(nameOf(project, key), null);
  try {
    const done = await act();
    for (const each of made(done)) ours.set(nameOf(project, each.key), each.version);
    return done;
  } finally {
    for (const key of keys) if (ours.get(nameOf(project, key)) === null) ours.delete(nameOf(project, key));
  }
}

const ASK_AGAIN_MS = 700;
const MOST_SENDS = 5;
/** The line broke, or a proxy lost the service: the change may be committed, or not. */
const ANSWER_LOST = [0, 502, 504];
const GIVE_UP_MS = 60_000;

const precondition = (baseVersion: number): Record<string, string> =>
  baseVersion === 0 ? { "If-None-Match": "*" } : { "If-Match": `"${baseVersion}"` };

function putBody(edit: Edit, comment: string): string {
  const rest = JSON.stringify({
    ...(edit.schemaId === undefined ? {} : { schema_id: edit.schemaId }),
    ...(comment === "" ? {} : { comment }),
  });
  return `{"content":${documentOf(edit.text)}${rest === "{}" ? "" : `,${rest.slice(1, -1)}`}}`;
}

/** 202: committed or not is not known yet. Asks until it is; `read` takes the answer from what was found. */
async function settled<T>(answer: Answer<T>, location: string | null, read: (found: Pending) => T): Promise<Answer<T>> {
  if (answer.status !== 202 || location === null) return answer;
  withoutOutcome.set(withoutOutcome.get() + 1);
  try {
    const until = Date.now() + GIVE_UP_MS;
    while (Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
      const found = await ask(location);
      if (found?.data.status === "applied") return { ...answer, data: read(found.data), position: found.position };
      if (found?.data.status === "rejected") throw rejected(found.data);
    }
  } finally {
    withoutOutcome.set(withoutOutcome.get() - 1);
  }
  throw new Problem(
    0,
    "It is not known yet whether the change was committed",
    `Ask again at ${location} before you repeat it; repeating it with this dialog is safe.`,
    null,
    {},
  );
}

/** null: the service cannot say at the moment, which is no answer to whether it was committed. */
async function ask(location: string): Promise<Answer<Pending> | null> {
  try {
    return await request<Pending>("GET", location);
  } catch (error) {
    if (asProblem(error).isAway) return null;
    throw error;
  }
}

/** The same problem that the service answers when it knows at once. */
function rejected({ conflicts = [] }: Pending): Problem {
  return new Problem(409, "The change was not accepted", "Another change came first.", null, {
    type: "/problems/version-conflict",
    conflicts,
    ...(conflicts[0] ? { current_version: conflicts[0].current_version } : {}),
  });
}

/** Under its key a change is done once, however often it is sent: so it is sent until there is an answer. */
async function untilAnswered<T>(send: () => Promise<T>, sends = 1): Promise<T> {
  try {
    return await send();
  } catch (error) {
    if (sends === MOST_SENDS || !ANSWER_LOST.includes(asProblem(error).status)) throw error;
  }
  withoutOutcome.set(withoutOutcome.get() + 1);
  try {
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS * sends));
    return await untilAnswered(send, sends + 1);
  } finally {
    withoutOutcome.set(withoutOutcome.get() - 1);
  }
}

type Write<T> = {
  method: string;
  path: string;
  rawBody?: string;
  headers?: Record<string, string>;
  read: (found: Pending) => T;
};

function write<T>(asked: Write<T>, act: Act): Promise<Answer<T>> {
  const { method, path, rawBody, headers } = asked;
  const key = act.keyOf(JSON.stringify([method, path, headers, rawBody]));
  return act.ended(written({ ...asked, headers: { ...headers, "Idempotency-Key": key } }));
}

async function written<T>({ method, path, rawBody, headers, read }: Write<T>): Promise<Answer<T>> {
  const answer = await untilAnswered(() => request<T>(method, path, { rawBody, headers }));
  const pending = answer.data as { location?: string; change_id?: string; id?: string } | null;
  const id = pending?.change_id ?? pending?.id;
  return settled(answer, answer.location ?? (id ? url`/v1/changes/${id}` : null), read);
}

const every = (found: Pending): SetAnswer => ({ changes: found.changes ?? [] });
const only = (found: Pending): Committed => {
  const [change] = found.changes ?? [];
  if (!change) throw new Problem(0, "The service says that it was applied, and not what", "", null, {});
  return change;
};

export async function commitEdit(project: string, edit: Edit, comment: string, act: Act): Promise<Committed> {
  const path = url`/v1/projects/${project}/configs/${edit.key}`;
  const asked = { headers: precondition(edit.baseVersion), read: only };
  const send = async () => {
    const { data } = await write<Committed>(
      edit.op === "delete"
        ? { method: "DELETE", path: path + query({ comment }), ...asked }
        : { method: "PUT", path, rawBody: putBody(edit, comment), ...asked },
      act,
    );
    return { key: edit.key, version: data.version };
  };
  return asOurs(project, [edit.key], send, (made) => [made]);
}

/** Everything but the commit: the version that it would make. Throws why it would be refused. */
export async function rehearse(project: string, edit: Edit, signal: AbortSignal): Promise<Committed> {
  const path = `${url`/v1/projects/${project}/configs/${edit.key}`}?dry_run=true`;
  const { data } = await request<Committed>(edit.op === "delete" ? "DELETE" : "PUT", path, {
    rawBody: edit.op === "delete" ? undefined : putBody(edit, ""),
    headers: precondition(edit.baseVersion),
    signal,
  });
  return data;
}

/** `act` is null in a rehearsal: everything but the commit. */
export type Asked = { comment: string; act: Act | null };

async function answered<T>(asked: Write<T>, act: Act | null): Promise<T> {
  if (act !== null) return (await write<T>(asked, act)).data;
  const { method, path, rawBody, headers } = asked;
  return (await request<T>(method, `${path}?dry_run=true`, { rawBody, headers })).data;
}

/** `position` is a rehearsal's: what came behind it was not seen. */
export type RollbackAnswer = { version: number; content?: Json; position?: number };

export async function rollBack(
  project: string,
  key: string,
  toVersion: number,
  liveVersion: number,
  asked: Asked & { unchangedSince?: number },
): Promise<RollbackAnswer> {
  const path = url`/v1/projects/${project}/configs/${key}/rollback`;
  const comment = asked.comment === "" ? {} : { comment: asked.comment };
  const rawBody = JSON.stringify({ to_version: toVersion, unchanged_since: asked.unchangedSince, ...comment });
  const post = { method: "POST", path, rawBody, headers: { "If-Match": `"${liveVersion}"` }, read: only };
  const send = () => answered<RollbackAnswer>(post, asked.act);
  return asked.act === null ? send() : asOurs(project, [key], send, (made) => [{ key, version: made.version }]);
}

export type SetAnswer = { id?: string; position?: number; changes: Committed[] };

function changesBody(edits: readonly Edit[], comment: string): string {
  const changes = edits.map((edit) => {
    const head = JSON.stringify({
      op: edit.op,
      key: edit.key,
      version: edit.baseVersion,
      ...(edit.op === "put" && edit.schemaId !== undefined ? { schema_id: edit.schemaId } : {}),
    });
    return edit.op === "delete" ? head : `${head.slice(0, -1)},"content":${documentOf(edit.text)}}`;
  });
  return `{${comment === "" ? "" : `"comment":${JSON.stringify(comment)},`}"changes":[${changes.join(",")}]}`;
}

export async function commitSet(
  project: string,
  edits: readonly Edit[],
  { comment, act }: Asked,
): Promise<SetAnswer> {
  const post = { method: "POST", path: url`/v1/projects/${project}/changes`, rawBody: changesBody(edits, comment), read: every };
  const send = () => answered<SetAnswer>(post, act);
  return act === null ? send() : asOurs(project, edits.map((each) => each.key), send, (made) => made.changes);
}

export async function rollBackProject(
  project: string,
  moment: Record<string, string | number>,
  { comment, act }: Asked,
): Promise<SetAnswer> {
  const path = url`/v1/projects/${project}/rollback`;
  const rawBody = JSON.stringify({ ...moment, ...(comment === "" ? {} : { comment }) });
  return answered<SetAnswer>({ method: "POST", path, rawBody, read: every }, act);
}
