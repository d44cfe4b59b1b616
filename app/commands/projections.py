"""`guardian projections …`: rebuild `configs` from the revisions, or prove it right."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Any

import asyncpg
import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.embedded.data_folder import attached
from app.settings import SettingsError, load_settings
from projections.rebuild import Report, rebuild_configs, verify_configs

_project = click.option("--project", metavar="ID", help="Only this project.")
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")


@click.group()
def command() -> None:
    """The configs table as a projection of the audit log."""


@command.command()
@_project
@_json
def rebuild(project: str | None, as_json: bool) -> None:
    """Fold all revisions again and put right every row that differs. Reads go on meanwhile."""
    report = _run(rebuild_configs, "rebuilding", project, as_json)
    _print(report, as_json, "put right")


@command.command()
@_project
@_json
def verify(project: str | None, as_json: bool) -> None:
    """Compare every row with its revisions. Exits with 1 and the first difference."""
    report = _run(verify_configs, "verifying", project, as_json)
    _print(report, as_json, "differ")
    if report.differences:
        sys.exit(1)


def _run(
    work: Callable[..., Coroutine[Any, Any, Report]], doing: str, project: str | None, as_json: bool
) -> Report:
    try:
        dsn = attached(load_settings(os.environ)).require_database_url()
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("revisions"),
        TimeElapsedColumn(),
    )
    try:
        with Progress(*columns, console=Console(stderr=True), disable=as_json) as bar:
            task = bar.add_task(doing, total=None)
            return asyncio.run(
                work(
                    dsn,
                    project,
                    lambda done, total: bar.update(task, completed=done, total=total),
                )
            )
    except (OSError, asyncpg.PostgresError) as error:
        raise click.ClickException(f"the database: {error}") from error


def _print(report: Report, as_json: bool, verb: str) -> None:
    if as_json:
        print(orjson.dumps(asdict(report)).decode())
        return
    print(f"{report.configs} configs at position {report.position}, {report.differences} {verb}")
    if report.first is not None:
        first = report.first
        print(f"first: {first.what}: project {first.project_id} key {first.key}")
        print(f"  revisions say  {first.expected}")
        print(f"  the table says {first.found}")
