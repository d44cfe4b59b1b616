"""Goal: `guardian release` prepares a platform's database, and can be run on every deploy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT


def _release(database_url: str, data_dir: Path, **environ: str) -> str:
    done = subprocess.run(
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
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


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
