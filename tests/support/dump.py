"""Dumps and restores databases with the programs that PostgreSQL brings."""

from __future__ import annotations

import asyncio

from app.embedded.postgres import binaries

_NOISE = ("\\restrict", "\\unrestrict", "--", "SET transaction_timeout")


async def dump(database_url: str, *options: str) -> str:
    """What pg_dump writes, without the lines that differ from run to run.

    Nor those that a server older than pg_dump does not know.
    """
    text = await _run("pg_dump", *options, database_url)
    return "\n".join(line for line in text.splitlines() if not line.startswith(_NOISE) and line)


async def schema_of(database_url: str) -> str:
    """The schema, without the table in which dbmate keeps its versions."""
    return await dump(database_url, "--schema-only", "--exclude-table=schema_migrations")


async def restore(dumped: str, database_url: str) -> None:
    """Run a dump in an empty database; any error in it is an error here."""
    await _run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database_url, text=dumped)


async def _run(program: str, *arguments: str, text: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        str(binaries() / program),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(text.encode())
    if process.returncode != 0:
        raise RuntimeError(f"{program}: {errors.decode()}")
    return output.decode()
