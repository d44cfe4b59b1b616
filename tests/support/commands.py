"""Runs one command to its end: in a process of its own, or in this one.

To start Python and load what a command needs takes up to 0.7 s of a processor, and a refusal a
millisecond. So only a few of the tests of refusals start processes; the others call the command
here, where only this module knows how to make both the same.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from unittest import mock

import click

from app import cli
from tests.support.processes import ROOT


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str


def run_alone(*arguments: str, environ: Mapping[str, str], module: str = "app.cli") -> Ended:
    """`python -m module …` with these variables and no others."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def run_here(*arguments: str, environ: Mapping[str, str], main: click.Command = cli.main) -> Ended:
    """`guardian …` without a process, for a command that ends before it sets up its log.

    That is set up for the whole life of a process, and would be that of the tests behind: it is an
    AssertionError. Any exception but the end of a process comes through, as it would be a traceback
    there. No event loop may run in this thread, which must be the main one.
    """
    out, err = io.StringIO(), io.StringIO()
    umask = os.umask(0o022)
    try:
        with (
            mock.patch.dict(os.environ, environ, clear=True),
            mock.patch("app.logs.configure_logs", _needs_a_process),
            contextlib.chdir(ROOT),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            main(list(arguments), prog_name="guardian")
    except SystemExit as end:
        return Ended(_code(end), out.getvalue(), err.getvalue())
    finally:
        os.umask(umask)
    raise AssertionError("click ends every command with SystemExit")


def _needs_a_process(level: str) -> None:
    raise AssertionError("the command got as far as its log: give it a process of its own")


def _code(end: SystemExit) -> int:
    assert isinstance(end.code, int), "a process would print it, and end with 1"
    return end.code
