"""Goal: what is held of a project is given out in the order of the keys, whatever came and went."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from projections.held_configs import HeldConfigs
from tests.support.recorded import recorded

KEYS = st.text("ab.-_", min_size=1, max_size=3)
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "delete", "drop", "list"]), KEYS), min_size=1, max_size=30
)


@given(STEPS, st.one_of(st.just(""), KEYS), st.one_of(st.just(""), KEYS))
def test_what_is_live_is_told_in_order(
    steps: list[tuple[str, str]], prefix: str, after: str
) -> None:
    held, live = HeldConfigs(), dict[str, int]()

    def told(prefix: str = "", after: str = "") -> list[tuple[str, int]]:
        return [(revision.key, revision.version) for revision in held.live(prefix, after)]

    for sequence, (step, key) in enumerate(steps, start=1):
        if step == "list":
            assert told() == sorted(live.items())
        elif step != "drop":
            event = "config:updated" if step == "put" else "config:deleted"
            before = held.get(key)
            assert held.hold(recorded(sequence, key=key, event=event)) is before
            live.pop(key, None)
            if step == "put":
                live[key] = sequence
        elif key in held:
            held.drop(key)
            live.pop(key, None)
    expected = [item for item in live.items() if item[0].startswith(prefix) and item[0] > after]
    assert told(prefix, after) == sorted(expected)
