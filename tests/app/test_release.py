"""Goal: `guardian release` prepares a platform's database, and can be run on every deploy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from app.tables.users import insert_user
from tests.support.commands import Ended, run_alone, run_here

Run = Callable[..., Ended]


def _release(database_url: str, data_dir: Path, run: Run = run_here, **environ: str) -> Ended:
    ours = {"PATH": "/usr/bin:/bin", "DATABASE_URL": database_url}
    return run("release", environ={**ours, "GUARDIAN_DATA_DIR": str(data_dir), **environ})


def test_release_migrates_and_shows_the_first_sign_in_once(
    empty_database_url: str, tmp_path: Path
) -> None:
    first = _release(empty_database_url, tmp_path, run_alone)
    assert (first.code, first.err) == (0, "")
    assert "password: " in first.out
    assert _release(empty_database_url, tmp_path) == Ended(0, "", "")


def test_the_first_sign_in_can_be_given(empty_database_url: str, tmp_path: Path) -> None:
    shown = _release(
        empty_database_url,
        tmp_path,
        GUARDIAN_ADMIN_EMAIL="ops@example.com",
        GUARDIAN_ADMIN_PASSWORD="a long enough password",
    )
    assert (shown.code, shown.err) == (0, "")
    assert "ops@example.com" in shown.out
    assert "a long enough password" not in shown.out


@pytest.mark.parametrize(
    ("email", "password", "line"),
    [
        ("ops@example.com", "short", "GUARDIAN_ADMIN_PASSWORD: a password has at least 12"),
        ("notanemail", "a long enough password", "GUARDIAN_ADMIN_EMAIL: must be an e-mail address"),
    ],
)
def test_a_sign_in_that_nobody_may_have_is_refused_before_anything_is_migrated(
    empty_database_url: str, tmp_path: Path, email: str, password: str, line: str
) -> None:
    done = _release(
        empty_database_url,
        tmp_path,
        GUARDIAN_ADMIN_EMAIL=email,
        GUARDIAN_ADMIN_PASSWORD=password,
    )
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {line}")
    assert len(done.err.splitlines()) == 1
    assert password not in done.err
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        asyncio.run(asyncpg.connect(empty_database_url))


async def _insert_ada(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await insert_user(connection, "u-1", "ada@example.com", "a hash", False)
    await connection.close()


def test_the_first_superuser_takes_nobodys_place(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_insert_ada(database_url))
    done = _release(
        database_url,
        tmp_path,
        GUARDIAN_ADMIN_EMAIL="Ada@example.com",
        GUARDIAN_ADMIN_PASSWORD="a long enough password",
    )
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "error: GUARDIAN_ADMIN_EMAIL: there is a user ada@example.com already,"
        " who is no superuser; name another address\n"
    )
