/** A path of the page, kept at the moment that the address names: only who says so goes back to now. */
export function withMoment(path: string, at: string | null): string {
  if (at === null) return path;
  return `${path}${path.includes("?") ? "&" : "?"}at=${encodeURIComponent(at)}`;
}
