"""Schemas, operations of the service, and its pages."""

from __future__ import annotations

from app.api.openapi import parameters as p
from app.api.openapi.components import ANY, BOOLEAN, COUNT, ID, NAME
from app.api.openapi.model import (
    Answer,
    Json,
    Needs,
    Operation,
    Parameter,
    json_body,
    nullable,
    ok,
    page_of,
    record,
    ref,
)

_ONE = "/v1/schemas/{schema}"
_SCHEMA: Json = {"type": ["object", "boolean", "string"], "description": "Or its text."}
_PAGE: Json = {"type": "string"}

_SCHEMAS = (
    Operation(
        "GET",
        "/v1/schemas",
        "Schemas",
        "The schemas that the caller may see",
        Needs.CALLER,
        ok(page_of("Schema")),
        parameters=(p.OF_PROJECT, *p.PAGED),
        problems=("not-found",),
    ),
    Operation(
        "POST",
        "/v1/schemas",
        "Schemas",
        "Store a schema",
        Needs.USER,
        {201: Answer("The schema.", ref("Schema"), headers=("ETag", "Location"))},
        "With a `project_id` it belongs to that project; without one it is shared by all."
        " Drafts 4, 6, 7, 2019-09 and 2020-12; a remote `$ref` is never fetched.",
        body=json_body(
            {
                "name": NAME,
                "schema": _SCHEMA,
                "project_id": nullable({**ID, "minLength": 1, "maxLength": 100}),
            },
            optional=("project_id",),
        ),
        parameters=(p.IDEMPOTENCY_KEY,),
        problems=(
            "invalid-schema",
            "schema-too-expensive",
            "not-found",
            "idempotency-key-reused",
        ),
    ),
    Operation(
        "GET",
        _ONE,
        "Schemas",
        "One schema, as it is or as it was",
        Needs.SCHEMA_VIEWER,
        {
            **ok(ref("Schema"), headers=("ETag",)),
            304: Answer("It is still that version.", headers=("ETag",)),
        },
        parameters=(
            Parameter(
                "version", {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}, "As it was."
            ),
            p.IF_NONE_MATCH,
        ),
    ),
    Operation(
        "PUT",
        _ONE,
        "Schemas",
        "Make the next version of a schema",
        Needs.SCHEMA_EDITOR,
        ok({"anyOf": [ref("Schema"), ref("SchemaImpact")]}, "The schema, or what would break."),
        "Refused while live configs would break it, unless forced.",
        parameters=(p.FORCE, p.DRY_RUN, p.IF_MATCH),
        body=json_body({"name": NAME, "schema": _SCHEMA}, optional=("name",)),
        problems=(
            "schema-would-break",
            "version-conflict",
            "invalid-schema",
            "schema-too-expensive",
        ),
    ),
    Operation(
        "DELETE",
        _ONE,
        "Schemas",
        "Delete a schema that no live config is bound to",
        Needs.SCHEMA_EDITOR,
        ok(record({"id": ID, "deleted": BOOLEAN})),
        parameters=(p.IF_MATCH,),
        problems=("schema-in-use", "version-conflict"),
    ),
    Operation(
        "POST",
        _ONE + "/validate",
        "Schemas",
        "Whether a content holds to the schema",
        Needs.SCHEMA_VIEWER,
        ok(ref("Validation")),
        "Nothing is stored.",
        body=json_body({"content": ANY}),
        problems=("invalid-schema", "schema-too-expensive"),
    ),
    Operation(
        "GET",
        _ONE + "/usage",
        "Schemas",
        "The live configs that are bound to the schema",
        Needs.SCHEMA_VIEWER,
        ok(page_of("Usage", total=COUNT, hidden=COUNT)),
        parameters=p.PAGED,
    ),
)

_OPERATIONS = (
    Operation(
        "GET",
        "/healthz",
        "Operations",
        "Whether the process answers",
        Needs.NOBODY,
        ok(record({"status": {"const": "ok"}})),
        stands_alone=True,
    ),
    Operation(
        "GET",
        "/readyz",
        "Operations",
        "Whether each dependency is well",
        Needs.NOBODY,
        {200: Answer("All are.", ref("Ready")), 503: Answer("Not all are.", ref("Ready"))},
        stands_alone=True,
    ),
    Operation(
        "GET",
        "/metrics",
        "Operations",
        "Numbers for Prometheus",
        Needs.NOBODY,
        ok(_PAGE, media="text/plain"),
        stands_alone=True,
    ),
    Operation(
        "GET",
        "/v1/cluster",
        "Operations",
        "The Raft group, the projector and this process's read model",
        Needs.SUPERUSER,
        ok(ref("Cluster")),
    ),
    Operation(
        "GET",
        "/openapi.json",
        "Operations",
        "This document",
        Needs.NOBODY,
        ok({"type": "object"}),
        stands_alone=True,
    ),
)


def _page(path: str, summary: str, media: str = "text/html") -> Operation:
    answer = ok(_PAGE, media=media)
    return Operation("GET", path, "Pages", summary, Needs.NOBODY, answer, stands_alone=True)


_PAGES = (
    _page("/", "The management page"),
    _page("/assets/{name}", "A file of the management page", "*/*"),
    _page("/docs", "This document, to read"),
    _page("/problems", "Every problem that the service answers with"),
    _page("/problems/{slug}", "What a problem means, and what to do"),
)

OPERATIONS = (*_SCHEMAS, *_OPERATIONS, *_PAGES)
