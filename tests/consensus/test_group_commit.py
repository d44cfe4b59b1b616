"""Group commit on a publisher that does what a script says: what callers are told is true.

The real publisher's answers come when the servers like; here each may come in any order with
any other event, which is where a wrong promise would hide.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.jetstream_connection import Connection
from consensus.jetstream_group import GROUP_BYTES, GroupAppender
from consensus.jetstream_layout import GROUP_ROOM, Layout, decode_group
from consensus.jetstream_publisher import Publisher
from consensus.log import (
    AppendOutcomeUnknown,
    EntryTooLarge,
    LogUnavailable,
)
from tests.consensus.contract import new_id

LAYOUT = Layout("s", groups=True)
NOW = datetime.now(UTC)
TIMEOUT_S = 10.0


class Up:
    """A connection that is there."""

    is_closed = False

    async def wait_up(self, deadline: float) -> bool:
        return not self.is_closed


@dataclass
class Script:
    """A publisher whose messages end as the script says; then they are taken."""

    script: list[str] = field(default_factory=list)
    messages: list[tuple[str, bytes]] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    hold: asyncio.Event | None = None
    timeouts: list[float] = field(default_factory=list)

    async def publish(
        self, subject: str, data: bytes, headers: dict[str, str], *, timeout: float, **_: object
    ) -> int:
        self.timeouts.append(timeout)
        does = self.script.pop(0) if self.script else "taken"
        if self.hold is not None:
            await self.hold.wait()
        await asyncio.sleep(0)
        if does == "refused":
            raise LogUnavailable("refused")
        if does == "alone too large":
            raise EntryTooLarge("refused")
        if does == "too large" and subject == "s.group":
            raise EntryTooLarge("refused")
        if does == "lost":
            raise AppendOutcomeUnknown("lost")
        message_id = headers["Nats-Msg-Id"]
        if message_id not in self.ids:
            self.messages.append((subject, data))
            self.ids[message_id] = len(self.messages)
        if does == "unknown":
            raise AppendOutcomeUnknown("taken, but nobody heard of it")
        return self.ids[message_id]

    @property
    def entries(self) -> dict[int, bytes]:
        return {
            entry.position: entry.data
            for number, (subject, data) in enumerate(self.messages, 1)
            for entry in LAYOUT.entries(subject, number, data, NOW)
        }


def appender_on(script: Script) -> GroupAppender:
    return GroupAppender(cast(Connection, Up()), cast(Publisher, script), LAYOUT)


async def outcome(appender: GroupAppender, name: str) -> Any:
    try:
        return await appender.append(name, name.encode(), timeout=TIMEOUT_S)
    except (LogUnavailable, AppendOutcomeUnknown) as error:
        return type(error)


async def first_under_way(appender: GroupAppender) -> asyncio.Task[int]:
    """The append of "0", whose message was sent."""
    first = asyncio.create_task(appender.append("0", b"0", timeout=TIMEOUT_S))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return first


async def test_what_comes_while_a_message_is_under_way_goes_together_in_the_next() -> None:
    script = Script(hold=asyncio.Event())
    appender = appender_on(script)
    first = await first_under_way(appender)
    rest = [
        asyncio.create_task(appender.append(str(n), b"%d" % n, timeout=TIMEOUT_S))
        for n in range(1, 6)
    ]
    await asyncio.sleep(0)
    assert script.hold is not None
    script.hold.set()
    assert await first == 100
    assert await asyncio.gather(*rest) == [196, 197, 198, 199, 200]
    assert [subject for subject, _ in script.messages] == ["s.change", "s.group"]
    assert list(script.entries.values()) == [b"%d" % n for n in range(6)]


async def test_a_large_entry_goes_by_itself_and_holds_up_nobody() -> None:
    script = Script()
    appender = appender_on(script)
    large = b"x" * (GROUP_BYTES // 2)
    got = await asyncio.gather(
        *(appender.append(new_id(), data, timeout=TIMEOUT_S) for data in (large, b"1", b"2", large))
    )
    assert [script.entries[position] for position in got] == [large, b"1", b"2", large]
    assert sorted(subject for subject, _ in script.messages) == ["s.change", "s.change", "s.group"]


async def test_a_group_takes_no_more_than_fits() -> None:
    script = Script()
    appender = appender_on(script)
    data = b"x" * (GROUP_BYTES // 5)
    await asyncio.gather(*(appender.append(new_id(), data, timeout=TIMEOUT_S) for _ in range(10)))
    assert max(len(message) for _, message in script.messages) <= GROUP_BYTES
    assert len(script.entries) == 10


async def test_a_group_has_no_more_entries_than_can_be_read() -> None:
    script = Script()
    appender = appender_on(script)
    names = [b"%d" % number for number in range(2 * GROUP_ROOM + 1)]
    got = await asyncio.gather(*(appender.append(new_id(), n, timeout=TIMEOUT_S) for n in names))
    assert [script.entries[position] for position in got] == names
    assert len(script.messages) == 3


async def test_a_group_that_the_servers_find_too_large_is_divided() -> None:
    script = Script(script=["too large"] * 100)
    appender = appender_on(script)
    got = await asyncio.gather(
        *(appender.append(new_id(), b"%d" % n, timeout=TIMEOUT_S) for n in range(8))
    )
    assert [script.entries[position] for position in got] == [b"%d" % n for n in range(8)]


async def test_whoever_waits_too_long_behind_another_was_certainly_not_appended() -> None:
    script = Script(hold=asyncio.Event())
    appender = appender_on(script)
    first = asyncio.create_task(appender.append("0", b"0", timeout=TIMEOUT_S))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(LogUnavailable):
        await appender.append("1", b"1", timeout=0)
    second = asyncio.create_task(appender.append("2", b"2", timeout=TIMEOUT_S))
    await asyncio.sleep(0)
    assert script.hold is not None
    hold, script.hold = script.hold, asyncio.Event()
    hold.set()
    assert await first == 100
    await asyncio.sleep(0)
    # Who asks again, while others are on their way, is not taken for who gave up.
    again = asyncio.create_task(appender.append("1", b"1", timeout=TIMEOUT_S))
    await asyncio.sleep(0)
    script.hold.set()
    async with asyncio.timeout(TIMEOUT_S / 2):
        assert [await second, await again] == [200, 300]
    assert list(script.entries.values()) == [b"0", b"2", b"1"]


async def test_whoever_gave_up_without_a_connection_is_not_sent_when_there_is_one() -> None:
    script, back = Script(), asyncio.Event()

    class Away(Up):
        async def wait_up(self, deadline: float) -> bool:
            await back.wait()
            return True

    appender = GroupAppender(cast(Connection, Away()), cast(Publisher, script), LAYOUT)
    second = asyncio.create_task(appender.append("1", b"1", timeout=TIMEOUT_S))
    with pytest.raises(LogUnavailable):
        await appender.append("0", b"0", timeout=0.05)
    back.set()
    assert await second == 100
    assert list(script.entries.values()) == [b"1"]


async def test_a_message_is_not_sent_again_once_the_time_of_one_of_its_entries_is_over() -> None:
    script = Script()
    appender = appender_on(script)
    times = (2.5, 9.0, 2.0, 8.5)
    await asyncio.gather(*(appender.append(new_id(), b"x", timeout=time) for time in times))
    assert [len(decode_group(data) or ()) for _, data in script.messages] == [2, 2]
    first, second = script.timeouts
    assert first <= 2.0
    assert 2.5 < second <= 8.5


async def test_who_asks_again_with_less_time_takes_none_from_who_asked_before() -> None:
    script = Script()
    appender = appender_on(script)
    got = await asyncio.gather(*(appender.append("0", b"x", timeout=time) for time in (9.0, 2.0)))
    assert got == [100, 100]
    assert len(script.messages) == 1
    assert script.timeouts[0] > 2.0


async def test_an_entry_that_is_too_large_by_itself_is_told_so_and_holds_up_nobody() -> None:
    appender = appender_on(Script(script=["alone too large"]))
    with pytest.raises(EntryTooLarge):
        await appender.append("0", b"0", timeout=TIMEOUT_S)
    assert await appender.append("1", b"1", timeout=TIMEOUT_S) == 100


async def test_what_went_with_others_unheard_and_comes_again_alone_has_a_place_of_its_own() -> None:
    script = Script(script=["unknown"])
    appender = appender_on(script)
    assert (
        await asyncio.gather(*(outcome(appender, name) for name in "012"))
        == [AppendOutcomeUnknown] * 3
    )
    for name in "012":
        position = await outcome(appender, name)
        assert script.entries[position] == name.encode()


async def test_what_is_on_its_way_when_its_time_is_over_is_unknown() -> None:
    appender = appender_on(Script(hold=asyncio.Event()))
    with pytest.raises(AppendOutcomeUnknown):
        await appender.append("0", b"0", timeout=0.05)
    await appender.close()


async def test_who_leaves_takes_nothing_from_those_who_went_along() -> None:
    script = Script(hold=asyncio.Event())
    appender = appender_on(script)
    leaving, *rest = (
        asyncio.create_task(appender.append(name, b"x", timeout=TIMEOUT_S)) for name in "012"
    )
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # they are under way now
    leaving.cancel()
    await asyncio.wait({leaving})
    assert script.hold is not None
    script.hold.set()
    assert await asyncio.gather(*rest) == [99, 100]


async def test_who_leaves_takes_nothing_from_another_who_asks_for_the_same() -> None:
    script = Script(hold=asyncio.Event())
    appender = appender_on(script)
    first = await first_under_way(appender)
    leaving, stays = (
        asyncio.create_task(appender.append("1", b"1", timeout=TIMEOUT_S)) for _ in range(2)
    )
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait({leaving})
    assert script.hold is not None
    script.hold.set()
    async with asyncio.timeout(TIMEOUT_S / 2):
        assert [await first, await stays] == [100, 200]


async def test_what_every_server_refused_until_the_end_was_certainly_not_appended() -> None:
    appender = appender_on(Script(script=["refused"] * 1000))
    with pytest.raises(LogUnavailable):
        await appender.append("0", b"0", timeout=0.1)


async def test_what_was_appended_is_answered_again_while_others_are_on_their_way() -> None:
    hold, next_hold = asyncio.Event(), asyncio.Event()
    script = Script(hold=hold)
    appender = appender_on(script)
    first = await first_under_way(appender)
    second = asyncio.create_task(appender.append("1", b"1", timeout=TIMEOUT_S))
    await asyncio.sleep(0)
    script.hold = next_hold
    hold.set()
    assert await first == 100
    again = asyncio.create_task(appender.append("0", b"0", timeout=TIMEOUT_S))
    await asyncio.sleep(0)
    next_hold.set()
    assert [await again, await second] == [100, 200]


async def test_closing_tells_who_was_under_way_that_it_is_unknown_and_the_rest_that_it_is_not() -> (
    None
):
    script = Script(hold=asyncio.Event())
    appender = appender_on(script)
    first = asyncio.create_task(outcome(appender, "0"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second = asyncio.create_task(outcome(appender, "1"))
    await asyncio.sleep(0)
    await appender.close()
    assert await first is AppendOutcomeUnknown
    assert await second is LogUnavailable


async def test_who_comes_behind_the_end_of_the_connection_is_told_at_once() -> None:
    script, closed = Script(), Up()
    closed.is_closed = True
    appender = GroupAppender(cast(Connection, closed), cast(Publisher, script), LAYOUT)
    for _ in range(2):
        with pytest.raises(LogUnavailable, match="is closed"):
            await appender.append("0", b"0", timeout=TIMEOUT_S)
    assert not script.messages


async def test_a_fault_of_ours_is_seen_by_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script()
    appender = appender_on(script)

    async def broken(*_: object, **__: object) -> int:
        raise RuntimeError("a fault")

    monkeypatch.setattr(script, "publish", broken)
    got = await asyncio.gather(
        *(appender.append(new_id(), b"x", timeout=TIMEOUT_S) for _ in range(3)),
        return_exceptions=True,
    )
    assert [type(each) for each in got] == [RuntimeError] * 3


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 6)),
        st.tuples(st.just("again"), st.integers(0, 5)),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
        st.tuples(st.just("turn"), st.integers(1, 4)),
    ),
    max_size=30,
)
ENDS = st.lists(st.sampled_from(["taken", "refused", "unknown", "lost", "too large"]), max_size=12)


@settings(deadline=None)
@given(steps=STEPS, ends=ENDS)
async def test_what_callers_are_told_is_true(steps: list[tuple[str, int]], ends: list[str]) -> None:
    """An answer is the entry's place; "not appended" is never there; nothing is there twice,
    but what was called unknown and was sent again."""
    script = Script(script=list(ends))
    appender = appender_on(script)
    calls: list[tuple[str, asyncio.Task[Any]]] = []

    def begin(name: str) -> None:
        calls.append((name, asyncio.create_task(outcome(appender, name))))

    for step, value in steps:
        match step:
            case "append":
                for _ in range(value):
                    begin(str(len(calls)))
            case "again" if value < len(calls):
                begin(calls[value][0])
            case "cancel" if value < len(calls):
                calls[value][1].cancel()
            case _:
                for _ in range(value):
                    await asyncio.sleep(0)
    got = await asyncio.gather(*(task for _, task in calls), return_exceptions=True)
    told: dict[str, list[Any]] = {}
    for (name, _), result in zip(calls, got, strict=True):
        told.setdefault(name, []).append(result)
    for name, results in told.items():
        check_true(name.encode(), results, script.entries)


def check_true(data: bytes, told: list[Any], entries: dict[int, bytes]) -> None:
    times = list(entries.values()).count(data)
    for result in told:
        assert not isinstance(result, Exception), result
        assert not isinstance(result, int) or entries[result] == data
    if all(result is LogUnavailable for result in told):
        assert times == 0
    if len(told) == 1:
        assert times <= 1
