"""Goal: never more than the burst at once, never more than the rate for long."""

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access.caller_rate import CallerRate
from app.access.principal import User
from app.access.sign_in_throttle import SignInThrottle
from app.access.throttle import SIGN_IN_PER_ADDRESS, Rate, RateLimiter, attempt
from app.errors import TooManyRequests

RATE = Rate(burst=3, interval_s=10.0)


def test_a_burst_is_allowed_then_one_per_interval() -> None:
    state: float | None = None
    answers = []
    for now in (100.0, 100.0, 100.0, 100.0, 109.0, 110.0, 110.0, 120.0):
        verdict = attempt(RATE, state, now)
        state = verdict.full_at
        answers.append((verdict.allowed, round(verdict.retry_after_s, 6)))
    assert answers == [
        (True, 0), (True, 0), (True, 0), (False, 10), (False, 1), (True, 0), (False, 10), (True, 0),
    ]  # fmt: skip


def test_after_a_rest_the_whole_burst_is_there_again() -> None:
    limiter = RateLimiter(RATE)
    for start in (0.0, 1000.0):
        assert [limiter.attempt("a", start).allowed for _ in range(4)] == [True] * 3 + [False]


def test_subjects_do_not_share() -> None:
    limiter = RateLimiter(RATE)
    assert not [limiter.attempt("a", 0.0).allowed for _ in range(9)][-1]
    assert limiter.attempt("b", 0.0).allowed
    limiter.forget("a")
    assert limiter.attempt("a", 0.0).allowed


def test_memory_is_bounded_and_the_longest_unseen_is_forgotten() -> None:
    limiter = RateLimiter(Rate(1, 10.0), max_subjects=2)
    for subject in ("a", "b", "a", "c"):
        limiter.attempt(subject, 0.0)
    assert len(limiter) == 2
    assert not limiter.attempt("a", 0.0).allowed
    assert limiter.attempt("b", 0.0).allowed


@given(
    burst=st.integers(1, 5),
    interval_s=st.floats(0.01, 100),
    steps=st.lists(st.floats(0, 50), max_size=60),
)
def test_no_window_ever_holds_more_than_burst_plus_rate(
    burst: int, interval_s: float, steps: list[float]
) -> None:
    rate, state, now = Rate(burst, interval_s), None, 0.0
    allowed_at: list[float] = []
    for step in steps:
        now += step
        verdict = attempt(rate, state, now)
        state = verdict.full_at
        if verdict.allowed:
            allowed_at.append(now)
        else:
            again = attempt(rate, state, now + verdict.retry_after_s + 1e-6)
            assert again.allowed
    for first, start in enumerate(allowed_at):
        for last in range(first, len(allowed_at)):
            window_s = allowed_at[last] - start
            assert last - first + 1 <= burst + window_s / interval_s + 1e-6


@pytest.mark.parametrize(("burst", "interval_s"), [(0, 1.0), (1, 0.0), (1, float("nan"))])
def test_a_rate_that_means_nothing_is_refused(burst: int, interval_s: float) -> None:
    with pytest.raises(ValueError):
        Rate(burst, interval_s)


def test_an_account_may_ask_once_however_small_its_share_of_a_burst_is() -> None:
    rate, user = CallerRate(10, 1, 5), User("u", "u@example.org", False, "s")
    rate.count(user)
    with pytest.raises(TooManyRequests):
        rate.count(user)


async def test_right_passwords_take_nothing_from_an_account_or_an_address(
    database_url: str,
) -> None:
    async with asyncpg.create_pool(database_url, min_size=1) as pool:
        throttle = SignInThrottle(pool)
        for _ in range(SIGN_IN_PER_ADDRESS.burst + 1):
            await throttle.succeeded(await throttle.count("u@example.org", "192.0.2.1"))
