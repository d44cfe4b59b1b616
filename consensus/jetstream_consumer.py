"""The life of one pull consumer: no acknowledgements, one open request at a time.

Hands on entries in order and ends as soon as anything is in doubt; its reader then makes
another. Must never hand on an entry behind one that was lost.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api

from consensus.jetstream_delivery import parse_delivery
from consensus.jetstream_layout import Layout
from consensus.log import MAX_BATCH_BYTES, Entry, LogCorrupt

PULL_MESSAGES: Final = 1000
"""One request brings at most so many, and MAX_BATCH_BYTES: with groups, more entries than that."""
_PULL_EXPIRES_S: Final = 20.0

_HEARTBEAT_S: Final = 0.25
_MISSED_HEARTBEATS: Final = 3
"""A consumer that is silent for more heartbeats than these is given up, after 1 to 1.25 s."""

_INACTIVE_S: Final = 30.0
"""The servers drop a consumer that nobody pulls from for this long."""

_API: Final = api.DEFAULT_PREFIX


class PullConsumer:
    """One consumer on the servers and the subscription that it delivers to."""

    def __init__(
        self,
        client: Client,
        layout: Layout,
        *,
        accept: Callable[[Entry], None],
        has_room: Callable[[], bool],
    ) -> None:
        self._client = client
        self._layout = layout
        self._stream = layout.stream
        self._accept = accept
        self._has_room = has_room
        self._inbox = client.new_inbox()
        self._delivered = 0
        """The last message that it delivered: the stream's numbering."""
        self._skip_to = 0
        self._sequence = 0
        """The consumer's own numbering: dense, so a gap is a lost message."""
        self._pull_number = 0
        self._wanted = 0
        """Messages that the open request may still bring; 0: none is open."""
        self._stir = asyncio.Event()
        """The consumer broke, a request ended, or there is room again."""
        self._heard = False
        self._broken = ""
        self._corrupt: LogCorrupt | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request is open, so that it waits for room."""
        return self._wanted == 0

    def stir(self) -> None:
        """There is room again."""
        self._stir.set()

    def give_up(self, reason: str) -> None:
        """End `follow`: something may have been lost."""
        self._broken = self._broken or reason
        self._stir.set()

    async def make(self, jetstream: JetStreamContext, after: int) -> str:
        """Make the consumer on the servers; its name."""
        info = await jetstream.add_consumer(
            self._stream,
            api.ConsumerConfig(
                deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._layout.sequence_behind(after),
                ack_policy=api.AckPolicy.NONE,
                inactive_threshold=_INACTIVE_S,
                num_replicas=1,
                mem_storage=True,
            ),
        )
        return info.name

    async def follow(self, name: str, skip_to: int) -> str:
        """Pull until the consumer breaks, and return why. Raises LogCorrupt.

        Entries up to position `skip_to` are not handed on: the reader has them already.
        """
        self._skip_to = skip_to
        subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._on_message)
        try:
            while not self._broken:
                if self._wanted == 0 and self._has_room():
                    await self._pull(name)
                await self._wait_while_alive()
        finally:
            # What still arrives is another consumer's business.
            self.give_up("it ended")
            if not self._client.is_closed:
                await subscription.unsubscribe()
            if self._client.is_connected:
                # Frees it at once. Nobody waits for the answer: without this request the
                # servers do it after _INACTIVE_S.
                await self._client.publish(f"{_API}.CONSUMER.DELETE.{self._stream}.{name}")
        if self._corrupt is not None:
            raise self._corrupt
        return self._broken

    async def _pull(self, name: str) -> None:
        self._pull_number += 1
        self._wanted = PULL_MESSAGES
        request = {
            "batch": PULL_MESSAGES,
            "max_bytes": MAX_BATCH_BYTES,
            "expires": int(_PULL_EXPIRES_S * 1e9),
            "idle_heartbeat": int(_HEARTBEAT_S * 1e9),
        }
        await self._client.publish(
            f"{_API}.CONSUMER.MSG.NEXT.{self._stream}.{name}",
            json.dumps(request).encode(),
            reply=f"{self._inbox}.{self._pull_number}",
        )

    async def _wait_while_alive(self) -> None:
        """Return when stirred; give the consumer up when it falls silent.

        Ticks are counted, not seconds: a loop that was blocked for long wakes with one
        late tick, and the heartbeats that came meanwhile are still in the socket.
        """
        missed = 0
        while not self._stir.is_set():
            self._heard = False
            try:
                async with asyncio.timeout(_HEARTBEAT_S):
                    await self._stir.wait()
            except TimeoutError:
                missed = 0 if self._heard or self._wanted == 0 else missed + 1
                if missed > _MISSED_HEARTBEATS:
                    self.give_up("its heartbeats stopped")
        self._stir.clear()

    async def _on_message(self, message: Msg) -> None:
        self._heard = True
        if self._broken:
            return
        try:
            if message.reply.startswith("$JS.ACK."):
                self._on_entries(message)
            else:
                self._on_status(message)
        except LogCorrupt as error:
            self._corrupt = error
            self.give_up(str(error))

    def _on_entries(self, message: Msg) -> None:
        number, sequence, time = parse_delivery(message.reply)
        if sequence != self._sequence + 1:
            self.give_up(f"a message was lost before {number}")
            return
        if number <= self._delivered:
            raise LogCorrupt(f"message {number} came behind message {self._delivered}")
        entries = self._layout.entries(message.subject, number, message.data, time)
        self._sequence = sequence
        self._delivered = number
        for entry in entries:
            if entry.position > self._skip_to:
                self._accept(entry)
        self._wanted -= 1
        if self._wanted == 0:
            self._stir.set()

    def _on_status(self, message: Msg) -> None:
        headers = message.headers or {}
        status, text = headers.get("Status", ""), headers.get("Description", "")
        if status == "100" or message.subject != f"{self._inbox}.{self._pull_number}":
            return  # a heartbeat, or the end of an earlier request
        text = text.lower()
        if text.startswith("batch completed"):
            return  # counted already
        if status != "408" and not text.startswith("message size exceeds"):
            self.give_up(f"{status} {text}".strip())
        elif int(headers.get("Nats-Pending-Messages", self._wanted)) != self._wanted:
            self.give_up("a message was lost")
        else:
            self._wanted = 0
            self._stir.set()
