"""What a schema refers to: every reference is resolved when the schema is stored.

Nothing is ever fetched: a reference leads into the schema itself or to a meta-schema that
is bundled with the library, or the schema is refused. The walk also proves what the
evaluation relies on: each part that can be reached is valid against the meta-schema, and
each regular expression can be run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jsonschema.exceptions import best_match
from jsonschema_specifications import REGISTRY as BUNDLED  # type: ignore[import-untyped]
from referencing import Registry
from referencing.exceptions import Unresolvable

from domain.schema_dialects import Dialect
from domain.schema_messages import describe, to_pointer
from domain.schema_outcomes import InvalidSchema
from domain.schema_patterns import PatternRefused, compile_pattern

_MAX_META_ERRORS = 50


def check_against_meta_schema(dialect: Dialect, schema: Any, pointer: str = "") -> None:
    """Raise InvalidSchema with the most telling error, unless the meta-schema allows `schema`."""
    validator = dialect.meta_validator(
        dialect.meta_validator.META_SCHEMA, format_checker=dialect.formats, registry=BUNDLED
    )
    errors = validator.iter_errors(schema)
    some = [error for _, error in zip(range(_MAX_META_ERRORS), errors, strict=False)]
    worst = best_match(some)
    if worst is not None:
        raise InvalidSchema(_told(worst), pointer + to_pointer(worst.absolute_path))


def _told(error: Any) -> str:
    if isinstance(error.cause, PatternRefused):
        return str(error.cause)
    return f"not what JSON Schema allows here: {describe(error).message}"


@dataclass(frozen=True, slots=True)
class ResolvedSchema:
    """A schema whose references all lead somewhere, and the resolver to evaluate it with."""

    schema: Any
    resolver: Any


@dataclass(frozen=True, slots=True)
class _Place:
    """A subschema that is still to be looked at."""

    schema: dict[str, Any]
    resolver: Any
    pointer: str


class _Walk:
    """One walk over a schema: from the root first, then from the targets of references."""

    def __init__(self, dialect: Dialect, document: Any, *, check: bool) -> None:
        self._dialect = dialect
        self._check = check
        self._own = {id(each) for each in _objects_in(document)}
        self._seen: set[int] = set()
        self._targets: list[tuple[Any, Any, str]] = []
        self.unconditional: dict[int, list[tuple[int, str]]] = {}
        """From a subschema to those that always apply to the same instance, by identity."""

    def run(self, root: _Place) -> None:
        self._walk(root)
        while self._targets:
            contents, resolver, pointer = self._targets.pop()
            if id(contents) in self._seen or id(contents) not in self._own:
                continue  # Not ours: a bundled meta-schema, which needs no check.
            # Reached by reference only, so the check of the whole schema did not look here.
            if self._check:
                check_against_meta_schema(self._dialect, contents, pointer)
            self._walk(_Place(contents, resolver, pointer))

    def _walk(self, start: _Place) -> None:
        places = [start]
        while places:
            place = places.pop()
            if id(place.schema) in self._seen:
                continue
            self._seen.add(id(place.schema))
            self._drop_dialect(place)
            self._check_patterns(place)
            self._follow_references(place)
            places.extend(self._below(place))

    def _drop_dialect(self, place: _Place) -> None:
        # jsonschema would evaluate a part that names a dialect with its stock keywords.
        named = place.schema.pop("$schema", None)
        if named is not None and str(named).removesuffix("#") != self._dialect.uri:
            raise InvalidSchema("one schema has one dialect", f"{place.pointer}/$schema")

    def _check_patterns(self, place: _Place) -> None:
        sources = [("/pattern", place.schema.get("pattern"))]
        by_name = place.schema.get("patternProperties", {})
        sources += [("/patternProperties" + to_pointer((name,)), name) for name in by_name]
        for where, source in sources:
            if source is None:
                continue
            try:
                compile_pattern(source)
            except PatternRefused as error:
                raise InvalidSchema(str(error), place.pointer + where) from None

    def _follow_references(self, place: _Place) -> None:
        for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
            if keyword not in place.schema or not _has(self._dialect.draft, keyword):
                continue
            where = f"{place.pointer}/{keyword}"
            reference = place.schema[keyword]
            if not isinstance(reference, str):
                raise InvalidSchema("a reference is a string", where)
            contents, resolver = _resolve(place.resolver, reference, where)
            if keyword == "$ref":
                self._always(place.schema, contents, where)
            if isinstance(contents, dict):
                self._targets.append((contents, resolver, where))

    def _below(self, place: _Place) -> Iterator[_Place]:
        hidden = self._dialect.ref_hides_siblings and "$ref" in place.schema
        for path, schema in self._dialect.subschemas(place.schema):
            if not isinstance(schema, dict):
                continue
            if path[0] == "allOf" and not hidden:
                self._always(place.schema, schema, place.pointer + to_pointer(path))
            resource = self._dialect.specification.create_resource(schema)
            resolver = place.resolver.in_subresource(resource)
            yield _Place(schema, resolver, place.pointer + to_pointer(path))

    def _always(self, schema: dict[str, Any], other: Any, where: str) -> None:
        self.unconditional.setdefault(id(schema), []).append((id(other), where))


def _has(draft: int, keyword: str) -> bool:
    if keyword == "$dynamicRef":
        return draft >= 2020
    return keyword == "$ref" or draft == 2019


def _resolve(resolver: Any, reference: str, where: str) -> tuple[Any, Any]:
    shown = reference[:200]
    try:
        resolved = resolver.lookup(reference)
    except Unresolvable:
        raise InvalidSchema(
            f"the reference {shown!r} leads nowhere; remote schemas are never fetched", where
        ) from None
    except (ValueError, TypeError, AttributeError, LookupError):
        # The library walks into whatever a pointer names, also where no schema can be.
        raise InvalidSchema(f"the reference {shown!r} cannot be resolved", where) from None
    if not isinstance(resolved.contents, dict | bool):
        raise InvalidSchema(f"the reference {shown!r} leads to something that is no schema", where)
    return resolved.contents, resolved.resolver


def _objects_in(document: Any) -> Iterator[dict[str, Any]]:
    stack = [document]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield value
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)


def _refuse_endless(unconditional: dict[int, list[tuple[int, str]]]) -> None:
    """Raise InvalidSchema if some subschema applies to its own instance again, for ever."""
    done: set[int] = set()
    for start in unconditional:
        open_nodes: set[int] = set()
        stack: list[tuple[int, Iterator[tuple[int, str]]]] = []

        def enter(
            node: int,
            open_nodes: set[int] = open_nodes,
            stack: list[tuple[int, Iterator[tuple[int, str]]]] = stack,
        ) -> None:
            open_nodes.add(node)
            stack.append((node, iter(unconditional.get(node, ()))))

        if start not in done:
            enter(start)
        while stack:
            node, edges = stack[-1]
            edge = next(edges, None)
            if edge is None:
                stack.pop()
                open_nodes.discard(node)
                done.add(node)
            elif edge[0] in open_nodes:
                raise InvalidSchema("the schema refers to itself without an end", edge[1])
            elif edge[0] not in done:
                enter(edge[0])


def resolve_schema(dialect: Dialect, schema: Any, *, check: bool = True) -> ResolvedSchema:
    """Prove every reference of `schema` (which is changed: `$schema` is dropped).

    With `check`, against the meta-schema too. Raises InvalidSchema.
    """
    if check:
        check_against_meta_schema(dialect, schema)
    resource = dialect.specification.create_resource(schema)
    try:
        base_uri = resource.id() or ""
        registry: Registry[Any] = BUNDLED.with_resource(base_uri, resource).crawl()
    except ValueError as error:
        raise InvalidSchema(f"an identifier that is no URI reference: {error}") from None
    resolver = registry.resolver(base_uri)
    if isinstance(schema, dict):
        walk = _Walk(dialect, schema, check=check)
        walk.run(_Place(schema, resolver, ""))
        _refuse_endless(walk.unconditional)
    return ResolvedSchema(schema, resolver)
