"""JSON Schemas that contents are held to: checked once, then evaluated many times.

Pure and synchronous, and as slow as schema and content make it: never to be called in the
event loop (see app/validation, which runs it in processes under a deadline).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from referencing.exceptions import Unresolvable

from domain.errors import MalformedJson, NotIJson
from domain.json_document import parse_json
from domain.schema_dialects import Dialect, dialect_of
from domain.schema_messages import describe
from domain.schema_outcomes import MAX_VIOLATIONS, InvalidSchema, SchemaTooExpensive, Violation
from domain.schema_references import resolve_schema

MAX_SCHEMA_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """A schema that has been checked; see compile_schema."""

    dialect: str
    """The URI of its meta-schema."""
    text_bytes: int
    _validator: Any

    def validate(self, content: Any) -> list[Violation]:
        """How `content` (parsed I-JSON) breaks the schema: the first 100 ways, none if it holds.

        Raises SchemaTooExpensive where the recursion goes too deep.
        """
        try:
            errors: Iterable[Any] = self._validator.iter_errors(content)
            return [describe(error) for error in islice(errors, MAX_VIOLATIONS)]
        except RecursionError:
            raise SchemaTooExpensive("the recursion goes too deep") from None
        except Unresolvable as error:
            # Possible through $dynamicRef only, whose target depends on the content.
            raise InvalidSchema(f"the reference {error.ref[:200]!r} leads nowhere") from None


def compile_schema(text: str | bytes, *, already_checked: bool = False) -> CompiledSchema:
    """Check a schema as it was given and make it ready.

    Its dialect is named by `$schema` (drafts 4, 6, 7, 2019-09, 2020-12; 2020-12 if absent).
    Raises InvalidSchema with the place: no I-JSON, an unknown dialect, refused by the
    meta-schema, a regular expression that cannot be run, a reference that leads out of the
    schema (nothing is ever fetched) or round in circles. Raises SchemaTooExpensive.

    `already_checked` leaves out the meta-schema, most of the work: only for a text that
    this function accepted before, when it was stored.
    """
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_SCHEMA_BYTES:
        raise InvalidSchema(f"the schema has {len(raw)} bytes; the limit is {MAX_SCHEMA_BYTES}")
    schema = _parse(raw)
    dialect = dialect_of(schema)
    try:
        return CompiledSchema(dialect.uri, len(raw), _validator(dialect, schema, already_checked))
    except RecursionError:
        raise SchemaTooExpensive("the schema nests too deep") from None


def _validator(dialect: Dialect, schema: Any, already_checked: bool) -> Any:
    resolved = resolve_schema(dialect, schema, check=not already_checked)
    return dialect.validator(
        resolved.schema, format_checker=dialect.formats, _resolver=resolved.resolver
    )


def _parse(raw: bytes) -> Any:
    try:
        return parse_json(raw)
    except NotIJson as error:
        raise InvalidSchema(error.detail, error.pointer) from error
    except MalformedJson as error:
        raise InvalidSchema(f"not JSON: {error}") from error
