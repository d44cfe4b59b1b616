import { afterEach, expect, describe, it, vi } from "vitest";
import { browserHas } from "../lib/forTests";
import type { ConfigList } from "./queries";
import type { Config } from "./types";
import type { WatchEvent } from "./watch";

browserHas({ window: new EventTarget() });
const { applyChange } = await import("./live");
const { QueryObserver } = await import("@tanstack/react-query");
const { applyChanges, client, keys, momentQuery, readConfigs } = await import("./queries");
const { live } = await import("./watch");

afterEach(() => void vi.restoreAllMocks());

const config = (key: string, version: number) => ({ key, version, content: version, schema_id: "s", schema_version: 2 }) as Config;
const list = (...items: Config[]): ConfigList => ({ items, position: 10, complete: true });
const change = (key: string, version: number, rest: Partial<WatchEvent> = {}): WatchEvent => ({ key, version, deleted: false, content: version, position: 11, ...rest });
const shown = ({ items }: ConfigList) => items.map((each) => `${each.key} ${each.version}`);

describe("a change that the watch tells of", () => {
  const before = list(config("a", 1), config("a.b", 4), config("a-b", 1), config("c", 1));

  it.each([
    ["a new one", change("a.c", 1), ["a 1", "a.b 4", "a.c 1", "a-b 1", "c 1"]],
    ["the first", change("0", 1), ["0 1", "a 1", "a.b 4", "a-b 1", "c 1"]],
    ["the last", change("d", 1), ["a 1", "a.b 4", "a-b 1", "c 1", "d 1"]],
    ["a newer version", change("a.b", 5), ["a 1", "a.b 5", "a-b 1", "c 1"]],
    ["a deletion", change("a-b", 2, { deleted: true }), ["a 1", "a.b 4", "c 1"]],
    ["a deletion of what is gone", change("b", 2, { deleted: true }), ["a 1", "a.b 4", "a-b 1", "c 1"]],
    ["an older version", change("a.b", 3), ["a 1", "a.b 4", "a-b 1", "c 1"]],
    ["an older deletion", change("a.b", 3, { deleted: true }), ["a 1", "a.b 4", "a-b 1", "c 1"]],
  ])("stands in its place: %s", (_, told, after) => {
    const next = applyChange("p", before, told);
    expect(shown(next)).toEqual(after);
    expect(next.position).toBe(11);
    expect(shown(before)).toEqual(["a 1", "a.b 4", "a-b 1", "c 1"]);
  });

  it("tells of the schema, or leaves it as it is", () => {
    const schemaOf = (rest: Partial<WatchEvent>) => {
      const { schema_id, schema_version } = applyChange("p", before, change("c", 2, rest)).items.at(-1) as Config;
      return [schema_id, schema_version];
    };
    expect([{}, { schema_id: "t", schema_version: 1 }, { schema_id: null, schema_version: null }].map(schemaOf)).toEqual([["s", 2], ["t", 1], [null, null]]);
  });
});

describe("what the page holds of a config that changed", () => {
  afterEach(() => {
    live.set("off");
    client.clear();
  });

  it.each([
    ["live", []],
    ["interrupted", [keys.configs("p", null)]],
  ] as const)("is asked for anew, and nothing else: %s", async (state, more) => {
    const stale = [keys.config("p", "k"), [...keys.config("p", "k"), 1, null], keys.revisions("p", "k"), [...keys.audit("p"), "ana", null]];
    const good = [keys.config("p", "l"), [...keys.revisions("p", "k"), 1], keys.revisions("q", "k"), keys.configs("p", "7"), keys.audit("q")];
    const all = [...stale, ...good, keys.configs("p", null)];
    for (const key of all) client.setQueryData(key, 1);
    live.set(state);
    applyChanges("p", ["k"]);
    await vi.waitFor(() => expect(all.filter((key) => client.getQueryState(key)?.isInvalidated)).toEqual([...stale, ...more]));
  });

  it("is not what was asked for before", async () => {
    const answers: ((text: string) => void)[] = [];
    const queryKey = keys.config("p", "k");
    const stop = new QueryObserver(client, { queryKey, queryFn: () => new Promise<string>((answer) => answers.push(answer)) }).subscribe(() => undefined);
    applyChanges("p", ["k"]);
    await vi.waitFor(() => expect(answers).toHaveLength(2));
    answers.forEach((answer, index) => answer(["old", "new"][index] ?? ""));
    await vi.waitFor(() => expect(client.getQueryData(queryKey)).toBe("new"));
    stop();
  });
});

describe("the list of configs", () => {
  it("is followed from where its first page stood: what changed while the others came is told by the watch", async () => {
    const answers = [
      { body: { items: [config("a-b", 1), config("a.b", 1)], next: "/v1/more" }, position: 5 },
      { body: { items: [config("b", 1)], next: null }, position: 9 },
    ];
    const asked: string[] = [];
    vi.spyOn(globalThis, "fetch").mockImplementation((path) => {
      const { body, position } = answers[asked.push(String(path)) - 1] ?? { body: null, position: 0 };
      return Promise.resolve(new Response(JSON.stringify(body), { headers: { "Guardian-Position": String(position) } }));
    });
    const parts: ConfigList[] = [];
    const read = await readConfigs("p", "7", (part) => parts.push(part));
    expect(asked).toEqual(["/v1/projects/p/configs?limit=500&position=7", "/v1/more"]);
    expect([...parts, read].map((each) => [shown(each).join(), each.position, each.complete])).toEqual([
      ["a.b 1,a-b 1", 5, false],
      ["a.b 1,a-b 1,b 1", 5, true],
    ]);
  });

  it.each([
    [null, {}],
    ["7", { position: "7" }],
    ["2026-03-05T12:00:00Z", { at: "2026-03-05T12:00:00Z" }],
    ["-7", { at: "-7" }],
  ])("is asked for at a moment: %s", (at, query) => expect(momentQuery(at)).toEqual(query));
});
