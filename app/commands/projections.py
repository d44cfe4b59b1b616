"""`guardian projections …`: rebuild `configs` from the revisions, or prove it right."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from app.commands import KnownFailures, attached_settings
from app.commands._progress import progress_bar
from app.commands._projects import chosen_projects

if TYPE_CHECKING:
    from projections.rebuild import Report

_project = click.option("--project", metavar="ID", help="Only this project, by its id.")
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")


@click.group()
def command() -> None:
    """The configs table as a projection of the audit log."""


@command.command()
@_project
@_json
def rebuild(project: str | None, as_json: bool) -> None:
    """Make every row again from its revisions and put right what differs. Reads go on meanwhile."""
    from projections.rebuild import rebuild_configs

    report = _run(rebuild_configs, "rebuilding", project, as_json)
    _print(report, as_json, "put right")


@command.command()
@_project
@_json
def verify(project: str | None, as_json: bool) -> None:
    """Compare every row with its revisions. Exits with 1 and the first difference."""
    from projections.rebuild import verify_configs

    report = _run(verify_configs, "verifying", project, as_json)
    _print(report, as_json, "differ")
    if report.differences:
        sys.exit(1)


def _run(
    work: Callable[..., Coroutine[Any, Any, Report]], doing: str, project: str | None, as_json: bool
) -> Report:
    dsn = attached_settings().require_database_url()
    with KnownFailures(), progress_bar(doing, "revisions", disable=as_json) as progress:
        return asyncio.run(_checked(work, dsn, project, progress))


async def _checked(
    work: Callable[..., Coroutine[Any, Any, Report]],
    dsn: str,
    project: str | None,
    progress: Callable[[int, int], None],
) -> Report:
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        await chosen_projects(connection, project)
    finally:
        await connection.close()
    return await work(dsn, project, progress)


def _print(report: Report, as_json: bool, verb: str) -> None:
    if as_json:
        import orjson

        print(orjson.dumps(asdict(report)).decode())
        return
    print(f"{report.configs} configs at position {report.position}, {report.differences} {verb}")
    if report.first is not None:
        first = report.first
        print(f"first: {first.what}: project {first.project_id} key {first.key}")
        print(f"  revisions say  {first.expected}")
        print(f"  the table says {first.found}")
