/** For unit tests alone; the page has no use for it. */
import { afterAll } from "vitest";

/** What a browser has and Node.js does not, for the tests of one file: all files share one process. */
export function browserHas<T extends object>(parts: T): T {
  Object.assign(globalThis, parts);
  afterAll(() => {
    for (const name of Object.keys(parts)) Reflect.deleteProperty(globalThis, name);
  });
  return parts;
}
