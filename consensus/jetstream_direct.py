"""Reading a stretch of the stream from any replica, without a consumer (NATS ADR-31).

Stands in while no consumer can be made: that needs the leader of the whole cluster's
metadata, whose election takes seconds, while the replicas hold all that is committed. Must
never be the first to read a log: it cannot tell by itself that it is the right one.
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import api

from consensus.jetstream_layout import Layout
from consensus.log import MAX_BATCH_BYTES, Entry

_MAX_ENTRIES: Final = 1000


async def read_directly(
    client: Client,
    layout: Layout,
    last: tuple[int, datetime],
    *,
    timeout: float,
) -> list[Entry]:
    """What the replica that answers holds behind `last`, the last entry that was read.

    It is asked for `last` too, and believed only if it has that entry with the same time.
    Empty when it does not, or nothing is behind it, or nobody answers. A replica may lag.
    """
    messages: list[Msg] = []
    ended = asyncio.Event()

    async def collect(message: Msg) -> None:
        if message.headers and "Status" in message.headers:
            ended.set()  # 204: all were sent; 404: not there; 503: the stream does not allow it
        else:
            messages.append(message)

    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox, cb=collect)
    try:
        request = {
            "seq": layout.sequence(last[0]),
            "next_by_subj": f"{layout.stream}.*",
            "batch": _MAX_ENTRIES,
            "max_bytes": MAX_BATCH_BYTES,
        }
        await client.publish(
            f"{api.DEFAULT_PREFIX}.DIRECT.GET.{layout.stream}",
            json.dumps(request).encode(),
            reply=inbox,
        )
        async with asyncio.timeout(timeout):
            await ended.wait()
    except TimeoutError:
        pass  # what came until here is a prefix, and good
    finally:
        if not client.is_closed:
            await subscription.unsubscribe()
    return _behind(last, layout, messages)


def _behind(last: tuple[int, datetime], layout: Layout, messages: list[Msg]) -> list[Entry]:
    entries: list[Entry] = []
    previous = 0
    for message in messages:
        headers = message.headers or {}
        # A message was lost on its way: stop before it.
        if int(headers.get("Nats-Last-Sequence", -1)) != previous:
            break
        previous = int(headers["Nats-Sequence"])
        # Python cuts the nanoseconds off, as everywhere here.
        time = datetime.fromisoformat(headers["Nats-Time-Stamp"])
        entries += layout.entries(headers.get("Nats-Subject"), previous, message.data, time)
    known = [(entry.position, entry.time) for entry in entries]
    return entries[known.index(last) + 1 :] if last in known else []
