import { expect, test } from "vitest";
import { authorKnown, authorOf } from "./authors";

test("an author is a person, the key of an application, or unknown", () => {
  const nobody = { created_by_email: null };
  const key = { created_by_email: null, created_by_key_name: "ci" };
  const person = { created_by_email: "ann@example.org", created_by_key_name: null };
  expect([nobody, key, person].map(authorOf)).toEqual(["unknown", "API key ci", "ann@example.org"]);
  expect([nobody, key, person].map(authorKnown)).toEqual([false, true, true]);
});
