// Fails the build when the first load (what index.html and its static imports
// fetch before anything is clicked) is over the budget, or when the editor
// has slipped into it.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import path from "node:path";

const BUDGET_BYTES = 500 * 1024;
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../static");
const manifest = JSON.parse(readFileSync(path.join(root, ".vite/manifest.json"), "utf8"));

const first = new Set(["index.html"]);
const files = new Set();
for (const name of first) {
  const chunk = manifest[name];
  files.add(chunk.file);
  for (const css of chunk.css ?? []) files.add(css);
  for (const next of chunk.imports ?? []) first.add(next);
}
// Fonts come with the style sheet; only the Latin files are fetched by a first view.
for (const entry of Object.values(manifest)) {
  if (/latin-wght-normal.*\.woff2$/.test(entry.file) && !/latin-ext/.test(entry.file)) files.add(entry.file);
}
for (const chunk of Object.values(manifest)) {
  for (const asset of chunk.assets ?? []) {
    if (/latin-wght-normal.*\.woff2$/.test(asset) && !/latin-ext/.test(asset)) files.add(asset);
  }
}

let total = 0;
for (const file of [...files].sort()) {
  const bytes = readFileSync(path.join(root, file));
  const size = file.endsWith(".woff2") ? bytes.length : gzipSync(bytes, { level: 6 }).length;
  total += size;
  console.log(`${(size / 1024).toFixed(1).padStart(8)} KiB  ${file}`);
}
console.log(`${(total / 1024).toFixed(1).padStart(8)} KiB  first load, compressed (budget ${BUDGET_BYTES / 1024} KiB)`);

const leaked = [...files].filter((file) => /codemirror|JsonEditor|DiffView|languageService/i.test(file));
if (leaked.length > 0) {
  console.error(`The editor is part of the first load: ${leaked.join(", ")}`);
  process.exit(1);
}
if (total > BUDGET_BYTES) {
  console.error("The first load is over its budget.");
  process.exit(1);
}
