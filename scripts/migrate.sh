#!/usr/bin/env bash
# Migrations by hand: up [N] | down [N] | version | create NAME | force VERSION.
# DATABASE_URL says where; `./guardian migrate --help` describes each.
set -euo pipefail
root="$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)"
exec "$root/guardian" migrate "$@"
