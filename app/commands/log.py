"""`guardian log …`: the Raft log beside the database: compare, replay, pass over an entry."""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import click

from app.commands import KnownFailures, Misuse, attached_settings, check_database_url
from app.commands._progress import progress_bar

if TYPE_CHECKING:
    from app.settings import Settings
    from consensus.log import Log
    from projections.replay import ReplayReport

_json = click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")


@click.group()
def command() -> None:
    """The Raft log: what it holds, and what the database made of it."""


@command.command()
@_json
def status(as_json: bool) -> None:
    """First and last position, the checkpoint, and whether both still agree. 1 if they do not, or
    if a server has lost a part of the log."""
    from projections.log_status import log_status

    async def work(settings: Settings, log: Log) -> Any:
        return await log_status(log, settings.require_database_url())

    found = _run(work)
    if as_json:
        _print_json(found)
    else:
        print(f"log         positions {found.first_position} to {found.last_position}")
        print(f"            leader {found.leader or 'none'}, term {found.term or 'unknown'}")
        print(f"checkpoint  {found.checkpoint} ({found.behind} behind), {found.skipped} skipped")
        print(f"agreement   {found.problem or 'the log holds what was applied last'}")
        for server, messages in found.lacking.items():
            print(f"damaged     {server} lacks {messages} messages of the log, or more")
        if found.halt is not None:
            print(f"halted      {found.halt.halted_at:%Y-%m-%dT%H:%M:%SZ} {found.halt.reason}")
            print(f"            {found.halt.detail}")
    if found.problem or found.halt or found.lacking:
        sys.exit(1)


@command.command()
@click.argument("position", type=click.IntRange(min=1))
@click.option("--reason", required=True, help="Why nobody needs this entry; kept for ever.")
@click.option("--by", "decided_by", default=None, help="Who decided [default: your user name].")
@_json
def skip(position: int, reason: str, decided_by: str | None, as_json: bool) -> None:
    """Let the projector pass over the entry that it halted at.

    Only the entry at which it stands, and only with these bytes. What the entry says is lost
    for this database: read docs/RUNBOOK.md first.
    """
    from projections.log_status import NotHaltedThere, skip_entry

    _require_reason(reason)

    async def work(settings: Settings, log: Log) -> str:
        who = decided_by or getpass.getuser()
        return await skip_entry(log, settings.require_database_url(), position, reason, who)

    try:
        digest = _run(work)
    except NotHaltedThere as error:
        raise Misuse(str(error)) from error
    if as_json:
        _print_json({"position": position, "sha256": digest})
    else:
        print(f"the entry at {position} (SHA-256 {digest}) will be passed over")


@command.command("begin-anew")
@click.option("--reason", required=True, help="What happened to the Raft group; kept for ever.")
@click.option("--by", "decided_by", default=None, help="Who decided [default: your user name].")
@click.option("--replace", is_flag=True, help="Delete the stream that is there, with all it holds.")
@_json
def begin_anew(reason: str, decided_by: str | None, replace: bool, as_json: bool) -> None:
    """Make an empty log behind what the database holds, when every Raft server was lost.

    Stop all web processes and projectors first; while one is connected to the database, it is
    refused. Nothing that was acknowledged is lost; read docs/RUNBOOK.md before.
    """
    from app.raft_log import access_of
    from consensus.jetstream_snapshot import begin_stream
    from projections.log_beginning import begin_anew as begin

    _require_reason(reason)
    settings = attached_settings()

    async def make_log(first_position: int) -> None:
        access = access_of(settings)
        await begin_stream(access, settings.stream, first_position, replace=replace)

    async def work() -> int:
        who = decided_by or getpass.getuser()
        return await begin(settings.require_database_url(), reason, who, make_log)

    first = _guarded(work)
    if as_json:
        _print_json({"first_position": first})
    else:
        print(f"the log begins anew at position {first}; start the services")


@command.command()
@click.option("--into", required=True, metavar="URL", help="A database that is new or empty.")
@click.option(
    "--tables-from",
    metavar="URL",
    help="Where users, projects and schemas come from [default: DATABASE_URL].",
)
@_json
def replay(into: str, tables_from: str | None, as_json: bool) -> None:
    """Make a database from the log alone, and compare it with the live one, hash for hash.

    Exits with 1 if they differ. The live database may go on working.
    """
    from app.migrations import create_database, up
    from projections.replay import TargetNotFresh
    from projections.replay import replay as run_replay

    with KnownFailures():
        check_database_url("--into", into)
        if tables_from is not None:
            check_database_url("--tables-from", tables_from)

    async def work(settings: Settings, log: Log) -> ReplayReport:
        source = tables_from or settings.require_database_url()
        if source == into:
            raise TargetNotFresh("it is the one that the tables come from")
        await create_database(into)
        await up(into)
        with progress_bar("replaying", "positions", disable=as_json) as progress:
            return await run_replay(log, into, source, progress)

    try:
        report = _run(work)
    except TargetNotFresh as error:
        raise Misuse(f"--into: {error}") from error
    if as_json:
        _print_json(report)
    else:
        _print_replay(report)
    if report.differences:
        sys.exit(1)


def _print_replay(report: ReplayReport) -> None:
    print(
        f"{report.revisions} revisions up to position {report.position},"
        f" {report.skipped} entries skipped"
    )
    if not report.compared_position:
        print("not compared: the database of the tables holds nothing of the log")
    elif not report.differences:
        print(
            f"equal to the live database at position {report.compared_position}:"
            f" {report.fingerprints} hashes"
        )
    for found in report.differences:
        print(f"DIFFERS: {found.table} of project {found.project_id}")
        print(f"  live     {found.left}")
        print(f"  replayed {found.right}")


def _require_reason(reason: str) -> None:
    """Before anything is done: it is kept for ever."""
    if not reason.strip():
        raise Misuse("--reason: say why")


def _run(work: Any) -> Any:
    """Call `work(settings, log)` with a connected log; known failures end the command."""
    from app.raft_log import connect_log

    settings = attached_settings()

    async def connected() -> Any:
        log = await connect_log(settings)
        try:
            return await work(settings, log)
        finally:
            await log.close()

    return _guarded(connected)


def _guarded(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    with KnownFailures():
        return asyncio.run(work())


def _print_json(value: Any) -> None:
    import orjson

    print(orjson.dumps(value).decode())
