"""What tests of real commands share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.processes import Command


@pytest.fixture
def started() -> Iterator[list[Command]]:
    """Commands of the test; one that a failed assertion left running is killed."""
    commands: list[Command] = []
    yield commands
    for command in commands:
        command.process.kill()
        command.process.wait()
