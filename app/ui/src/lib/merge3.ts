/**
 * Three-way merge of JSON values. Objects merge field by field; everything
 * else is one thing that is either unchanged, changed by one side, or in
 * conflict. Nothing is ever dropped: a conflict keeps all three values.
 */
import { isObject, objectOf, pointerOf, sameJson, writtenAlike, type Json, type JsonObject } from "./json";

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
    if (writtenAlike(t, m)) return t;
    const pointer = pointerOf(path);
    const takeMine = () => (fromMine.push(pointer), m);
    const takeTheirs = () => (fromTheirs.push(pointer), t);
    if (writtenAlike(b, t)) return takeMine();
    if (writtenAlike(b, m)) return takeTheirs();
    if (isObject(t) && isObject(m) && (isObject(b) || b === undefined)) {
      return mergeObjects(path, isObject(b) ? b : {}, t, m);
    }
    // Another order of names alone, somewhere in it, is no reason to ask.
    if (sameJson(t, m)) return t;
    if (sameJson(b, t)) return takeMine();
    if (sameJson(b, m)) return takeTheirs();
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
    const members = new Map<string, Json>();
    for (const name of mergedNames(b, t, m)) {
      const value = walk([...path, name], own(b, name), own(t, name), own(m, name));
      if (value !== undefined) members.set(name, value);
    }
    return objectOf(members);
  };

  return { value: walk([], base, theirs, mine), conflicts, fromTheirs, fromMine };
}

/** All names of both sides, in the order of the side that changed it; what only the other has stands where it has it. */
function mergedNames(base: JsonObject, theirs: JsonObject, mine: JsonObject): string[] {
  const moved = (side: JsonObject): boolean => !writtenAlike(shared(base, side), shared(side, base));
  const [first, second] = moved(theirs) && !moved(mine) ? [theirs, mine] : [mine, theirs];
  const behind = new Map<string | undefined, string[]>([[undefined, []]]);
  for (const name of Object.keys(first)) behind.set(name, []);
  let last: string | undefined;
  for (const name of Object.keys(second)) {
    if (Object.hasOwn(first, name)) last = name;
    else behind.get(last)?.push(name);
  }
  return [...behind].flatMap(([name, names]) => (name === undefined ? names : [name, ...names]));
}

function shared(of: JsonObject, other: JsonObject): string[] {
  return Object.keys(of).filter((name) => Object.hasOwn(other, name));
}
