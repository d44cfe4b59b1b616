/**
 * What is asked for again is mostly the same, and views must not begin anew for that: parts that
 * are as before stay the same objects. TanStack Query's own way takes an object whose names changed
 * their order for the old one, and makes an ordinary object of a number that is kept as its source.
 */
import { isRawNumber, objectOf, type Json, type JsonObject } from "./json";

function isPlain(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** `after`, with every part of it that `before` has too taken from there. */
export function reuse(before: unknown, after: unknown): unknown {
  if (before === after) return before;
  if (isRawNumber(before) && isRawNumber(after)) return before.rawJSON === after.rawJSON ? before : after;
  if (Array.isArray(before) && Array.isArray(after)) {
    const items: unknown[] = after.map((item, index) => reuse(before[index], item));
    return before.length === items.length && items.every((item, index) => item === before[index]) ? before : items;
  }
  if (!isPlain(before) || !isPlain(after)) return after;
  const names = Object.keys(before);
  const members = new Map(Object.entries(after).map(([name, value]) => [name, reuse(Object.hasOwn(before, name) ? before[name] : undefined, value) as Json]));
  const same = names.length === members.size && [...members].every(([name, value], index) => name === names[index] && value === before[name]);
  return same ? before : objectOf(members);
}
