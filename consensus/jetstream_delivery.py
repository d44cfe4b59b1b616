"""What the servers write into the reply subject of a message that they deliver.

By hand, because the client's own `Msg.metadata` rounds the time through a float and so
differs by a microsecond from what the JetStream API tells of the same message.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from consensus.log import LogCorrupt

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Delivery(NamedTuple):
    """What the reply subject of a delivered message says (NATS ADR-15)."""

    stream_sequence: int
    consumer_sequence: int
    time: datetime


def parse_delivery(reply: str) -> Delivery:
    """Parse `$JS.ACK.<stream>.<consumer>.<n>.<stream seq>.<consumer seq>.<ns>.<pending>`.

    Newer servers put domain and account before the stream, and may append tokens.
    Raises LogCorrupt.
    """
    tokens = reply.split(".")
    start = 2 if len(tokens) == 9 else 4
    if len(tokens) < start + 7 or tokens[:2] != ["$JS", "ACK"]:
        raise LogCorrupt(f"not the reply subject of a stored message: {reply!r}")
    try:
        stream, consumer, nanoseconds = map(int, tokens[start + 3 : start + 6])
    except ValueError as error:
        raise LogCorrupt(f"not the reply subject of a stored message: {reply!r}") from error
    return Delivery(stream, consumer, _EPOCH + timedelta(microseconds=nanoseconds // 1000))
