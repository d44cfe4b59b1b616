"""Goal: a password is stored as argon2id, and a sign-in tells nothing by its time or memory."""

import asyncio
import threading
from collections.abc import Iterator
from unittest.mock import patch

import argon2
import pytest
from argon2.exceptions import InvalidHashError

from app.access import passwords
from app.access.passwords import (
    CHEAP_PARAMETERS,
    PasswordCheck,
    PasswordHashing,
    PasswordPool,
    PasswordRefused,
    PasswordsBusy,
    check_password_rules,
)

GOOD = "correct horse battery staple"


@pytest.fixture
def hashing() -> PasswordHashing:
    return PasswordHashing(CHEAP_PARAMETERS)


def test_a_hash_is_argon2id_and_salted(hashing: PasswordHashing) -> None:
    one, other = hashing.hash_password(GOOD), hashing.hash_password(GOOD)
    assert one.startswith("$argon2id$v=19$")
    assert one != other


def test_the_parameters_of_the_product_are_those_of_rfc_9106() -> None:
    hashed = PasswordHashing().hash_password(GOOD)
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_only_the_right_password_is_ok(hashing: PasswordHashing) -> None:
    stored = hashing.hash_password(GOOD)
    assert hashing.verify_password(stored, GOOD) == PasswordCheck(ok=True, needs_rehash=False)
    assert not hashing.verify_password(stored, GOOD + "!").ok
    assert not hashing.verify_password(stored, "").ok
    assert not hashing.verify_password(stored, "\ud800" * 20).ok
    assert not hashing.verify_password(stored, "x" * 2_000_000).ok


def test_a_composed_and_a_decomposed_accent_are_the_same_password(hashing: PasswordHashing) -> None:
    stored = hashing.hash_password("caf\u00e9 au lait demain")
    assert hashing.verify_password(stored, "cafe\u0301 au lait demain").ok


def test_raised_parameters_ask_for_a_new_hash(hashing: PasswordHashing) -> None:
    raised = PasswordHashing(argon2.Parameters(argon2.low_level.Type.ID, 19, 16, 32, 2, 16, 1))
    stored = hashing.hash_password(GOOD)
    assert raised.verify_password(stored, GOOD) == PasswordCheck(ok=True, needs_rehash=True)
    assert raised.verify_password(stored, "wrong password") == PasswordCheck(False, False)


@pytest.mark.parametrize(
    "password", ["wrong password", GOOD, "", "short", "x" * 5000, "\ud800" * 20]
)
def test_an_unknown_account_costs_one_hash_like_a_wrong_password(password: str) -> None:
    """The work is counted, not timed: exactly one argon2 run of the same cost each."""
    hashing = PasswordHashing(CHEAP_PARAMETERS)
    stored = hashing.hash_password(GOOD)
    costs: list[tuple[int, int, int]] = []
    real = argon2.low_level.verify_secret

    def counted(encoded: bytes, *args: object) -> bool:
        parameters = argon2.extract_parameters(encoded.decode())
        costs.append((parameters.time_cost, parameters.memory_cost, parameters.parallelism))
        return real(encoded, *args)  # type: ignore[arg-type]

    with patch("argon2._password_hasher.verify_secret", counted):
        assert not hashing.verify_password(None, password).ok
        hashing.verify_password(stored, password)
    assert costs == [(1, 8, 1), (1, 8, 1)]


@pytest.mark.parametrize("stored", ["plain text", "$argon2id$v=19$m=8,t=1,p=1$cut"])
def test_a_broken_row_is_an_error_and_not_a_wrong_password(
    hashing: PasswordHashing, stored: str
) -> None:
    with pytest.raises(InvalidHashError):
        hashing.verify_password(stored, GOOD)


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("eleven char", "at least 12"),
        ("x1" * 513, "at most 1024"),
        ("a" * 12, "repeated"),
        ("\ud800b" * 10, "Unicode"),
    ],
)
def test_a_refused_password_is_told_why_and_not_repeated(password: str, words: str) -> None:
    with pytest.raises(PasswordRefused, match=words) as refused:
        check_password_rules(password)
    assert password not in str(refused.value)


@pytest.mark.parametrize("characters", [12, 1024])
def test_the_shortest_and_the_longest_password_are_good(characters: int) -> None:
    check_password_rules("ab" * (characters // 2))


@pytest.fixture
def held() -> Iterator[tuple[PasswordHashing, threading.Event, threading.Semaphore]]:
    """A hashing whose work blocks until the event is set, and counts who has started."""
    release, started = threading.Event(), threading.Semaphore(0)

    class Held(PasswordHashing):
        def verify_password(self, stored: str | None, password: str) -> PasswordCheck:
            started.release()
            release.wait()
            return super().verify_password(stored, password)

    yield Held(CHEAP_PARAMETERS), release, started
    release.set()


async def test_the_pool_keeps_the_loop_free_and_refuses_beyond_its_bound(
    held: tuple[PasswordHashing, threading.Event, threading.Semaphore],
) -> None:
    hashing, release, started = held
    async with PasswordPool(hashing, threads=1, max_waiting=1) as pool:
        running = asyncio.create_task(pool.verify_password(None, GOOD))
        waiting = asyncio.create_task(pool.verify_password(None, GOOD))
        await asyncio.to_thread(started.acquire)  # the loop runs while the hash does
        with pytest.raises(PasswordsBusy):
            await pool.verify_password(None, GOOD)
        release.set()
        assert not (await running).ok
        assert not (await waiting).ok
        assert not (await pool.verify_password(None, GOOD)).ok


async def test_a_caller_that_hangs_up_does_not_free_a_place_before_its_hash_ends(
    held: tuple[PasswordHashing, threading.Event, threading.Semaphore],
) -> None:
    hashing, _, started = held
    async with PasswordPool(hashing, threads=1, max_waiting=0) as pool:
        running = asyncio.create_task(pool.verify_password(None, GOOD))
        await asyncio.to_thread(started.acquire)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        with pytest.raises(PasswordsBusy):
            await pool.verify_password(None, GOOD)
        held[1].set()


async def test_the_pool_hashes_and_checks() -> None:
    async with PasswordPool(PasswordHashing(CHEAP_PARAMETERS)) as pool:
        stored = await pool.hash_password(GOOD)
        assert (await pool.verify_password(stored, GOOD)).ok
        with pytest.raises(PasswordRefused):
            await pool.hash_password("short")
    assert passwords.MIN_PASSWORD_CHARACTERS == 12
