// Writes each text beside itself as .br and .gz; the service hands out what the browser takes.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";

const assets = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../static/assets");
for (const name of readdirSync(assets)) {
  if (!/\.(js|css|svg)$/.test(name)) continue;
  const text = readFileSync(path.join(assets, name));
  for (const [ending, packed] of [["br", brotliCompressSync(text)], ["gz", gzipSync(text, { level: 9 })]]) {
    if (packed.length < text.length) writeFileSync(path.join(assets, `${name}.${ending}`), packed);
  }
}
