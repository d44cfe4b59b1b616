/** Text on every ground that a difference gives it: WCAG 2.2, success criterion 1.4.3. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const styles = readFileSync(new URL("../styles.css", import.meta.url), "utf-8");
const TOKENS = ["string", "number", "key", "atom", "punct"];
const GROUNDS = ["add", "add-strong", "del", "del-strong"];

function coloursOf(scheme: string): Map<string, string> {
  const block = styles.split(`[data-mantine-color-scheme="${scheme}"] {`)[1]?.split("}")[0] ?? "";
  return new Map([...block.matchAll(/--g-([\w-]+): (#[0-9a-f]{6});/g)].map((found) => [found[1] ?? "", found[2] ?? ""]));
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
