"""`/docs`: the OpenAPI document to read, as plain HTML made here, so that it works offline."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any

import orjson
from aiohttp import web

from app.api.html import html_page
from app.api.openapi import document

_LINK = re.compile(r"\[([a-z0-9-]+)\]\((/problems/[a-z0-9-]+)\)")
_CODE = re.compile(r"`([^`]+)`")


@cache
def _body() -> str:
    found = document()
    by_tag: dict[str, list[str]] = {tag["name"]: [] for tag in found["tags"]}
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            by_tag[operation["tags"][0]].append(_operation(method.upper(), path, operation))
    info = found["info"]
    parts = [
        f"<h1>{escape(info['title'])}: the HTTP API</h1>{_prose(info['description'])}",
        '<p><a href="/openapi.json">openapi.json</a> · <a href="/problems">problems</a></p>',
    ]
    for tag, operations in by_tag.items():
        parts.append(f"<h2>{escape(tag)}</h2>{''.join(operations)}")
    parts.append("<h2>Shapes</h2>")
    for name, schema in found["components"]["schemas"].items():
        parts.append(
            f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
            f"{_json(schema)}</details>"
        )
    return "".join(parts)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [
        (
            f'<details id="{escape(operation["operationId"])}"><summary><b>{method}</b>'
            f" <code>{escape(path)}</code> — {escape(operation['summary'])}</summary>"
        ),
        _prose(operation["description"]),
    ]
    if operation["parameters"]:
        rows = [
            (
                f"<code>{escape(each['name'])}</code>",
                escape(each["in"] + (", required" if each["required"] else "")),
                _inline(each["description"]),
            )
            for each in operation["parameters"]
        ]
        parts.append(_table(("Parameter", "In", "What"), rows))
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Body: <code>{escape(media)}</code></p>{_json(content['schema'])}")
    rows = [
        (f"<code>{status}</code>", _inline(answer["description"]), _shapes(answer))
        for status, answer in operation["responses"].items()
    ]
    parts.append(_table(("Status", "What", "Shape"), rows))
    return "".join(parts) + "</details>"


def _shapes(answer: dict[str, Any]) -> str:
    text = orjson.dumps(answer.get("content", {})).decode()
    names = dict.fromkeys(re.findall(r"#/components/schemas/(\w+)", text))
    return ", ".join(f'<a href="#{name}">{name}</a>' for name in names)


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in heads)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.strip().split("\n\n"))


def _inline(text: str) -> str:
    linked = _LINK.sub(r'<a href="\2">\1</a>', escape(text))
    return _CODE.sub(r"<code>\1</code>", linked)


def _json(schema: Any) -> str:
    return f"<pre>{escape(orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode())}</pre>"


async def docs(request: web.Request) -> web.Response:
    """The page."""
    return html_page("The HTTP API", _body())


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    return [web.get("/docs", docs)]
