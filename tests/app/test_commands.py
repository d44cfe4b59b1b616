"""The command line as a whole: what it says of itself, and how it says that it failed."""

from __future__ import annotations

import subprocess
import sys

from tests.app.api.test_audit import guardian
from tests.app.api.test_watch import put
from tests.support.rows import tamper
from tests.support.service import run_service, settings_for

_HELP = """
import sys
from click.testing import CliRunner
from app.cli import main
told = CliRunner().invoke(main, ["--help"])
assert told.exit_code == 0, told.output
assert "projections" in told.output
print(*sorted({"aiohttp", "asyncpg", "eventsourcing", "nats", "rich", "uvloop"} & set(sys.modules)))
"""


def test_the_list_of_commands_loads_no_library_of_theirs() -> None:
    done = subprocess.run([sys.executable, "-c", _HELP], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


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
