"""The words in which the API is described, and how they become an OpenAPI 3.1 document.

An operation says what is its own; what follows from that (which credentials, which problems a
body or a project brings along) is worked out here, so that it is written once. Problems are
named by their slugs: their statuses come from `app.api.errors`, where they are answered from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from app.api.errors import PROBLEM_STATUSES

Json = dict[str, Any]


class Needs(Enum):
    """Who may call. The test of every route with every caller holds the routes to it."""

    NOBODY = "Anybody."
    CALLER = "A signed-in user or an application's key."
    USER = "A signed-in user."
    SUPERUSER = "A superuser."
    VIEWER = "A viewer of the project, or any of its keys."
    EDITOR = "An editor of the project, or a named editor key."
    ADMIN = "An admin or the owner of the project."
    OWNER = "The owner of the project."
    SCHEMA_VIEWER = "Whoever sees the schema: everybody, or its project's members and keys."
    SCHEMA_EDITOR = "An editor of the schema's project; of a shared one its creator."


_PUBLIC = {Needs.NOBODY}
_KEYS_TOO = {Needs.CALLER, Needs.VIEWER, Needs.EDITOR, Needs.SCHEMA_VIEWER}
_ROLE = {Needs.EDITOR, Needs.ADMIN, Needs.OWNER, Needs.SUPERUSER, Needs.USER, Needs.SCHEMA_EDITOR}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the query, a header or the path."""

    name: str
    schema: Json
    description: str
    where: str = "query"
    required: bool = False

    def as_json(self) -> Json:
        """As OpenAPI has it."""
        return {
            "name": self.name,
            "in": self.where,
            "required": self.required,
            "description": self.description,
            "schema": self.schema,
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer."""

    description: str
    schema: Json | None = None
    media: str = "application/json"
    headers: tuple[str, ...] = ()
    """Names of `components.headers`, beside those that every answer has."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body, by media type."""

    content: Mapping[str, Json]
    required: bool = True


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    tag: str
    summary: str
    needs: Needs
    answers: Mapping[int, Answer]
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    problems: tuple[str, ...] = ()
    """Slugs, beside those that follow from the rest."""
    stands_alone: bool = False
    """Answers with everything else down, and whatever the query says."""
    path_schemas: Mapping[str, Json] = field(default_factory=dict)

    @property
    def operation_id(self) -> str:
        """Unique, and made of what is unique."""
        words = self.path.replace("{", "").replace("}", "").replace(".", "-").strip("/")
        return f"{self.method.lower()}-{words.replace('/', '-') or 'page'}"

    def all_problems(self) -> list[str]:
        """Every slug that this operation can answer with."""
        slugs = {*self.problems, "malformed-request"}
        if not self.stands_alone:
            slugs |= {"invalid-parameter", "unavailable"}
            if self.method != "GET":
                slugs.add("outcome-unknown")
        if self.needs not in _PUBLIC:
            slugs |= {"not-signed-in", "too-many-requests"}
        if self.needs in _ROLE:
            slugs.add("not-allowed")
        if "{" in self.path:
            slugs.add("not-found")
        if self.body is not None:
            slugs |= {
                "malformed-json",
                "not-i-json",
                "content-too-large",
                "unsupported-media-type",
                "request-timeout",
            }
        return sorted(slugs)

    def as_json(self) -> Json:
        """As OpenAPI has it."""
        found: Json = {
            "operationId": self.operation_id,
            "tags": [self.tag],
            "summary": self.summary,
            "description": "\n\n".join(
                part for part in (self.description, self.needs.value) if part
            ),
            "security": self._security(),
            "parameters": [*self._path_parameters(), *(p.as_json() for p in self.parameters)],
            "responses": {**self._answers(), **self._refusals()},
        }
        if self.body is not None:
            found["requestBody"] = {
                "required": self.body.required,
                "content": {media: {"schema": s} for media, s in self.body.content.items()},
            }
        return found

    def _security(self) -> list[Json]:
        if self.needs in _PUBLIC:
            return []
        return [{"user": []}, {"key": []}] if self.needs in _KEYS_TOO else [{"user": []}]

    def _path_parameters(self) -> list[Json]:
        names = [part.split("}")[0] for part in self.path.split("{")[1:]]
        return [
            Parameter(
                name,
                self.path_schemas.get(name, PATH_SCHEMAS[name]),
                PATH_WORDS.get(name, f"The id of the {name}."),
                "path",
                True,
            ).as_json()
            for name in names
        ]

    def _answers(self) -> Json:
        answers: Json = {}
        for status, answer in self.answers.items():
            headers = {
                name: {"$ref": f"#/components/headers/{name}"}
                for name in ("X-Request-Id", *answer.headers)
            }
            answers[str(status)] = {"description": answer.description, "headers": headers}
            if answer.schema is not None:
                answers[str(status)]["content"] = {answer.media: {"schema": answer.schema}}
        return answers

    def _refusals(self) -> Json:
        by_status: dict[int, list[str]] = {}
        for slug in self.all_problems():
            by_status.setdefault(PROBLEM_STATUSES[slug], []).append(slug)
        return {
            str(status): {
                "description": ", ".join(f"[{slug}](/problems/{slug})" for slug in slugs),
                "headers": {
                    name: {"$ref": f"#/components/headers/{name}"} for name in _headers_of(status)
                },
                "content": {"application/problem+json": {"schema": problem_of(slugs)}},
            }
            for status, slugs in sorted(by_status.items())
        }


PATH_SCHEMAS: dict[str, Json] = {
    "project": {"type": "string", "minLength": 1, "maxLength": 100},
    "key": {"type": "string", "pattern": r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", "maxLength": 200},
    "user": {"type": "string", "minLength": 1, "maxLength": 100},
    "schema": {"type": "string", "minLength": 1, "maxLength": 100},
    "id": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    "version": {"type": "integer", "minimum": 1},
    "name": {"type": "string", "minLength": 1},
    "slug": {"type": "string", "pattern": "^[a-z0-9-]{1,60}$"},
}
PATH_WORDS = {
    "key": "The config's key: letters, digits, `_` and `-` in parts with dots between.",
    "id": "The id, as the service gave it.",
    "version": "A version of the config: 1, 2, 3 …",
    "name": "The name of the file.",
    "slug": "The last part of a problem's `type`.",
}


def _headers_of(status: int) -> tuple[str, ...]:
    extra = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
    return ("X-Request-Id", *extra.get(status, ()))


def problem_of(slugs: list[str]) -> Json:
    """The problem with one of these slugs."""
    return {
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {"properties": {"type": {"enum": [f"/problems/{slug}" for slug in slugs]}}},
        ]
    }


def ref(name: str) -> Json:
    """A schema of `components.schemas`."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(members: Mapping[str, Json], *, optional: tuple[str, ...] = (), about: str = "") -> Json:
    """An object of exactly these members."""
    return {
        "type": "object",
        **({"description": about} if about else {}),
        "required": [name for name in members if name not in optional],
        "properties": dict(members),
        "additionalProperties": False,
    }


def array(items: Json, **more: Any) -> Json:
    """A list."""
    return {"type": "array", "items": items, **more}


def page_of(name: str, **more: Json) -> Json:
    """A page of a list."""
    return record({"items": array(ref(name)), "next": ref("NextPage"), **more})


def nullable(schema: Json) -> Json:
    """This, or null."""
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def json_body(
    members: Mapping[str, Json], *, optional: tuple[str, ...] = (), required: bool = True
) -> Body:
    """A body that is an object of exactly these members."""
    return Body({"application/json": record(members, optional=optional)}, required)


def ok(
    schema: Json | None, description: str = "As asked for.", **more: Any
) -> Mapping[int, Answer]:
    """The answers of an operation that only has 200."""
    return {200: Answer(description, schema, **more)}


NO_CONTENT: Mapping[int, Answer] = {204: Answer("Done.")}
