/**
 * JSON that comes back exactly as it was written. A number that JavaScript
 * would change (64-bit integers, 1.0, 1e400) is kept as its source text, and
 * names stay in their order, so showing and saving a document never alters it.
 */
import { visit } from "jsonc-parser";
import { withCodes } from "./hidden";

/** The brand only keeps the type checker from taking it for an object of JSON. */
export type RawNumber = { readonly rawJSON: string; readonly brand?: () => never };
export type Json = null | boolean | number | string | RawNumber | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

type LosslessJson = {
  rawJSON(text: string): RawNumber;
  isRawJSON(value: unknown): value is RawNumber;
};
const lossless = JSON as unknown as LosslessJson;

/** False in a browser that would corrupt large numbers (before 2025). */
export const canKeepNumbers = typeof lossless.rawJSON === "function";

function exact(value: Json, source: string): Json {
  return typeof value === "number" && String(value) !== source ? lossless.rawJSON(source) : value;
}

export function parseJson<T = Json>(text: string): T {
  return read(text).value as T;
}

/** Far more than the service takes, and far less than what makes `JSON.stringify` run out of room. */
const DEEPEST = 200;

/** `twins`: a name is there twice in an object, which holds the last one only. */
function read(text: string): { value: Json; twins: boolean } {
  // `visit` forgives what is not JSON; this does not.
  JSON.parse(text);
  type Inner = Json[] | Map<string, Json>;
  const around: { inner: Inner; name: string }[] = [];
  let inner: Inner = [];
  let name = "";
  let twins = false;
  const add = (value: Json): void => {
    if (!(inner instanceof Map)) return void inner.push(value);
    twins ||= inner.has(name);
    inner.set(name, value);
  };
  const begin = (next: Inner): void => {
    if (around.push({ inner, name }) > DEEPEST) throw new RangeError(`nested deeper than ${DEEPEST} levels`);
    inner = next;
  };
  const end = (value: Json): void => {
    ({ inner, name } = around.pop() ?? { inner: [], name: "" });
    add(value);
  };
  visit(text, {
    onObjectBegin: () => begin(new Map()),
    onObjectProperty: (next) => void (name = next),
    onObjectEnd: () => end(objectOf(inner as Map<string, Json>)),
    onArrayBegin: () => begin([]),
    onArrayEnd: () => end(inner as Json[]),
    onLiteralValue: (value: Json, offset, length) => add(exact(value, text.slice(offset, offset + length))),
  });
  return { value: (inner as Json[])[0] as Json, twins };
}

/**
 * An object whose names are in the order of `members`. JavaScript has those that are integers
 * come first; what is made here tells the true order to `Object.keys` and `JSON.stringify` alike.
 * A copy by `{ ...object }` or `Object.fromEntries` would lose it.
 */
export function objectOf(members: ReadonlyMap<string, Json>): JsonObject {
  const object = Object.fromEntries(members);
  const names = [...members.keys()];
  if (Object.keys(object).every((name, index) => name === names[index])) return object;
  // Frozen, because a name that is added later would be missing in `names`.
  return new Proxy(Object.freeze(object), { ownKeys: () => names });
}

export function isRawNumber(value: unknown): value is RawNumber {
  return lossless.isRawJSON(value);
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isRawNumber(value);
}

/** The text that the editor shows: two spaces, order kept, nothing in it that cannot be seen. */
export function formatJson(value: Json): string {
  return withCodes(JSON.stringify(value, null, 2));
}

/** Parses, or gives null where the text is not JSON, or more than a value can hold. */
export function tryParse(text: string): { value: Json } | null {
  try {
    const { value, twins } = read(text);
    return twins ? null : { value };
  } catch {
    return null;
  }
}

/** As `formatJson` writes it, so that a diff shows what changed and not how it was typed. */
export function formatted(text: string): string {
  const parsed = tryParse(text);
  return parsed ? formatJson(parsed.value) : text;
}

export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  if (isRawNumber(a) || isRawNumber(b)) {
    return JSON.stringify(a) === JSON.stringify(b);
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  }
  if (isObject(a) && isObject(b)) {
    const keys = Object.keys(a);
    return (
      keys.length === Object.keys(b).length &&
      keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key], b[key]))
    );
  }
  return false;
}

/** Unlike `sameJson`, this also tells in which order names are. */
export function writtenAlike(a: Json | undefined, b: Json | undefined): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** One line that tells what a value is, for lists. */
export function summarize(value: Json | undefined): string {
  if (value === undefined) return "";
  if (Array.isArray(value)) return value.length === 1 ? "1 item" : `${value.length} items`;
  if (isObject(value)) {
    const count = Object.keys(value).length;
    return count === 1 ? "1 field" : `${count} fields`;
  }
  return withCodes(JSON.stringify(value));
}

/** Steps of an RFC 6901 pointer, also behind a `#`. What they step through tells which are places in a list. */
export function pointerPath(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

export function pointerOf(path: readonly (string | number)[]): string {
  return path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
