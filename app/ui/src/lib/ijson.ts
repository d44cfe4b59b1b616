/**
 * What the service will refuse in any document (RFC 7493 and its limits),
 * found while typing. The service has the last word; this only answers sooner.
 */
import { createScanner, printParseErrorCode, visit } from "jsonc-parser";

export type Issue = { from: number; to: number; message: string };

const USUAL_MAX_CONTENT_BYTES = 256 * 1024;
const told = typeof document === "undefined" ? null : document.querySelector<HTMLMetaElement>('meta[name="max-content-bytes"]');
/** The service writes its limit into index.html at each serve; vite's server and the unit tests do not. */
export const MAX_CONTENT_BYTES = Number(told?.content) || USUAL_MAX_CONTENT_BYTES;
/** jsonc-parser's SyntaxKind, a const enum that a module of its own cannot import. */
const END_OF_FILE = 17;
const OPENS = [1, 3];
const CLOSES = [2, 4];
/** The service's, of a content or a schema: it counts what it is sent in, too. */
const MAX_DEPTH = 99;
const MAX_INTEGER = 2n ** 63n - 1n;
const MIN_INTEGER = -(2n ** 63n);
/** RFC 7493 section 2.1: U+FDD0 to U+FDEF, and the last two of every plane. */
const NONCHARACTER = /\p{Noncharacter_Code_Point}/u;

const sentences: Record<string, string> = {
  InvalidSymbol: "This is not JSON: a value is a string in double quotes, a number, true, false, null, [ ] or { }",
  InvalidNumberFormat: "This is not a JSON number",
  PropertyNameExpected: "A name in double quotes is expected here",
  ValueExpected: "A value is expected here",
  ColonExpected: "A colon is expected here",
  CommaExpected: "A comma is expected here",
  CloseBraceExpected: "A closing } is missing",
  CloseBracketExpected: "A closing ] is missing",
  EndOfFileExpected: "The document ended before this: only one value is allowed",
  InvalidCommentToken: "Comments are not JSON",
  UnexpectedEndOfString: "This string does not end",
};

function numberIssue(source: string): string | null {
  if (/^-?\d+$/.test(source)) {
    const value = BigInt(source);
    if (value > MAX_INTEGER || value < MIN_INTEGER) return "An integer beyond 64 bits: other clients would change it";
  } else if (!Number.isFinite(Number(source))) {
    return "A number too large for a double";
  }
  return null;
}

function stringIssue(value: string): string | null {
  if (value.includes("\u0000")) return "The character \\u0000 cannot be stored";
  const found = NONCHARACTER.exec(value);
  if (found) return `U+${found[0].codePointAt(0)?.toString(16).toUpperCase()} is no character`;
  if (!value.isWellFormed()) return "A lone surrogate: half of a character";
  return null;
}

function sizeIssue(size: number, limit: number): string {
  const [unit, name] = limit % 1024 === 0 ? [1024, "KiB"] : [1, "bytes"];
  const words = (bytes: number): string => `${Math.ceil(bytes / unit).toLocaleString("en")} ${name}`;
  return `${words(size)}; the service takes ${words(limit)} at most`;
}

/** Where the text goes deeper than the service takes; -1: nowhere. */
function tooDeepAt(text: string): number {
  const scanner = createScanner(text, true);
  let depth = 0;
  for (let token: number = scanner.scan(); token !== END_OF_FILE; token = scanner.scan()) {
    if (OPENS.includes(token)) depth += 1;
    else if (CLOSES.includes(token)) depth -= 1;
    if (depth > MAX_DEPTH) return scanner.getTokenOffset();
  }
  return -1;
}

export function findIssues(text: string, limit = MAX_CONTENT_BYTES): Issue[] {
  if (text.trim() === "") return [{ from: 0, to: 1, message: "The document is empty" }];
  // First: what reads it below goes down with it, until there is no room left.
  const deep = tooDeepAt(text);
  if (deep !== -1) return [{ from: deep, to: deep + 1, message: `Nested deeper than the ${MAX_DEPTH} levels that the service takes` }];
  const issues: Issue[] = [];
  const names: Set<string>[] = [];
  const add = (from: number, length: number, message: string): void => {
    issues.push({ from, to: from + Math.max(length, 1), message });
  };
  visit(
    text,
    {
      onObjectBegin: () => {
        names.push(new Set());
      },
      onObjectEnd: () => {
        names.pop();
      },
      onObjectProperty: (name, offset, length) => {
        const seen = names.at(-1);
        if (seen?.has(name)) add(offset, length, `The name ${JSON.stringify(name)} is here twice`);
        seen?.add(name);
        const message = stringIssue(name);
        if (message) add(offset, length, message);
      },
      onLiteralValue: (value: unknown, offset, length) => {
        const message =
          typeof value === "number"
            ? numberIssue(text.slice(offset, offset + length))
            : typeof value === "string"
              ? stringIssue(value)
              : null;
        if (message) add(offset, length, message);
      },
      onError: (code, offset, length) => {
        const name = printParseErrorCode(code);
        add(offset, length, sentences[name] ?? name);
      },
    },
    { disallowComments: true, allowTrailingComma: false },
  );
  const size = text.length <= limit / 3 ? 0 : new TextEncoder().encode(compact(text)).length;
  if (size > limit) issues.push({ from: 0, to: 1, message: sizeIssue(size, limit) });
  return issues;
}

/** The same document without the white space between its tokens; nothing else is touched. */
export function compact(text: string): string {
  const scanner = createScanner(text, true);
  let result = "";
  while (scanner.scan() !== END_OF_FILE) {
    const from = scanner.getTokenOffset();
    result += text.slice(from, from + scanner.getTokenLength());
  }
  return result;
}
