import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { BegunMerge, Draft } from "./drafts";
import { browserHas } from "./forTests";

const kept = new Map<string, string>();
let full = false;
const localStorage = {
  get length() {
    return kept.size;
  },
  key: (index: number) => [...kept.keys()][index] ?? null,
  getItem: (name: string) => kept.get(name) ?? null,
  setItem: (name: string, value: string) => {
    if (full) throw new DOMException("full", "QuotaExceededError");
    kept.set(name, value);
  },
  removeItem: (name: string) => kept.delete(name),
};
const browser = browserHas({ window: new EventTarget(), document: new EventTarget(), localStorage });
const draft = (text: string, changes: Partial<Draft> = {}): Draft => ({ op: "put", text, baseVersion: 1, comment: "", savedAt: "", ...changes });
const merge = (edited: string | null): BegunMerge => ({ version: 2, theirs: "{}", sides: {}, edited, overtaken: false });
const NAME = "guardian:draft:ana:p:k";
kept.set(NAME, JSON.stringify(draft("of yesterday")));
const { discardDraft, draftAfter, draftAnew, draftOf, draftTrouble, overtaken, persist, saveDraft, settleDraft } = await import("./drafts");

const textOf = (user = "ana", project = "p", key = "k") => draftOf(user, project, key)?.text;
const save = (text: string, changes: Partial<Draft> = {}) => saveDraft("ana", "p", "k", draft(text, changes));
const written = () => (JSON.parse(kept.get(NAME) ?? "null") as Draft | null)?.text;
/** Another tab writes. */
function elsewhere(text: string | null) {
  if (text === null) kept.delete(NAME);
  else kept.set(NAME, JSON.stringify(draft(text)));
  browser.window.dispatchEvent(Object.assign(new Event("storage"), { key: NAME }));
}

it("what was kept is there again", () => expect(textOf()).toBe("of yesterday"));

describe("a draft", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    discardDraft("ana", "p", "k");
    persist();
  });
  afterEach(() => void vi.useRealTimers());

  it("is of one person, in one project, of one key", () => {
    save("1");
    expect([textOf("bea"), textOf("ana", "q"), textOf("ana", "p", "l"), textOf()]).toEqual([undefined, undefined, undefined, "1"]);
  });

  it("is written down when the hand rests, when the page goes, and now and then meanwhile", () => {
    save("1");
    expect(written()).toBeUndefined();
    vi.advanceTimersByTime(250);
    expect(written()).toBe("1");
    save("2");
    browser.window.dispatchEvent(new Event("pagehide"));
    expect(written()).toBe("2");
    for (let letter = 0; letter < 25; letter += 1) {
      save(`3${letter}`);
      vi.advanceTimersByTime(100);
    }
    expect(written()).toMatch(/^3/);
  });

  it("is gone for good once it is discarded", () => {
    save("1");
    persist();
    discardDraft("ana", "p", "k");
    persist();
    expect([textOf(), written()]).toEqual([undefined, undefined]);
  });

  it("that cannot be written down is kept as long as the tab is open, which is told", () => {
    full = true;
    save("1");
    persist();
    full = false;
    expect([textOf(), draftTrouble.get()]).toEqual(["1", expect.stringContaining("full")]);
    persist();
    expect([written(), draftTrouble.get()]).toEqual(["1", null]);
  });

  it("follows another tab, but never over what is being typed here", () => {
    elsewhere("2");
    expect(textOf()).toBe("2");
    save("3");
    elsewhere("4");
    expect(textOf()).toBe("3");
    persist();
    elsewhere(null);
    expect(textOf()).toBeUndefined();
  });

  it("is done with by its commit, and only if it is still what was sent", () => {
    const sent = draft("1", { schemaId: "s" });
    for (const since of [draft("2", { schemaId: "s" }), draft("1"), draft("1", { schemaId: null }), draft("1", { op: "delete", schemaId: "s" })]) {
      saveDraft("ana", "p", "k", since);
      settleDraft("ana", "p", "k", sent);
      expect(draftOf("ana", "p", "k")).toBe(since);
    }
    saveDraft("ana", "p", "k", { ...sent, comment: "why" });
    settleDraft("ana", "p", "k", sent);
    expect(textOf()).toBeUndefined();
  });
});

describe("an edit", () => {
  const live = { version: 3, schema_id: "s", text: "{}" };
  const edit = (before: Draft | null, changes: Partial<Draft>, over: typeof live | null = live) => draftAfter(before, over, changes);
  const begun = edit(null, { text: "1" });

  it("is of the version that it was begun on, whatever came in since", () => {
    expect(begun).toMatchObject({ op: "put", text: "1", baseVersion: 3, schemaId: undefined, comment: "" });
    expect(edit(begun, { text: "12" }, { ...live, version: 4 })).toMatchObject({ text: "12", baseVersion: 3 });
    expect(edit(null, { text: "1" }, null)).toMatchObject({ text: "1", baseVersion: 0 });
  });

  it("keeps what was chosen and written beside the text", () => {
    const chosen = edit(begun, { schemaId: null });
    expect(chosen).toMatchObject({ text: "1", schemaId: null });
    expect(edit({ ...(chosen as Draft), comment: "why" }, { text: "2" })).toMatchObject({ text: "2", schemaId: null, comment: "why" });
    expect(edit(begun, { op: "delete" })).toMatchObject({ op: "delete", text: "1", baseVersion: 3 });
  });

  it("is none where all is as it is live, and only there", () => {
    expect(edit(begun, { text: "{}" })).toBeNull();
    expect(edit(begun, { text: "{}", schemaId: "s" })).toBeNull();
    for (const changes of [{ text: "{ }" }, { text: "{}", schemaId: null }, { text: "{}", schemaId: "t" }, { text: "{}", op: "delete" as const }]) {
      expect(edit(begun, changes)).toMatchObject(changes);
    }
    // What came in has not been looked at.
    expect(edit(begun, { text: "{}" }, { ...live, version: 4 })).toMatchObject({ baseVersion: 3 });
    expect(edit(null, { text: "" }, null)).toMatchObject({ text: "" });
  });
});

describe("an edit of what was deleted meanwhile", () => {
  it.each([
    [{}, "s"],
    [{ schemaId: "t" }, "t"],
    [{ schemaId: null }, null],
    [{ schemaId: "gone" }, null],
  ])("is one of a new config, bound as it was, if that is there: %o", (changes, schemaId) => {
    expect(draftAnew(draft("1", { comment: "why", ...changes }), "s", ["s", "t"])).toMatchObject({ op: "put", text: "1", baseVersion: 0, schemaId, comment: "why" });
  });

  it("is not bound to a schema that went too", () => expect(draftAnew(draft("1"), "gone", ["s"]).schemaId).toBeNull());

  it("holds what was typed last, also in a merge", () => {
    const merged = (changes: Partial<BegunMerge>) => draftAnew(draft("1", { merge: { ...merge("2"), ...changes } }), null, []);
    expect([merged({}), merged({ overtaken: true }), merged({ edited: null })].map((each) => [each.text, each.merge])).toEqual([["2", undefined], ["1", undefined], ["1", undefined]]);
  });
});

describe("a merge that is put off", () => {
  it("is overtaken by an edit of the text only if its result was edited", () => {
    expect(overtaken(merge("{}"), true)?.overtaken).toBe(true);
    expect([overtaken(merge("{}"), false), overtaken(merge(null), true)].map((each) => each?.overtaken)).toEqual([false, false]);
    expect(overtaken(undefined, true)).toBeUndefined();
    const put = { ...draft("1"), merge: merge("{}") };
    expect([{ text: "2" }, { text: "1" }, { comment: "why" }].map((changes) => draftAfter(put, null, changes)?.merge?.overtaken)).toEqual([true, false, false]);
  });
});
