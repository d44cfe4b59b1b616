"""Publishing to the stream with the answers matched to the questions.

Knows what an answer proves: that an entry is committed, that it certainly is not, or
nothing. Must never take "no answer" for "not committed".
"""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from consensus.jetstream_connection import Connection
from consensus.jetstream_stream import HEADER_ROOM_BYTES
from consensus.log import AppendOutcomeUnknown, EntryTooLarge, LogUnavailable

_ANSWER_TIMEOUT_S: Final = 2.0
"""An attempt without an answer is sent again after this time, with the same id. A commit
takes milliseconds; without an answer the leader is gone, or its answer was lost."""

FIRST_PAUSE_S: Final = 0.02
LONGEST_PAUSE_S: Final = 0.25

_MESSAGE_TOO_LARGE: Final = 10054

# Refusals that a server gives before it proposes the entry to the Raft group: JetStream off
# for the account (10039) or the server (10076), message too large (10054), stream sealed
# (10109), message TTL not valid (10165) or not allowed (10166). Any other error may come from a
# member that failed to store an entry which the group has committed (10077 "store failed"
# does), or may speak of an earlier attempt that is still under way (10158): it proves nothing.
_NOT_PROPOSED: Final = frozenset({10039, _MESSAGE_TOO_LARGE, 10076, 10109, 10165, 10166})


class _Pending:
    """The answers to all attempts of one append."""

    __slots__ = ("position", "reason", "refused", "sent", "signal", "too_large")

    def __init__(self) -> None:
        self.sent = 0
        self.refused = 0
        """Attempts that certainly changed nothing; equal to `sent`: nothing was appended."""
        self.position: int | None = None
        self.too_large = False
        """An attempt was refused for the entry's size."""
        self.reason = "no server was connected"
        self.signal: asyncio.Future[None] | None = None

    @property
    def nothing_appended(self) -> bool:
        """Whether that is certain, because no attempt is left without an answer."""
        return self.refused == self.sent

    @property
    def decided(self) -> bool:
        """Whether no answer that may still come could tell more."""
        return self.position is not None or (self.too_large and self.nothing_appended)

    def wake(self) -> None:
        if self.signal is not None and not self.signal.done():
            self.signal.set_result(None)

    async def answer(self, until: float) -> None:
        """Wait for any news until the loop's clock shows `until`."""
        if self.decided:
            return
        loop = asyncio.get_running_loop()
        self.signal = loop.create_future()
        # By hand, because each append comes here: asyncio.timeout_at() takes five times as long.
        alarm = loop.call_at(until, self.wake)
        try:
            await self.signal
        finally:
            alarm.cancel()
            self.signal = None


class Publisher:
    """Publishes with retries; many at once on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._inbox = ""
        self._tokens = itertools.count(1)
        self._pending: dict[str, _Pending] = {}
        connection.on_connect.append(self._subscribe)
        connection.on_change.append(self._wake_all)

    async def publish(
        self,
        subject: str,
        data: bytes,
        headers: dict[str, str],
        *,
        timeout: float,
        retry_refused: bool = True,
    ) -> int:
        """The committed message's sequence. The headers must hold its Nats-Msg-Id.

        Raises LogUnavailable when every attempt was refused, or none was made, EntryTooLarge
        when one of them was for the size; AppendOutcomeUnknown after `timeout` seconds otherwise.
        Without `retry_refused`, LogUnavailable comes as soon as it is certain that nothing was
        appended so far.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        token = str(next(self._tokens))
        pending = self._pending[token] = _Pending()
        pause = FIRST_PAUSE_S
        try:
            while await self._connection.wait_up(deadline):
                await self._send(pending, token, subject, data, headers)
                await pending.answer(min(deadline, loop.time() + _ANSWER_TIMEOUT_S))
                if not retry_refused and pending.nothing_appended and not pending.decided:
                    break
                if not pending.decided:
                    # A late answer to an earlier attempt ends the pause.
                    await pending.answer(min(deadline, loop.time() + pause))
                    pause = min(2 * pause, LONGEST_PAUSE_S)
                if pending.position is not None:
                    return pending.position
                if pending.decided:
                    raise EntryTooLarge(f"the log refuses an entry of {len(data)} bytes")
                if loop.time() >= deadline:
                    break
        finally:
            del self._pending[token]
        if pending.nothing_appended:
            raise LogUnavailable(f"nothing was appended within {timeout:g} s: {pending.reason}")
        raise AppendOutcomeUnknown(f"no confirmation within {timeout:g} s: {pending.reason}")

    async def _send(
        self, pending: _Pending, token: str, subject: str, data: bytes, headers: dict[str, str]
    ) -> None:
        client = self._connection.client
        if len(data) + HEADER_ROOM_BYTES > client.max_payload:
            # Not left to nats-py, which forgets the headers: the server would end the connection.
            pending.too_large = True
            pending.reason = "this server takes no entry of this size"
            return
        # Counted first: if anything goes wrong half way, the outcome is unknown.
        pending.sent += 1
        pending.reason = "no answer"
        try:
            await client.publish(subject, data, reply=f"{self._inbox}.{token}", headers=headers)
        except nats.errors.Error as error:
            # The client refuses before it writes: not connected, or its buffer is full.
            pending.refused += 1
            pending.reason = str(error)

    async def _subscribe(self, client: Client) -> None:
        self._inbox = client.new_inbox()
        await client.subscribe(f"{self._inbox}.*", cb=self._on_answer)

    async def _on_answer(self, message: Msg) -> None:
        pending = self._pending.get(message.subject.rpartition(".")[2])
        if pending is None:
            return  # its caller gave up
        if message.headers and message.headers.get("Status") == "503":
            pending.refused += 1
            pending.reason = "the Raft group has no leader (no responders)"
        else:
            answer = json.loads(message.data)
            error = answer.get("error")
            if error is None:
                pending.position = int(answer["seq"])
            else:
                code = error.get("err_code")
                pending.too_large |= code == _MESSAGE_TOO_LARGE
                pending.refused += code in _NOT_PROPOSED
                pending.reason = f"{error.get('description', 'refused')} ({code})"
        pending.wake()

    def _wake_all(self) -> None:
        """The connection changed: answers that are still out will not come."""
        for pending in self._pending.values():
            pending.reason = "the connection was lost"
            pending.wake()
