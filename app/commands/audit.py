"""`guardian audit …`: prove that history is as it was recorded."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from app.commands import KnownFailures, attached_settings
from app.commands._progress import progress_bar
from app.commands._projects import chosen_projects

if TYPE_CHECKING:
    from projections.audit_verify import Verdict


@click.group("audit")
def command() -> None:
    """The audit log and its hash chains."""


@command.command()
@click.option("--project", metavar="ID", help="Only this project, by its id.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def verify(project: str | None, as_json: bool) -> None:
    """Walk the chain of every project. Exits with 1 and names each first bad revision."""
    import orjson

    dsn = attached_settings().require_database_url()
    with (
        KnownFailures(),
        progress_bar("verifying", "revisions", disable=as_json) as progress,
    ):
        verdicts = asyncio.run(_verify(dsn, project, progress))
    if as_json:
        intact = all(verdict.intact for verdict in verdicts)
        body = {"intact": intact, "projects": [asdict(verdict) for verdict in verdicts]}
        click.echo(orjson.dumps(body).decode())
    else:
        for verdict in verdicts:
            click.echo(_line(verdict))
    sys.exit(0 if all(verdict.intact for verdict in verdicts) else 1)


async def _verify(
    dsn: str, project: str | None, progress: Callable[[int, int], None]
) -> list[Verdict]:
    import asyncpg

    from projections.audit_verify import verify_project

    connection = await asyncpg.connect(dsn)
    try:
        chosen = await chosen_projects(connection, project)
        total, done = sum(chosen.values()), 0
        verdicts = []
        for project_id in chosen:
            before = done

            def step(proved: int, before: int = before) -> None:
                progress(before + proved, max(total, before + proved))

            verdict = await verify_project(connection, project_id, step)
            done += verdict.revisions
            verdicts.append(verdict)
        return verdicts
    finally:
        await connection.close()


def _line(verdict: Verdict) -> str:
    bad = verdict.first_bad
    if bad is None:
        return (
            f"{verdict.project_id}: intact, {verdict.revisions} revisions up to position"
            f" {verdict.head_position}, head {verdict.head_hash}"
        )
    what = f"{bad.key} version {bad.version} at position {bad.position}" if bad.key else "the end"
    return f"{verdict.project_id}: BAD at revision {bad.number}, {what}: {bad.reason}"
