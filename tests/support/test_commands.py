"""Goal: what a command does in this process is what it would do in its own, or the test fails.

Method: what would make a difference, each done on purpose. That both end alike is shown for every
command in tests/app/test_command_failures.py.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.commands import run_here

_NOWHERE = {"DATABASE_URL": "postgresql://127.0.0.1:1/no", "NATS_URL": "nats://127.0.0.1:1"}
_ONLY = {"PATH": "/usr/bin:/bin", "GUARDIAN_DATA_DIR": "/nonexistent/guardian"}


def test_nothing_of_our_environment_shows_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDIAN_PORT", "eighty")
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/ours")
    before = dict(os.environ)
    ended = run_here("log", "status", environ=_ONLY)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "error: DATABASE_URL: is not set, and no `make run` is running here\n"
    assert dict(os.environ) == before


def test_what_a_command_changes_for_its_process_is_changed_back(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        assert run_here("backup", str(tmp_path), environ=_ONLY).code == 2
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(umask)


def test_a_bug_of_the_command_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Path:
        raise LookupError(name)

    monkeypatch.setattr("app.migrations.create", broken)
    with pytest.raises(LookupError, match="a_bug"):
        run_here("migrate", "create", "a_bug", environ=_ONLY)


def test_a_command_that_sets_up_its_log_is_not_run_here() -> None:
    with pytest.raises(AssertionError, match="a process of its own"):
        run_here("projector", environ=_ONLY | _NOWHERE)
