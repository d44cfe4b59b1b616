"""What every change of configs passes before it is proposed: contents hold to their schemas.

`SchemaGate.admit` validates against the current versions, then holds the shared locks on
these schemas (`app.schema_leases`) until the outcome of the change is known, so that no
schema changes under a write. Validation may take long, locks may not: it comes first, against
the version that this process knows, and again only if the lock shows that there is a newer.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Final

import asyncpg

from app.changes import Prospect
from app.schema_errors import KeyedViolation, SchemaGone, SchemaViolated, UnknownSchema
from app.schema_leases import Lease, SchemaLeases
from app.tables.schemas import find_schema
from app.validation.pool import ValidationBusy, ValidatorPool
from domain.json_document import encode_json
from domain.schema_outcomes import MAX_VIOLATIONS, InvalidSchema, SchemaTooExpensive

MAX_LISTED: Final = 1000
"""Violations of one change set that are listed."""
ADMISSION_SHARE: Final = 0.7
MAX_KEPT: Final = 1000
MAX_KEPT_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SchemaText:
    """What validation needs of a schema, at one version."""

    version: int
    project_id: str | None
    text: bytes


class SchemaGate:
    """Lets change sets through whose contents hold to the schemas that they are bound to."""

    def __init__(self, pool: asyncpg.Pool, leases: SchemaLeases, validators: ValidatorPool) -> None:
        self._pool = pool
        self._leases = leases
        self._validators = validators
        self._texts = _Texts()

    def admit(
        self, project_id: str, prospects: Sequence[Prospect], deadline: float, *, tenant: str
    ) -> AbstractAsyncContextManager[Sequence[Prospect]]:
        """Gives the prospects with the schema versions that they passed; propose in the block.

        The first await in the block must be the proposal, and its outcome (or that there is
        none in time) must be known at the end of the block. `deadline` is the loop's time,
        `tenant` whose share of the validators this takes.

        Raises SchemaViolated with all violations, UnknownSchema, SchemaGone, SchemaTooExpensive,
        InvalidSchema, ValidationBusy, ValidatorsUnavailable, or Unavailable.
        """
        bound = [each for each in prospects if not each.change.delete and each.schema_id]
        if not bound:
            return nullcontext(prospects)
        return self._admit(project_id, prospects, bound, deadline, tenant)

    @asynccontextmanager
    async def _admit(
        self,
        project_id: str,
        prospects: Sequence[Prospect],
        bound: Sequence[Prospect],
        deadline: float,
        tenant: str,
    ) -> AsyncIterator[Sequence[Prospect]]:
        schema_ids = {each.schema_id for each in bound if each.schema_id}
        loop = asyncio.get_running_loop()
        while True:
            # What validation and locks may take of the time that is left; the rest proposes.
            until = loop.time() + (deadline - loop.time()) * ADMISSION_SHARE
            known = await self._known(project_id, bound)
            refusal = await self._refusal(tenant, bound, known, until)
            async with self._leases.hold(schema_ids, until) as leases:
                if self._are_current(known, leases):
                    if refusal is not None:
                        raise refusal
                    for lease in leases.values():
                        lease.check()
                    yield [_passed(each, known) for each in prospects]
                    return

    async def _known(self, project_id: str, bound: Sequence[Prospect]) -> Mapping[str, SchemaText]:
        """The schemas as this process knows them. Raises UnknownSchema; SchemaGone where it was not
        the caller who named the schema, but a roll back that saw it."""
        known: dict[str, SchemaText] = {}
        for prospect in bound:
            schema_id = prospect.schema_id
            assert schema_id is not None
            if schema_id in known:
                continue
            schema = self._texts.get(schema_id) or await self._read(schema_id)
            if schema is None and prospect.change.to_version is not None:
                raise SchemaGone(schema_id, prospect.key)
            if schema is None or schema.project_id not in (None, project_id):
                raise UnknownSchema(schema_id, prospect.key)
            known[schema_id] = schema
        return known

    async def _read(self, schema_id: str) -> SchemaText | None:
        row = await find_schema(self._pool, schema_id)
        if row is None:
            return None
        schema = SchemaText(row.version, row.project_id, row.text.encode())
        self._texts.keep(schema_id, schema)
        return schema

    def _are_current(self, known: Mapping[str, SchemaText], leases: Mapping[str, Lease]) -> bool:
        is_current = True
        for schema_id, schema in known.items():
            if leases[schema_id].version != schema.version:
                self._texts.forget(schema_id)
                is_current = False
        return is_current

    async def _refusal(
        self,
        tenant: str,
        bound: Sequence[Prospect],
        known: Mapping[str, SchemaText],
        until: float,
    ) -> Exception | None:
        """Why these schemas refuse the contents; None if they do not."""
        violations: list[KeyedViolation] = []
        cut = False
        try:
            async with asyncio.timeout_at(until):
                for prospect in bound:
                    assert prospect.schema_id is not None
                    found = await self._violations(tenant, prospect, known[prospect.schema_id].text)
                    violations += found
                    cut = cut or len(found) == MAX_VIOLATIONS
                    if len(violations) > MAX_LISTED:
                        cut = True
                        break
        except TimeoutError:
            raise ValidationBusy("the contents could not be validated in time") from None
        except (SchemaTooExpensive, InvalidSchema) as error:
            return error
        return SchemaViolated(violations[:MAX_LISTED], cut=cut) if violations else None

    async def _violations(
        self, tenant: str, prospect: Prospect, text: bytes
    ) -> list[KeyedViolation]:
        content = encode_json(prospect.change.content)
        try:
            found = await self._validators.validate(text, content, tenant=tenant)
        except SchemaTooExpensive as error:
            raise SchemaTooExpensive(f"config {prospect.key!r}: {error.detail}") from error
        return [KeyedViolation(prospect.key, each) for each in found]


def _passed(prospect: Prospect, known: Mapping[str, SchemaText]) -> Prospect:
    if prospect.change.delete or prospect.schema_id is None:
        return prospect
    return replace(prospect, schema_version=known[prospect.schema_id].version)


class _Texts:
    """Schemas that were read lately. May be old: only a lease tells the current version."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, SchemaText] = OrderedDict()
        self._bytes = 0

    def get(self, schema_id: str) -> SchemaText | None:
        found = self._kept.get(schema_id)
        if found is not None:
            self._kept.move_to_end(schema_id)
        return found

    def keep(self, schema_id: str, schema: SchemaText) -> None:
        self.forget(schema_id)
        self._kept[schema_id] = schema
        self._bytes += len(schema.text)
        while len(self._kept) > MAX_KEPT or self._bytes > MAX_KEPT_BYTES:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= len(gone.text)

    def forget(self, schema_id: str) -> None:
        gone = self._kept.pop(schema_id, None)
        if gone is not None:
            self._bytes -= len(gone.text)
