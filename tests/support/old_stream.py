"""A stream as it was made before there was group commit."""

from __future__ import annotations

from dataclasses import replace

from nats.js import JetStreamContext

from consensus.jetstream_layout import Layout
from consensus.jetstream_stream import stream_config


async def add_old_stream(jetstream: JetStreamContext, stream_name: str) -> None:
    """Make the stream, which has no subject for groups."""
    subjects = Layout(stream_name, groups=False).subjects
    assert subjects == [f"{stream_name}.change", f"{stream_name}.barrier"]
    await jetstream.add_stream(replace(stream_config(stream_name, 3), subjects=subjects))
