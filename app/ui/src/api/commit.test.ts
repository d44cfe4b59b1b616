import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { browserHas } from "../lib/forTests";
import { Act } from "./act";
import type { Edit } from "./commit";
import type { Problem } from "./problem";

browserHas({ window: new EventTarget() });
const { commitEdit, commitSet, isOurs, rehearse, rollBack, rollBackProject, withoutOutcome } = await import("./commit");

type Sent = { method: string; path: string; body: string | null; headers: Headers };
type Reply = { status: number; body?: object; headers?: Record<string, string> } | "lost";

const applied = { status: 200, body: { status: "applied", changes: [{ key: "k", version: 4 }] } };
const pending = { status: 202, body: { status: "pending" }, headers: { Location: "/v1/changes/7" } };
const done = { status: 200, body: { key: "k", version: 4 } };

/** Answers what is sent, one after the other; the last answer is for all that follow. */
function service(...replies: Reply[]): Sent[] {
  const sent: Sent[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation((path, options) => {
    sent.push({ method: options?.method ?? "", path: String(path), body: (options?.body ?? null) as string | null, headers: new Headers(options?.headers) });
    const reply = replies[Math.min(sent.length, replies.length) - 1] ?? "lost";
    if (reply === "lost") return Promise.reject(new TypeError("no"));
    return Promise.resolve(new Response(JSON.stringify(reply.body ?? {}), { status: reply.status, headers: { "Content-Type": "application/json", ...reply.headers } }));
  });
  return sent;
}

const edit = (changes: Partial<Edit> = {}): Edit => ({ op: "put", key: "k", text: '{ "n" : 1.50 }', baseVersion: 3, ...changes });
const commit = (changes: Partial<Edit> = {}, comment = "", act = new Act()) => commitEdit("p", edit(changes), comment, act);

/** How it ended, after all the waiting that it asks for. */
async function outcome<T>(doing: Promise<T>): Promise<T | Problem> {
  const ended = doing.catch((error: Problem) => error);
  await vi.advanceTimersByTimeAsync(120_000);
  return ended;
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  expect(withoutOutcome.get()).toBe(0);
});

describe("what is sent", () => {
  it.each([
    [edit(), "", '{"content":{"n":1.50}}'],
    [edit({ schemaId: null }), "", '{"content":{"n":1.50},"schema_id":null}'],
    [edit({ schemaId: "s" }), 'say "why"', '{"content":{"n":1.50},"schema_id":"s","comment":"say \\"why\\""}'],
  ])("of %o is the text, and what was chosen beside it", async (made, comment, body) => {
    const sent = service(done);
    await commitEdit("p", made, comment, new Act());
    expect(sent[0]).toMatchObject({ method: "PUT", path: "/v1/projects/p/configs/k", body });
  });

  it("is made on the version that the edit was made on, and on no other", async () => {
    const sent = service(done);
    const { signal } = new AbortController();
    for (const op of ["put", "delete"] as const) {
      await commit({ op });
      await rehearse("p", edit({ op }), signal);
    }
    for (const each of sent) expect([each.headers.get("If-Match"), each.headers.get("If-None-Match")]).toEqual(['"3"', null]);
    await commit({ baseVersion: 0 });
    expect([sent.at(-1)?.headers.get("If-Match"), sent.at(-1)?.headers.get("If-None-Match")]).toEqual([null, "*"]);
    expect(sent.map((each) => `${each.method} ${each.path.split("/").at(-1)}`)).toEqual(["PUT k", "PUT k?dry_run=true", "DELETE k", "DELETE k?dry_run=true", "PUT k"]);
    expect(sent.map((each) => each.headers.has("Idempotency-Key"))).toEqual([true, false, true, false, true]);
  });

  it("of a deletion says why", async () => {
    const sent = service(done);
    await commit({ op: "delete" }, "too old");
    expect(sent[0]).toMatchObject({ method: "DELETE", path: "/v1/projects/p/configs/k?comment=too+old", body: null });
  });

  it("of a change set holds each edit on its version", async () => {
    const sent = service({ status: 200, body: { changes: [] } });
    const edits = [edit(), edit({ key: "new", baseVersion: 0, schemaId: null }), edit({ key: "old", op: "delete", schemaId: "s" })];
    await commitSet("p", edits, { comment: "why", act: new Act() });
    await commitSet("p", edits.slice(2), { comment: "", act: null });
    expect(sent.map((each) => each.path)).toEqual(["/v1/projects/p/changes", "/v1/projects/p/changes?dry_run=true"]);
    expect(sent[0]?.body).toBe(
      '{"comment":"why","changes":[{"op":"put","key":"k","version":3,"content":{"n":1.50}},{"op":"put","key":"new","version":0,"schema_id":null,"content":{"n":1.50}},{"op":"delete","key":"old","version":3}]}',
    );
    expect(sent[1]?.body).toBe('{"changes":[{"op":"delete","key":"old","version":3}]}');
  });

  it("never holds a text that says more than a document", async () => {
    const sent = service(done);
    const more = { text: '1,"schema_id":null' };
    await expect(commit(more)).rejects.toThrow("only one value");
    await expect(commitSet("p", [edit(more)], { comment: "", act: new Act() })).rejects.toThrow("only one value");
    expect(sent).toEqual([]);
  });

  it("of a roll back names what was looked at", async () => {
    const sent = service(done);
    await rollBack("p", "k", 1, 3, { comment: "", act: null });
    await rollBack("p", "k", 1, 3, { comment: "why", act: new Act(), unchangedSince: 70 });
    await rollBackProject("p", { position: 7, unchanged_since: 70 }, { comment: "why", act: new Act() });
    expect(sent.map((each) => each.headers.get("If-Match"))).toEqual(['"3"', '"3"', null]);
    expect(sent.map((each) => each.body)).toEqual(['{"to_version":1}', '{"to_version":1,"unchanged_since":70,"comment":"why"}', '{"position":7,"unchanged_since":70,"comment":"why"}']);
  });
});

describe("a change whose answer is lost", () => {
  it.each(["lost", { status: 502 }, { status: 504 }] as const)("(%o) is sent again as the same one until there is an answer", async (reply) => {
    const sent = service(reply, reply, done);
    expect(await outcome(commit())).toEqual({ key: "k", version: 4 });
    expect(sent).toHaveLength(3);
    expect(new Set(sent.map((each) => `${each.headers.get("Idempotency-Key")} ${each.body}`)).size).toBe(1);
  });

  it("is sent five times at most, and by hand as the same one", async () => {
    const sent = service("lost");
    const act = new Act();
    for (const times of [5, 10]) {
      expect(await outcome(commit({}, "", act))).toMatchObject({ status: 0 });
      expect(sent).toHaveLength(times);
    }
    expect(new Set(sent.map((each) => each.headers.get("Idempotency-Key"))).size).toBe(1);
  });

  it.each([
    ["on another version", { baseVersion: 4 }],
    ["of another text", { text: "2" }],
  ])("is another one when it is made %s", async (_, changes) => {
    const sent = service("lost");
    const act = new Act();
    await outcome(commit({}, "", act));
    await outcome(commit(changes, "", act));
    expect(new Set(sent.map((each) => each.headers.get("Idempotency-Key"))).size).toBe(2);
  });

  it.each([409, 422, 429, 503])("is not taken for one that was refused (%s)", async (status) => {
    const sent = service({ status });
    expect(await outcome(commit())).toMatchObject({ status });
    expect(sent).toHaveLength(1);
  });
});

describe("a change whose outcome is not known yet", () => {
  it("is asked for until it is, also where nobody can say for a while", async () => {
    const sent = service(pending, { status: 503 }, "lost", { status: 200, body: { status: "pending" } }, applied);
    expect(await outcome(commit())).toEqual({ key: "k", version: 4 });
    expect(sent.map((each) => each.path)).toEqual(["/v1/projects/p/configs/k", ...Array(4).fill("/v1/changes/7")]);
  });

  it("is refused as if it had been refused at once", async () => {
    service(pending, { status: 200, body: { status: "rejected", conflicts: [{ key: "k", current_version: 9 }] } });
    const refused = await outcome(commitSet("p", [edit()], { comment: "", act: new Act() }));
    expect(refused).toMatchObject({ status: 409, isConflict: true, currentVersion: 9, body: { conflicts: [{ key: "k", current_version: 9 }] } });
  });

  it("is not waited for without an end", async () => {
    service(pending, { status: 200, body: { status: "pending" } });
    expect(await outcome(commit())).toMatchObject({ status: 0, detail: expect.stringContaining("/v1/changes/7") });
  });
});

describe("a version that the watch tells of", () => {
  it("is ours while its commit is on its way, and that one alone afterwards", async () => {
    service("lost", done);
    const committing = outcome(commit({ key: "mine" }));
    expect([isOurs("p", "mine", 4), isOurs("p", "other", 4), isOurs("q", "mine", 4)]).toEqual([true, false, false]);
    await committing;
    expect([isOurs("p", "mine", 4), isOurs("p", "mine", 5)]).toEqual([true, false]);
  });

  it("is not ours after a refusal", async () => {
    service({ status: 409 });
    await outcome(commit({ key: "refused" }));
    expect(isOurs("p", "refused", 4)).toBe(false);
  });
});
