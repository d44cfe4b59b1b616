"""How messages hold entries: what is stored for ever, so every byte and number of it is held."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.jetstream_layout import GROUP_ROOM, Layout, decode_group, encode_group
from consensus.log import Entry, EntryKind, LogCorrupt

NOW = datetime(2026, 11, 26, tzinfo=UTC)
GROUPED, UNGROUPED = Layout("s", groups=True), Layout("s", groups=False)


def test_a_group_is_stored_as_each_entry_behind_its_length() -> None:
    stored = b"\x00\x00\x00\x02ab\x00\x00\x00\x00\x00\x00\x00\x01c"
    assert encode_group([b"ab", b"", b"c"]) == stored
    assert GROUPED.entries("s.group", 7, stored, NOW) == [
        Entry(698, EntryKind.CHANGE, b"ab", NOW),
        Entry(699, EntryKind.CHANGE, b"", NOW),
        Entry(700, EntryKind.CHANGE, b"c", NOW),
    ]


@given(entries=st.lists(st.binary(max_size=300), min_size=1, max_size=GROUP_ROOM))
def test_any_group_comes_back_equal(entries: list[bytes]) -> None:
    assert decode_group(encode_group(entries)) == entries


@given(data=st.binary(max_size=60))
def test_bytes_that_are_no_group_are_not_taken_for_one(data: bytes) -> None:
    entries = decode_group(data)
    assert entries is None or encode_group(entries) == data


def test_a_group_that_is_empty_cut_or_too_large_is_none() -> None:
    whole = encode_group([b"ab", b"c"])
    assert decode_group(b"") is None
    assert [decode_group(whole[:end]) for end in (1, 3, 5, 8, 10)] == [None] * 5
    assert decode_group(encode_group([b""] * (GROUP_ROOM + 1))) is None


def test_a_group_that_cannot_be_read_is_one_entry_which_the_projector_will_halt_at() -> None:
    assert GROUPED.entries("s.group", 2, b"\xff", NOW) == [
        Entry(200, EntryKind.CHANGE, b"\xff", NOW)
    ]


@given(sequence=st.integers(1, 2**40), count=st.integers(1, GROUP_ROOM))
def test_positions_and_sequences_say_the_same(sequence: int, count: int) -> None:
    entries = GROUPED.entries("s.group", sequence, encode_group([b""] * count), NOW)
    places = [entry.position for entry in entries]
    assert places == sorted(set(places))
    assert places[-1] == GROUPED.position(sequence)
    assert places[0] >= GROUPED.first_position(sequence) > GROUPED.position(sequence - 1)
    assert {GROUPED.sequence(place) for place in places} == {sequence}
    # A reader behind the last starts at the next message, behind any other at this one.
    assert GROUPED.sequence_behind(places[-1]) == sequence + 1
    assert {GROUPED.sequence_behind(place) for place in places[:-1]} <= {sequence}
    assert GROUPED.sequence_behind(GROUPED.position(sequence - 1)) == sequence


def test_the_subjects_of_change_sets_are_all_but_the_barriers() -> None:
    assert GROUPED.change_subjects == ["s.change", "s.group"]
    assert UNGROUPED.change_subjects == ["s.change"]


def test_without_groups_positions_are_sequences() -> None:
    layout = Layout.of("s", ["s.change", "s.barrier"])
    assert not layout.groups
    for number in (1, 2, 99, 100):
        assert layout.position(number) == layout.first_position(number) == number
        assert layout.sequence(number) == layout.sequence_behind(number - 1) == number
    assert layout.entries("s.barrier", 5, b"", NOW) == [Entry(5, EntryKind.BARRIER, b"", NOW)]


@pytest.mark.parametrize(
    ("layout", "subject"),
    [(GROUPED, "s.other"), (GROUPED, None), (UNGROUPED, "s.group"), (GROUPED, "other.group")],
)
def test_a_foreign_subject_is_corrupt(layout: Layout, subject: str | None) -> None:
    with pytest.raises(LogCorrupt, match="unknown subject"):
        layout.entries(subject, 1, encode_group([b"x"]), NOW)
