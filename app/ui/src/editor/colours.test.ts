/** Text on every ground that a difference gives it: WCAG 2.2, success criterion 1.4.3. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const styles = readFileSync(new URL("../styles.css", import.meta.url), "utf-8");
const TOKENS = ["string", "number", "key", "atom", "punct"];
const GROUNDS = ["add", "add-strong", "del", "del-strong"];

/** Those of the theme, with those of its blocks up to `blocks`: the second is for who wants more contrast. */
function coloursOf(scheme: string, blocks = 1): Map<string, string> {
  const block = styles
    .split(`[data-mantine-color-scheme="${scheme}"] {`)
    .slice(1, 1 + blocks)
    .map((each) => each.split("}")[0])
    .join("");
  return new Map([...block.matchAll(/--(?:g|mantine-color)-([\w-]+): (#[0-9a-f]{6});/g)].map((found) => [found[1] ?? "", found[2] ?? ""]));
}

/** Relative luminance, as WCAG defines it for sRGB. */
function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one: string, other: string): number {
  const [darker, lighter] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (lighter + 0.05) / (darker + 0.05);
}

describe.each(["light", "dark"])("in the %s theme", (scheme) => {
  const colours = coloursOf(scheme);
  it.each(TOKENS.flatMap((token) => GROUNDS.map((ground) => [token, ground] as const)))("%s is read on %s", (token, ground) => {
    expect(contrast(colours.get(token) ?? "", colours.get(ground) ?? "")).toBeGreaterThanOrEqual(4.5);
  });
});

/** Success criteria 1.4.6 and 1.4.11: 7:1 for words, 3:1 for what has to be seen beside them. */
describe.each([
  ["light", "#ffffff"],
  ["dark", "#12161b"],
] as const)("in the %s theme with more contrast", (scheme, body) => {
  const colours = coloursOf(scheme, 2);
  const of = (name: string) => colours.get(name) ?? "";
  it.each(["good", "warn", "bad", "info"])("%s is read on its own ground", (status) => {
    expect(contrast(of(status), of(`${status}-bg`))).toBeGreaterThanOrEqual(7);
  });
  it.each(["dimmed", "placeholder", "anchor", "error"])("%s is read", (words) => {
    for (const ground of [body, of("sunken"), of("selected")]) expect(contrast(of(words), ground)).toBeGreaterThanOrEqual(7);
  });
  it.each(["line", "default-border"])("%s is seen", (line) => {
    for (const ground of [body, of("sunken")]) expect(contrast(of(line), ground)).toBeGreaterThanOrEqual(3);
  });
});
