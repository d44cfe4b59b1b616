"""Goal: no tenant starves another, and nothing grows without a bound."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.validation.fair_queue import FairQueue, QueueFull


def queue(
    slots: int = 1, per_tenant: int = 1, mine: int = 100, every: int = 1000
) -> FairQueue[int]:
    return FairQueue(slots=slots, per_tenant=per_tenant, tenant_waiting=mine, all_waiting=every)


def goes_at_once(line: FairQueue[int], tenant: str, works: int, took_s: float) -> None:
    """Each work of the tenant is the next one as soon as it comes."""
    for work in range(works):
        line.push(tenant, work)
        assert line.pop() == (tenant, work)
        line.done(tenant, took_s)


def test_work_of_one_tenant_runs_in_order() -> None:
    line = queue()
    for work in (1, 2, 3):
        line.push("a", work)
    order = []
    while (taken := line.pop()) is not None:
        order.append(taken)
        line.done("a", 1.0)
    assert order == [("a", 1), ("a", 2), ("a", 3)]
    assert line.waiting == 0


def test_slots_and_the_share_of_a_tenant_are_kept() -> None:
    line = queue(slots=3, per_tenant=2)
    for work in range(5):
        line.push("a", work)
    assert [line.pop() for _ in range(3)] == [("a", 0), ("a", 1), None]
    line.push("b", 9)
    assert [line.pop(), line.pop()] == [("b", 9), None]
    line.done("a", 1.0)
    assert line.pop() == ("a", 2)


def test_cheap_work_never_waits_behind_a_backlog_of_expensive_work() -> None:
    """Fifty waiting bombs of five tenants; a newcomer's every request is the next to run."""
    line = queue()
    for tenant in range(5):
        for work in range(10):
            line.push(f"evil-{tenant}", work)
    for _ in range(7):
        taken = line.pop()
        assert taken is not None
        line.done(taken[0], 1.0)
    goes_at_once(line, "good", 20, 0.001)


def test_who_was_idle_gets_no_credit_for_it() -> None:
    line = queue()
    for work in range(20):
        line.push("busy", work)
    for _ in range(10):
        assert line.pop() is not None
        line.done("busy", 1.0)
    for work in range(10):
        line.push("idle", work)
    served = []
    for _ in range(6):
        taken = line.pop()
        assert taken is not None
        served.append(taken[0])
        line.done(taken[0], 1.0)
    assert 2 <= served.count("busy") <= 4


def test_a_crowd_of_newcomers_does_not_go_before_whose_work_is_cheap() -> None:
    """Each was trusted to be cheap until its first work had ended: twenty bombs went first."""
    line = queue()
    goes_at_once(line, "cheap", 3, 0.01)
    for tenant in range(20):
        line.push(f"new-{tenant}", 0)
    assert line.pop() == ("new-0", 0)
    line.done("new-0", 1.0)
    goes_at_once(line, "cheap", 3, 0.01)


def test_a_newcomer_waits_one_round_at_most() -> None:
    """However dear the work of the others was lately, and however much of it waits."""
    line = queue()
    for tenant in range(5):
        for work in range(10):
            line.push(f"dear-{tenant}", work)
    for _ in range(15):
        taken = line.pop()
        assert taken is not None
        line.done(taken[0], 1.0)
    line.push("new", 0)
    before = []
    while (taken := line.pop()) is not None and taken != ("new", 0):
        before.append(taken[0])
        line.done(taken[0], 1.0)
    assert taken == ("new", 0)
    assert len(before) == len(set(before)) <= 5


def test_both_bounds_refuse() -> None:
    line = queue(mine=2, every=3)
    line.push("a", 1)
    line.push("a", 2)
    with pytest.raises(QueueFull):
        line.push("a", 3)
    line.push("b", 1)
    with pytest.raises(QueueFull):
        line.push("c", 1)


def test_discarded_work_never_runs() -> None:
    line = queue()
    line.push("a", 1)
    line.push("a", 2)
    assert line.discard("a", 1)
    assert not line.discard("a", 1)
    assert not line.discard("b", 1)
    assert line.pop() == ("a", 2)
    assert line.waiting == 0


def test_misuse_is_an_error() -> None:
    line = queue()
    line.push("a", 1)
    with pytest.raises(ValueError, match="nothing"):
        line.done("a", 1.0)
    with pytest.raises(ValueError, match="slots"):
        queue(slots=1, per_tenant=2)


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.floats(0, 5)), max_size=200),
)
def test_the_invariants_hold_for_every_history(
    slots: int, steps: list[tuple[str, bool, float]]
) -> None:
    share = max(1, slots - 1)
    line: FairQueue[int] = FairQueue(
        slots=slots, per_tenant=share, tenant_waiting=5, all_waiting=12
    )
    running: list[str] = []
    accepted = taken_out = 0
    for number, (tenant, push, took_s) in enumerate(steps):
        if push:
            try:
                line.push(tenant, number)
                accepted += 1
            except QueueFull:
                assert line.waiting >= 5
        elif running:
            line.done(running.pop(0), took_s)
        while (taken := line.pop()) is not None:
            running.append(taken[0])
            taken_out += 1
        assert len(running) <= slots
        assert all(running.count(each) <= share for each in running)
        assert line.waiting == accepted - taken_out <= 12
    while running or line.waiting:
        line.done(running.pop(0), 1.0)
        while (taken := line.pop()) is not None:
            running.append(taken[0])
            taken_out += 1
    assert taken_out == accepted


def test_tenants_who_are_idle_cost_nothing() -> None:
    """Every write that is bound to a schema takes its turn here: with ten thousand tenants of
    before, to look through them took longer than the rest of the write."""

    def shortest_turn_s(idle: int) -> float:
        queue: FairQueue[int] = FairQueue(slots=1, per_tenant=1, tenant_waiting=1, all_waiting=10)
        turns = []
        for number in range(idle + 100):
            started = time.perf_counter()
            queue.push(f"tenant {number}", number)
            taken = queue.pop()
            turns.append(time.perf_counter() - started)
            assert taken is not None
            queue.done(taken[0], 0.001)
        return min(turns[-100:])

    assert shortest_turn_s(9_000) < 20 * shortest_turn_s(0)


def test_of_many_who_are_idle_those_who_used_least_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.validation.fair_queue.FORGET_ABOVE", 10)
    line = queue(slots=3, per_tenant=2)
    goes_at_once(line, "greedy", 1, 100.0)
    line.push("busy", 1)
    assert line.pop() == ("busy", 1)
    for number in range(100):
        goes_at_once(line, f"tenant {number}", 1, 0.001)
        assert len(line._tenants) <= 11
    line.done("busy", 0.001)  # what it does is never forgotten
    line.push("greedy", 2)
    line.push("cheap", 3)
    assert line.pop() == ("cheap", 3)
