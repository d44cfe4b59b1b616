"""Goal: what a replica answers without a consumer is taken only as far as nothing is missing in it,
and only if it is of the log that was read before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from nats.aio.msg import Msg

from consensus.jetstream_direct import _behind
from consensus.jetstream_layout import Layout, encode_group

LAYOUT = Layout("log", groups=True)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def sent(*numbers: int) -> list[Msg]:
    """Messages 3, 4, … of the stream, of which some were lost on their way."""
    return [
        Msg(
            cast(Any, None),
            data=encode_group([b"a", b"b"]),
            headers={
                "Nats-Sequence": str(number),
                "Nats-Last-Sequence": "0" if number == 3 else str(number - 1),
                "Nats-Time-Stamp": (NOON + timedelta(seconds=number)).isoformat(),
                "Nats-Subject": "log.group",
            },
        )
        for number in numbers
    ]


def positions(last: tuple[int, datetime], *numbers: int) -> list[int]:
    return [entry.position for entry in _behind(last, LAYOUT, sent(*numbers))]


def test_what_is_behind_a_lost_message_is_left_out() -> None:
    last = (300, NOON + timedelta(seconds=3))
    assert positions(last, 3, 4, 5) == [399, 400, 499, 500]
    assert positions(last, 3, 5) == []
    assert positions(last, 3, 4, 6) == [399, 400]
    assert positions(last, 4, 5) == []
    # In the midst of a group the rest of it comes, too.
    assert positions((299, last[1]), 3, 4) == [300, 399, 400]


def test_another_log_says_nothing() -> None:
    assert positions((300, NOON), 3, 4) == []
    assert positions((200, NOON + timedelta(seconds=3)), 3, 4) == []
