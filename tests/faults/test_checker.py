"""Each checker finds what it is for, and nothing else.

Method: small histories, each with one thing wrong; and a simulated service that hypothesis
drives, right or broken in one way.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.checker import Verdict, check
from tests.faults.history import (
    FinalState,
    History,
    Level,
    Listing,
    Outcome,
    Read,
    Recorded,
    Register,
    Write,
)
from tests.faults.report import Row, longest_gap, stale_pauses

A: Register = ("p", "a")
B: Register = ("p", "b")


def done(name: str, begun: float, ended: float, position: int, **versions: int) -> Write:
    registers = {("p", key): version for key, version in versions.items()}
    return Write(
        name,
        begun,
        {register: version - 1 for register, version in registers.items()},
        ended=ended,
        outcome=Outcome.DONE,
        versions=registers,
        position=position,
    )


def row(
    name: str, register: Register, version: int, position: int, deleted: bool = False
) -> Recorded:
    return Recorded(register, version, position, f"c-{name}", 0, name, deleted)


def read(begun: float, ended: float, version: int | None, by: str | None, position: int) -> Read:
    return Read(A, Level.LINEARIZABLE, begun, ended, version, position, by)


def healthy() -> tuple[History, FinalState]:
    """Two writes of a, one change set of a and b, one unknown, one refused, some reads."""
    history = History(
        writes=[
            done("w1", 0, 1, 1, a=1),
            done("w2", 2, 3, 2, a=2),
            done("set", 4, 5, 5, a=3, b=1),
            Write("maybe", 6, {A: 3}),
            Write("never", 6, {B: 1}),
            Write("late", 7, {A: 3}, ended=8, outcome=Outcome.REFUSED, conflicts={A: 4}),
        ],
        reads=[
            read(0.5, 0.7, None, None, 0),
            read(1.5, 1.7, 1, "w1", 1),
            read(2.5, 2.6, 2, "w2", 2),
            read(8.5, 9, 4, "maybe", 7),
        ],
        listings=[Listing("p", 5.5, 5.6, 5, {"a": 3, "b": 1})],
    )
    final = FinalState(
        revisions=[
            row("w1", A, 1, 1),
            row("w2", A, 2, 2),
            row("set", A, 3, 5),
            row("set", B, 1, 5),
            row("maybe", A, 4, 7),
        ],
        processes={"web1": {A: 4, B: 1}, "web2": {A: 4, B: 1}},
    )
    return history, final


def test_a_right_history_is_right() -> None:
    assert check(*healthy()).all() == []


def _change(history: History, final: FinalState, what: str) -> None:  # noqa: C901 - a table
    writes, reads, rows = history.writes, history.reads, final.revisions
    match what:
        case "acknowledged and not there":
            writes.append(done("gone", 9, 10, 9, b=2))
        case "acknowledged with another version":
            writes[1].versions = {A: 7}
        case "acknowledged at another position":
            writes[1].position = 3
        case "there twice":
            rows.append(row("w1", A, 5, 9))
            final.processes = {}
        case "recorded by two change sets":
            rows[3] = Recorded(B, 1, 5, "c-other", 0, "set", False)
        case "refused and there":
            writes[3].outcome = Outcome.REFUSED
        case "never sent":
            rows[4] = row("nobody", A, 4, 7)
        case "half of a change set":
            del rows[3]
            final.processes = {"web1": {A: 4}}
            history.listings.clear()
        case "half of an unknown change set":
            writes[3].expected = {A: 3, B: 1}
        case "a change set at two positions":
            rows[3] = row("set", B, 1, 6)
        case "two writers of one version":
            writes.append(done("w2b", 2, 3, 2, a=2))
        case "a version left out":
            rows[1] = row("w2", A, 3, 2)
        case "positions out of order":
            rows[1] = row("w2", A, 2, 9)
        case "another version than it was made for":
            writes[4].expected = {A: 1}
            rows.append(row("never", A, 5, 9))
            final.processes = {}
        case "an old linearizable read":
            reads.append(read(3.5, 3.6, 1, "w1", 1))
        case "an old conflict":
            writes[5].conflicts = {A: 2}
        case "a read older than its position":
            reads.append(Read(A, Level.STALE, 8, 9, 1, 5, "w1"))
        case "absent, and it was there":
            reads.append(read(8, 9, None, None, 7))
        case "a read of what was never written":
            reads.append(read(8, 9, 5, "ghost", 7))
        case "a read with another's content":
            reads[1].writer = "w2"
        case "a read before it was sent":
            reads.append(read(5.1, 5.2, 4, "maybe", 7))
        case "a listing of two moments":
            history.listings.append(Listing("p", 5.5, 5.6, 4, {"a": 3}))
        case "a process that answers another thing":
            final.processes["web2"] = {A: 3, B: 1}
        case "a process without a config":
            del final.processes["web1"][B]
        case "a failed proof":
            final.findings.append("1 revision has another hash")
        case "a 500":
            history.surprises.append("read: 500")


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("acknowledged and not there", "lost"),
        ("acknowledged with another version", "lost"),
        ("acknowledged at another position", "lost"),
        ("there twice", "doubled"),
        ("recorded by two change sets", "doubled"),
        ("refused and there", "phantom"),
        ("never sent", "phantom"),
        ("half of a change set", "torn"),
        ("half of an unknown change set", "torn"),
        ("a change set at two positions", "torn"),
        ("two writers of one version", "lost"),
        ("a version left out", "order"),
        ("positions out of order", "order"),
        ("another version than it was made for", "order"),
        ("an old linearizable read", "order"),
        ("an old conflict", "order"),
        ("a read older than its position", "stale"),
        ("absent, and it was there", "stale"),
        ("a read of what was never written", "phantom"),
        ("a read with another's content", "phantom"),
        ("a read before it was sent", "order"),
        ("a listing of two moments", "torn"),
        ("a process that answers another thing", "diverged"),
        ("a process without a config", "diverged"),
        ("a failed proof", "diverged"),
        ("a 500", "surprises"),
    ],
)
def test_what_is_wrong_is_found(what: str, kind: str) -> None:
    history, final = deepcopy(healthy())
    _change(history, final, what)
    verdict = check(history, final)
    assert getattr(verdict, kind), verdict.all()


# A simulated service


@dataclass
class Simulation:
    """A log, a state, and clients whose requests overlap. `bug` breaks one promise."""

    rng: random.Random
    bug: str = ""
    time: float = 0.0
    history: History = field(default_factory=History)
    final: FinalState = field(default_factory=FinalState)
    versions: dict[Register, int] = field(default_factory=dict)
    hit: bool = False
    """Whether the bug made a difference."""

    def run(self, steps: int) -> Verdict:
        open_writes: list[Write] = []
        for number in range(steps):
            self.time += 1
            if open_writes and self.rng.random() < 0.6:
                self._decide(open_writes.pop(self.rng.randrange(len(open_writes))))
            elif self.rng.random() < 0.7:
                registers = self.rng.sample([A, B], self.rng.choice([1, 1, 2]))
                expected: dict[Register, int | None] = {
                    register: max(
                        0, self.versions.get(register, 0) + self.rng.choice([0, 0, 0, -1])
                    )
                    for register in registers
                }
                write = Write(f"w{number}", self.time, expected)
                self.history.writes.append(write)
                open_writes.append(write)
            else:
                self._read()
        for write in open_writes:
            if self.rng.random() < 0.5:
                self._decide(write)
        self.final.processes["web1"] = dict(self.versions)
        return check(self.history, self.final)

    def _decide(self, write: Write) -> None:
        fits = all(self.versions.get(r, 0) == v for r, v in write.expected.items())
        act = self.rng.random() < 0.2
        if self.bug == "ack before commit" and act and fits:
            self.hit = True
            self._answer(write, {r: (v or 0) + 1 for r, v in write.expected.items()}, 10**6)
            return
        if self.bug == "skip one" and act and fits:
            self.hit = True
            position = self._position()
            self._answer(write, {r: (v or 0) + 1 for r, v in write.expected.items()}, position)
            return
        if not fits and not (self.bug == "no version rule" and act):
            self.time += 0.1
            write.ended, write.outcome = self.time, Outcome.REFUSED
            write.conflicts = {
                r: self.versions.get(r, 0)
                for r, v in write.expected.items()
                if self.versions.get(r, 0) != v
            }
            return
        self.hit = self.hit or not fits
        self._apply(write)
        if self.bug == "apply twice" and act:
            self.hit = True
            self._record(write, self._position(), "-again")

    def _apply(self, write: Write) -> None:
        position = self._position()
        versions = self._record(write, position)
        if self.rng.random() < 0.8:
            self._answer(write, versions, position)

    def _record(self, write: Write, position: int, suffix: str = "") -> dict[Register, int]:
        versions = {register: self.versions.get(register, 0) + 1 for register in write.expected}
        for index, (register, version) in enumerate(versions.items()):
            self.versions[register] = version
            self.final.revisions.append(
                Recorded(
                    register, version, position, f"c{write.id}{suffix}", index, write.id, False
                )
            )
        return versions

    def _position(self) -> int:
        return max((r.position for r in self.final.revisions), default=0) + self.rng.randint(1, 3)

    def _answer(self, write: Write, versions: dict[Register, int], position: int) -> None:
        self.time += 0.1
        write.ended, write.outcome = self.time, Outcome.DONE
        write.versions, write.position = versions, position

    def _read(self) -> None:
        begun = self.time
        position = max((r.position for r in self.final.revisions), default=0)
        register = self.rng.choice([A, B])
        rows = [r for r in self.final.revisions if r.register == register]
        self.time += 0.1
        self.history.reads.append(
            Read(
                register,
                Level.LINEARIZABLE,
                begun,
                self.time,
                rows[-1].version if rows else None,
                position,
                rows[-1].writer if rows else None,
            )
        )
        listed = {key: v for (_, key), v in self.versions.items()}
        self.history.listings.append(Listing("p", begun, self.time, position, listed))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_a_right_service_is_never_accused(seed: int) -> None:
    assert Simulation(random.Random(seed)).run(60).all() == []


KINDS: dict[str, Callable[[Verdict], list[str]]] = {
    "ack before commit": lambda verdict: verdict.lost,
    "skip one": lambda verdict: verdict.lost,
    "no version rule": lambda verdict: verdict.order,
    "apply twice": lambda verdict: verdict.doubled,
}


@pytest.mark.parametrize("bug", KINDS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_broken_service_is_caught_whenever_it_did_harm(bug: str, seed: int) -> None:
    simulation = Simulation(random.Random(seed), bug)
    verdict = simulation.run(60)
    assert bool(KINDS[bug](verdict)) is simulation.hit


def test_pauses() -> None:
    assert longest_gap([0, 1, 5, 6]) == 4
    assert longest_gap([0, 1, 5, 6], 5.5, 5.7) == 1
    assert longest_gap([0, 1, 5, 6], 2, 3) == 4
    assert longest_gap([]) == 0


def test_a_pause_of_reads_is_told_apart_where_nobody_was_left_to_answer() -> None:
    found = [
        Row("freeze PostgreSQL", stale_reads_s=0.2),
        Row("kill everything", stale_reads_s=9.1, bystanders=False),
    ]
    assert stale_pauses(found).startswith("longest pause of stale reads 0.2 s while a web process")
