"""The Raft group that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.consensus.raft_group import RaftGroup


@pytest.fixture(scope="session")
def shared_group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RaftGroup]:
    """Three servers for every test that does not harm them."""
    group = RaftGroup(tmp_path_factory.mktemp("raft"))
    group.start_all()
    yield group
    group.stop()
