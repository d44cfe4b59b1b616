"""The command line as a whole: what it says of itself, and how it says that it failed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.app.api.test_audit import guardian
from tests.app.api.test_watch import put
from tests.support.processes import ROOT
from tests.support.rows import tamper
from tests.support.service import run_service, settings_for

_HELP = """
from click.testing import CliRunner
from app.cli import main
told = CliRunner().invoke(main, ["--help"])
assert told.exit_code == 0, told.output
assert "projections" in told.output
"""
_REFUSED = """
from click.testing import CliRunner
from app.cli import main
for command in ("web", "projector"):
    told = CliRunner().invoke(main, [command])
    assert (told.exit_code, told.output) == (2, "error: DATABASE_URL: is not set\\n"), told.output
"""
_WITHOUT_WEB = "import app.backup, app.commands.log, app.raft_log, projections.projector"


def _loaded(program: str, *modules: str) -> list[str]:
    """Which of these modules a process has loaded that ran this program."""
    said = f"import sys\n{program}\nprint(*sorted({set(modules)} & set(sys.modules)))"
    command = [sys.executable, "-c", said]
    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("program", [_HELP, _REFUSED], ids=["help", "refusal"])
def test_the_list_of_commands_and_a_refusal_load_no_library(program: str) -> None:
    libraries = ("aiohttp", "asyncpg", "eventsourcing", "nats", "rich", "uvloop")
    assert _loaded(program, *libraries) == []


def test_the_projector_and_the_commands_of_the_log_do_not_load_the_web_service() -> None:
    """That was up to half of their start."""
    assert _loaded(_WITHOUT_WEB, "app.web", "app.serve", "app.services", "aiohttp.web") == []


async def test_a_revision_that_cannot_be_read_is_told_in_one_line(
    database_url: str, nats_url: str, stream_name: str
) -> None:
    async with run_service(settings_for(database_url, nats_url, stream_name)) as service:
        admin = await service.anonymous.sign_in()
        project, _ = await service.project(admin)
        await put(admin, f"{project}/configs", "a", 1)
        await tamper(database_url, "UPDATE config_revisions SET event = 'config:unheard'")
        for command in ("rebuild", "verify"):
            code, out, err = await guardian(service, "projections", command)
            assert (code, out) == (1, "")
            assert err.splitlines()[-1] == (
                f"error: the log entry cannot be decoded: {project.split('/')[-1]}/a version 1:"
                " unknown event 'config:unheard'"
            )
            assert "Traceback" not in err
