"""Goal: `guardian release` prepares a platform's database, and can be run on every deploy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from app.tables.users import insert_user
from tests.support.processes import ROOT


def _release(database_url: str, data_dir: Path, **environ: str) -> str:
    done = _run(database_url, data_dir, **environ)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def _run(database_url: str, data_dir: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "release"],
        cwd=ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "DATABASE_URL": database_url,
            "GUARDIAN_DATA_DIR": str(data_dir),
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_release_migrates_and_shows_the_first_sign_in_once(
    empty_database_url: str, tmp_path: Path
) -> None:
    assert "password: " in _release(empty_database_url, tmp_path)
    assert _release(empty_database_url, tmp_path) == ""


def test_the_first_sign_in_can_be_given(empty_database_url: str, tmp_path: Path) -> None:
    shown = _release(
        empty_database_url,
        tmp_path,
        GUARDIAN_ADMIN_EMAIL="ops@example.com",
        GUARDIAN_ADMIN_PASSWORD="a long enough password",
    )
    assert "ops@example.com" in shown
    assert "a long enough password" not in shown


@pytest.mark.parametrize(
    ("email", "password", "line"),
    [
        ("ops@example.com", "short", "GUARDIAN_ADMIN_PASSWORD: a password has at least 12"),
        ("notanemail", "a long enough password", "GUARDIAN_ADMIN_EMAIL: must be an e-mail address"),
    ],
)
async def test_a_sign_in_that_nobody_may_have_is_refused_before_anything_is_migrated(
    empty_database_url: str, tmp_path: Path, email: str, password: str, line: str
) -> None:
    done = _run(
        empty_database_url,
        tmp_path,
        GUARDIAN_ADMIN_EMAIL=email,
        GUARDIAN_ADMIN_PASSWORD=password,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {line}")
    assert len(done.stderr.splitlines()) == 1
    assert password not in done.stderr
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(empty_database_url)


async def test_the_first_superuser_takes_nobodys_place(database_url: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(database_url)
    await insert_user(connection, "u-1", "ada@example.com", "a hash", False)
    await connection.close()
    done = _run(
        database_url,
        tmp_path,
        GUARDIAN_ADMIN_EMAIL="Ada@example.com",
        GUARDIAN_ADMIN_PASSWORD="a long enough password",
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: GUARDIAN_ADMIN_EMAIL: there is a user ada@example.com already,"
        " who is no superuser; name another address\n"
    )
