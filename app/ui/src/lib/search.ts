/** Search in keys and content of what the page already holds: no request, no waiting. */
import type { Config } from "../api/types";

const texts = new WeakMap<Config, string>();

function contentOf(config: Config): string {
  let text = texts.get(config);
  if (text === undefined) {
    text = JSON.stringify(config.content) ?? "";
    texts.set(config, text);
  }
  return text;
}

export type Hit = { config: Config; where: "key" | "content"; excerpt: string };

const AROUND = 36;

/** Keys first, then content; at most `limit` of them. */
export function search(configs: readonly Config[], words: string, limit: number): Hit[] {
  const wanted = words.trim().toLowerCase();
  if (wanted === "") return [];
  const inKeys: Hit[] = [];
  const inContent: Hit[] = [];
  for (const config of configs) {
    if (config.key.toLowerCase().includes(wanted)) {
      if (inKeys.length < limit) inKeys.push({ config, where: "key", excerpt: "" });
    } else if (inContent.length < limit) {
      const text = contentOf(config);
      const index = text.toLowerCase().indexOf(wanted);
      if (index !== -1) {
        const from = Math.max(0, index - AROUND);
        const excerpt = text.slice(from, index + wanted.length + AROUND);
        inContent.push({ config, where: "content", excerpt: (from > 0 ? "…" : "") + excerpt });
      }
    }
  }
  return [...inKeys, ...inContent].slice(0, limit);
}
