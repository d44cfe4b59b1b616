/** Search in keys and content of what the page already holds: no request, no waiting. */
import type { Config } from "../api/types";
import { formatJson, type Json } from "./json";

type Form = (content: Json) => string;

/** Remembers a form of each content: every letter that is typed asks for all of them. */
function remembered(form: Form): (config: Config) => string {
  const texts = new WeakMap<Config, string>();
  return (config) => {
    let text = texts.get(config);
    if (text === undefined) {
      text = config.content === undefined ? "" : form(config.content);
      texts.set(config, text);
    }
    return text;
  };
}

const compact = remembered(JSON.stringify as Form);
/** As the editor shows it, in one line: a line break in a string is escaped, so these are all between tokens. */
const asShown = remembered((content) => formatJson(content).replace(/\n */g, " "));

/** Of the content, what the words are in; the forms differ by white space alone. */
function match(config: Config, wanted: string): { text: string; index: number } | null {
  for (const form of /\s/.test(wanted) ? [compact, asShown] : [compact]) {
    const text = form(config);
    const index = text.toLowerCase().indexOf(wanted);
    if (index !== -1) return { text, index };
  }
  return null;
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
      const found = match(config, wanted);
      if (found) {
        const from = Math.max(0, found.index - AROUND);
        const excerpt = found.text.slice(from, found.index + wanted.length + AROUND);
        inContent.push({ config, where: "content", excerpt: (from > 0 ? "…" : "") + excerpt });
      }
    }
  }
  return [...inKeys, ...inContent].slice(0, limit);
}
