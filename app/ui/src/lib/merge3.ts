/**
 * Three-way merge of JSON values. Objects merge field by field; everything
 * else is one thing that is either unchanged, changed by one side, or in
 * conflict. Nothing is ever dropped: a conflict keeps all three values.
 */
import { isObject, pointerOf, sameJson, type Json, type JsonObject } from "./json";

export type Side = "theirs" | "mine";
export type Conflict = { pointer: string; base?: Json; theirs?: Json; mine?: Json };
export type Merged = { value: Json | undefined; conflicts: Conflict[]; fromTheirs: string[]; fromMine: string[] };

export function merge3(
  base: Json | undefined,
  theirs: Json | undefined,
  mine: Json | undefined,
  choose: (pointer: string) => Side = () => "mine",
): Merged {
  const conflicts: Conflict[] = [];
  const fromTheirs: string[] = [];
  const fromMine: string[] = [];

  const walk = (
    path: readonly string[],
    b: Json | undefined,
    t: Json | undefined,
    m: Json | undefined,
  ): Json | undefined => {
    if (sameJson(t, m)) return t;
    const pointer = pointerOf(path);
    if (sameJson(b, t)) {
      fromMine.push(pointer);
      return m;
    }
    if (sameJson(b, m)) {
      fromTheirs.push(pointer);
      return t;
    }
    if (isObject(t) && isObject(m) && (isObject(b) || b === undefined)) {
      return mergeObjects(path, isObject(b) ? b : {}, t, m);
    }
    conflicts.push({ pointer, base: b, theirs: t, mine: m });
    return choose(pointer) === "theirs" ? t : m;
  };

  const own = (object: JsonObject, name: string): Json | undefined =>
    Object.hasOwn(object, name) ? object[name] : undefined;

  const mergeObjects = (
    path: readonly string[],
    b: JsonObject,
    t: JsonObject,
    m: JsonObject,
  ): JsonObject => {
    const names = [...Object.keys(m), ...Object.keys(t).filter((name) => !Object.hasOwn(m, name))];
    const entries: [string, Json][] = [];
    for (const name of names) {
      const value = walk([...path, name], own(b, name), own(t, name), own(m, name));
      if (value !== undefined) entries.push([name, value]);
    }
    return Object.fromEntries(entries);
  };

  return { value: walk([], base, theirs, mine), conflicts, fromTheirs, fromMine };
}
