"""The promise under faults: nothing acknowledged is lost, doubled or moved, whatever happens.

Method: tests.faults.run does it all in a process of its own. FAULTS_MINUTES and FAULTS_SEED say
how long and with which schedule; without them a short, bounded part runs.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.faults.broken import VARIANTS
from tests.faults.cluster import ROOT

SHORT_MINUTES = 0.75
MINUTES = float(os.environ.get("FAULTS_MINUTES") or 0)
SEED = os.environ.get("FAULTS_SEED") or None
AROUND_S = 400
"""Start, healing and proofs, on a machine that does other things as well."""

pytestmark = pytest.mark.faults


def run(*arguments: str, minutes: float, shown: bool) -> tuple[int, str]:
    """One run: exit code and output; `shown` as it comes."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.faults.run", "--parent", str(os.getpid())),
            *("--minutes", f"{minutes:g}", *arguments),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if shown:
            sys.stdout.write(line)
            sys.stdout.flush()
    return process.wait(), "".join(lines)


@pytest.mark.timeout(MINUTES * 60 + AROUND_S)
def test_nothing_is_lost_doubled_or_moved_whatever_fails() -> None:
    seed = ["--seed", SEED] if SEED else []
    short = [] if MINUTES else ["--short"]
    code, output = run(*seed, *short, minutes=MINUTES or SHORT_MINUTES, shown=bool(MINUTES))
    assert code == 0, output
    assert "nothing is wrong" in output


@pytest.mark.soak
@pytest.mark.timeout(AROUND_S)
@pytest.mark.parametrize(
    ("variant", "found"),
    [
        ("ack-before-commit", "WRONG lost: "),
        ("no-version-rule", "WRONG order: "),
        ("skip-one", "WRONG diverged: "),
        ("apply-twice", "WRONG doubled: "),
    ],
)
def test_a_broken_build_is_caught(variant: str, found: str) -> None:
    assert variant in VARIANTS
    code, output = run("--broken", variant, "--seed", "1", minutes=0.15, shown=False)
    assert code == 1, output
    assert found in output
