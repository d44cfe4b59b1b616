"""Small pages that the service writes itself: no script, nothing from elsewhere.

Whatever stands in them is escaped here; the policy allows one style sheet, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape

from aiohttp import web

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: .9em ui-monospace, monospace } pre { overflow: auto; background: var(--soft);
padding: .6rem; border-radius: .3rem } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0;
border-bottom: 1px solid var(--line) } details { border: 1px solid var(--line);
border-radius: .3rem; padding: .4rem .8rem; margin: .4rem 0 } summary { cursor: pointer }
summary b { display: inline-block; min-width: 4.5rem } h2 { margin-top: 2.5rem }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)


def html_page(title: str, body: str) -> web.Response:
    """A page; `body` is HTML whose texts were escaped."""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)} · Config Guardian</title><style>{STYLE}</style></head>"
        f"<body>{body}</body></html>"
    )
    return web.Response(
        text=text, content_type="text/html", headers={"Content-Security-Policy": POLICY}
    )
