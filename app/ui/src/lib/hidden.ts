/**
 * Characters that are not seen, or that change the order in which others are seen: a document would
 * look like another one. They are shown by their codes. (Joiners are not: emoji and Persian need them.)
 */
export const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202f\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffc\u{e0000}-\u{e007f}]/gu;

const escapeOf = (character: string): string => character.replace(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);

export function hasHidden(text: string): boolean {
  return text.search(HIDDEN) !== -1;
}

/** JSON stays the same value by this. */
export function withCodes(text: string): string {
  return text.replace(HIDDEN, escapeOf);
}
