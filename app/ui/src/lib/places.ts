/** Where in the text a pointer leads to, and the pointer of a place in the text. */
import { getLocation, parseTree, type Node } from "jsonc-parser";
import type { Violation } from "../api/problem";
import type { Issue } from "./ijson";
import { pointerOf, pointerPath } from "./json";

export type Placed = Pick<Violation, "pointer" | "message">;

export function pointerAt(text: string, offset: number): string {
  return pointerOf(getLocation(text, offset).path);
}

/** The line of each offset, from 1; the text is read once, up to the last of them. */
export function linesAt(text: string, offsets: readonly number[]): number[] {
  const lines = new Map<number, number>();
  let line = 1;
  let end = text.indexOf("\n");
  for (const offset of [...offsets].sort((a, b) => a - b)) {
    for (; end !== -1 && end < offset; end = text.indexOf("\n", end + 1)) line += 1;
    lines.set(offset, line);
  }
  return offsets.map((offset) => lines.get(offset) ?? line);
}

/** What a pointer's steps lead to, or the nearest thing around it that is there. */
function nearest(tree: Node, steps: readonly string[]): Node {
  let node = tree;
  for (const step of steps) {
    // Only the document tells whether "404" is a name or a place in a list.
    const next =
      node.type === "array"
        ? node.children?.[Number(step)]
        : node.children?.find((property) => property.children?.[0]?.value === step)?.children?.[1];
    if (!next) return node;
    node = next;
  }
  return node;
}

/** Marks a value; of an object or a list only the bracket, or half the page would be red. */
export function placeViolations(text: string, violations: readonly Placed[]): Issue[] {
  if (violations.length === 0) return [];
  const tree = parseTree(text);
  return violations.map((violation) => {
    const place = violation.pointer === "" || violation.pointer === "#" ? "The document" : violation.pointer;
    const message = `${place}: ${violation.message}`;
    if (!tree) return { from: 0, to: 1, message };
    const node = nearest(tree, pointerPath(violation.pointer));
    const broad = node.type === "object" || node.type === "array";
    return { from: node.offset, to: node.offset + (broad ? 1 : node.length), message };
  });
}
