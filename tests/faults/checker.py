"""Is this history one that the product promised? Pure: history and final state in, faults out.

Why the check of linearizability is complete: every register is a compare-and-set register
whose writes have unique, consecutive versions, so the order of its writes is known. A history
of such a register is linearizable if and only if no operation that ended before another began
is behind it in that order (a write before the reads of its version). Sorting by version then
gives a linearization; an operation that violates it admits none.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class Verdict:
    """Sentences that say what is wrong, by kind. Empty: nothing is."""

    lost: list[str] = field(default_factory=list)
    """Acknowledged, and not there (or elsewhere)."""
    doubled: list[str] = field(default_factory=list)
    """There more than once."""
    phantom: list[str] = field(default_factory=list)
    """There, although it was refused; or read, although it never was."""
    torn: list[str] = field(default_factory=list)
    """A change set of which only a part is there."""
    order: list[str] = field(default_factory=list)
    """Not linearizable, or the versions and positions contradict each other."""
    stale: list[str] = field(default_factory=list)
    """A read that is older than its own position or promise."""
    diverged: list[str] = field(default_factory=list)
    """Processes, tables or the rebuilt state that are not equal."""
    surprises: list[str] = field(default_factory=list)

    def all(self) -> list[str]:
        """Every sentence, with its kind."""
        return [
            f"{kind}: {sentence}" for kind in self.__slots__ for sentence in getattr(self, kind)
        ]


def check(history: History, final: FinalState) -> Verdict:
    """Everything that can be said about a run."""
    verdict = Verdict(diverged=list(final.findings), surprises=list(history.surprises))
    registers = _registers(final.revisions, verdict)
    _check_writes(history.writes, final.revisions, registers, verdict)
    _check_registers(history, registers, verdict)
    for listing in history.listings:
        _check_listing(listing, registers, verdict)
    _check_processes(final, registers, verdict)
    return verdict


@dataclass(slots=True)
class _Chain:
    """One register's revisions: `versions[i]` was recorded at `positions[i]`."""

    revisions: list[Recorded] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)

    def at(self, position: int) -> Recorded | None:
        """The newest revision at or before a position."""
        place = bisect_right(self.positions, position)
        return self.revisions[place - 1] if place else None

    def version(self, version: int) -> Recorded | None:
        return self.revisions[version - 1] if 1 <= version <= len(self.revisions) else None


def _registers(revisions: list[Recorded], verdict: Verdict) -> dict[Register, _Chain]:
    chains: dict[Register, _Chain] = defaultdict(_Chain)
    position = 0
    for revision in revisions:
        chain = chains[revision.register]
        if revision.version != len(chain.revisions) + 1:
            verdict.order.append(
                f"{revision.register} version {revision.version} is recorded behind"
                f" {len(chain.revisions)} versions"
            )
        if revision.position < position:
            verdict.order.append(f"position {revision.position} is recorded behind {position}")
        position = max(position, revision.position)
        chain.revisions.append(revision)
        chain.positions.append(revision.position)
    return dict(chains)


# Writes: there once, whole, where it was said; or not at all


def _check_writes(
    writes: list[Write],
    revisions: list[Recorded],
    registers: dict[Register, _Chain],
    verdict: Verdict,
) -> None:
    made: dict[str, list[Recorded]] = defaultdict(list)
    for revision in revisions:
        if revision.writer is not None:
            made[revision.writer].append(revision)
    for write in writes:
        found = made.pop(write.id, [])
        times = Counter(revision.register for revision in found)
        twice = [register for register, count in times.items() if count > 1]
        if twice or len({revision.change_id for revision in found}) > 1:
            verdict.doubled.append(f"write {write.id} is there {max(times.values())} times")
        elif found and times.keys() != write.expected.keys():
            missing = write.expected.keys() ^ times.keys()
            verdict.torn.append(f"write {write.id}: {sorted(missing)} is not there (or too much)")
        elif found and len({revision.position for revision in found}) > 1:
            verdict.torn.append(f"write {write.id} is there at several positions")
        if write.outcome is Outcome.DONE:
            _check_acknowledged(write, found, verdict)
        elif write.outcome is Outcome.REFUSED and found:
            verdict.phantom.append(f"write {write.id} was refused, and is there")
        _check_expected(write, found, registers, verdict)
    for writer, found in made.items():
        verdict.phantom.append(f"nobody sent write {writer}, which is at {found[0].position}")


def _check_acknowledged(write: Write, found: list[Recorded], verdict: Verdict) -> None:
    said = {(register, version) for register, version in write.versions.items()}
    there = {(revision.register, revision.version) for revision in found}
    if not said <= there:
        verdict.lost.append(f"write {write.id} acknowledged {sorted(said - there)}")
    elif any(revision.position != write.position for revision in found):
        verdict.lost.append(f"write {write.id} is not at position {write.position} as answered")


def _check_expected(
    write: Write, found: list[Recorded], registers: dict[Register, _Chain], verdict: Verdict
) -> None:
    """What is there stands on what the write was made for."""
    for revision in found:
        expected = write.expected.get(revision.register)
        before = registers[revision.register].version(revision.version - 1)
        alive = before is not None and not before.deleted
        if expected is None:
            fits = alive
        elif expected == 0:
            fits = not alive
        else:
            fits = alive and revision.version == expected + 1
        if not fits:
            verdict.order.append(
                f"write {write.id} was made for version {expected} of {revision.register}"
                f" and became {revision.version}"
            )
        if revision.deleted is not (revision.register in write.deletes):
            verdict.order.append(f"write {write.id} of {revision.register} became another thing")


# The order of what was seen of each register


@dataclass(slots=True)
class _Seen:
    """One operation on one register, with its place in the order of versions."""

    place: float
    """2·version for a write, 2·version + 1 for who saw that version."""
    begun: float
    ended: float
    what: str


def _check_registers(history: History, registers: dict[Register, _Chain], verdict: Verdict) -> None:
    began = {write.id: write.begun for write in history.writes}
    unanswered = {w.id: w for w in history.writes if w.outcome is Outcome.UNKNOWN}
    seen: dict[Register, list[_Seen]] = defaultdict(list)
    for write in history.writes:
        for register, version in write.versions.items():
            seen[register].append(_Seen(2 * version, write.begun, write.ended, f"write {write.id}"))
        for register, version in write.conflicts.items():
            seen[register].append(
                _Seen(2 * version + 1, write.begun, write.ended, f"conflict of write {write.id}")
            )
    for register, chain in registers.items():
        for revision in chain.revisions:
            pending = unanswered.get(revision.writer or "")
            if pending is not None:
                place, what = 2.0 * revision.version, f"write {pending.id}"
                seen[register].append(_Seen(place, pending.begun, math.inf, what))
    for read in history.reads:
        _check_read(read, registers, began, verdict)
        if read.level is Level.LINEARIZABLE and read.version is not None:
            what = f"read of version {read.version}"
            seen[read.register].append(_Seen(2 * read.version + 1, read.begun, read.ended, what))
    for register, operations in seen.items():
        chain = registers.get(register) or _Chain()
        _check_order(register, operations, chain, began, verdict)
    _check_absences(history.reads, registers, seen, verdict)


def _check_order(
    register: Register,
    operations: list[_Seen],
    chain: _Chain,
    began: dict[str, float],
    verdict: Verdict,
) -> None:
    """No operation may be behind one that ended before it began, in the order of versions."""
    by_end = sorted(operations, key=lambda operation: operation.ended)
    ends = [operation.ended for operation in by_end]
    highest: list[_Seen] = []
    for operation in by_end:
        newest = highest[-1] if highest else operation
        highest.append(operation if operation.place >= newest.place else newest)
    for operation in operations:
        before = bisect_left(ends, operation.begun)
        if before == 0:
            continue
        newest = highest[before - 1]
        # Two writes of one version, or a write of what was seen already, are out of order too.
        if newest.place > operation.place or (
            newest.place == operation.place and operation.place % 2 == 0
        ):
            verdict.order.append(
                f"{register}: {operation.what} (version {operation.place // 2:.0f}) began after"
                f" {newest.what} (version {newest.place // 2:.0f}) had ended"
            )
    for operation in operations:
        version = int(operation.place // 2)
        if version == 0:
            continue
        revision = chain.version(version)
        if revision is None:
            verdict.phantom.append(f"{register}: {operation.what} saw version {version}")
        elif revision.writer in began and began[revision.writer] > operation.ended:
            verdict.order.append(f"{register}: {operation.what} saw what was written later")


def _check_read(
    read: Read, registers: dict[Register, _Chain], began: dict[str, float], verdict: Verdict
) -> None:
    chain = registers.get(read.register) or _Chain()
    if read.position < read.min_position:
        verdict.stale.append(f"{read.register}: at {read.position}, asked {read.min_position}")
    least = chain.at(read.position)
    if read.version is None:
        # Gone at its position, or deleted behind it.
        gone = least is None or any(
            revision.deleted for revision in chain.revisions[least.version - 1 :]
        )
        if not gone:
            verdict.stale.append(f"{read.register}: read as absent at position {read.position}")
        return
    revision = chain.version(read.version)
    if revision is None or revision.deleted:
        verdict.phantom.append(f"{read.register}: read version {read.version}, which never was")
        return
    if read.writer != revision.writer:
        verdict.phantom.append(
            f"{read.register}: version {read.version} read as by {read.writer},"
            f" recorded as by {revision.writer}"
        )
    if least is not None and revision.version < least.version:
        verdict.stale.append(
            f"{read.register}: read version {read.version} at position {read.position},"
            f" where it was {least.version}"
        )
    if revision.writer in began and began[revision.writer] > read.ended:
        verdict.order.append(f"{read.register}: read version {read.version} before it was sent")


def _check_absences(
    reads: list[Read],
    registers: dict[Register, _Chain],
    seen: dict[Register, list[_Seen]],
    verdict: Verdict,
) -> None:
    """A linearizable "not there": a tombstone that is not older than what was known."""
    known: dict[Register, tuple[list[float], list[float]]] = {}
    for register, operations in seen.items():
        by_end = sorted(operations, key=lambda operation: operation.ended)
        highest, most = [], -math.inf
        for operation in by_end:
            most = max(most, operation.place)
            highest.append(most)
        known[register] = ([operation.ended for operation in by_end], highest)
    for read in reads:
        if read.level is not Level.LINEARIZABLE or read.version is not None:
            continue
        ends, highest = known.get(read.register, ([], []))
        before = bisect_left(ends, read.begun)
        least = int(highest[before - 1] // 2) if before else 0
        chain = registers.get(read.register) or _Chain()
        later = chain.revisions[max(0, least - 1) :]
        if least and not any(revision.deleted for revision in later):
            verdict.order.append(
                f"{read.register}: read as absent after version {least} was known, never deleted"
            )


def _check_listing(listing: Listing, registers: dict[Register, _Chain], verdict: Verdict) -> None:
    """A listing is one moment: some position, not before its own, explains every line."""
    of_project = {key: chain for (p, key), chain in registers.items() if p == listing.project}
    moment = listing.position
    for key, version in listing.versions.items():
        chain = of_project.get(key)
        revision = chain.version(version) if chain else None
        if revision is None:
            verdict.phantom.append(f"listing: version {version} of {key} never was")
            return
        moment = max(moment, revision.position)
    expected = {
        key: revision.version
        for key, chain in of_project.items()
        if (revision := chain.at(moment)) is not None and not revision.deleted
    }
    if listing.versions != expected:
        different = {
            key: (listing.versions.get(key), expected.get(key))
            for key in listing.versions.keys() | expected.keys()
            if listing.versions.get(key) != expected.get(key)
        }
        verdict.torn.append(f"listing at {moment} is of no moment: (read, was) {different}")


def _check_processes(
    final: FinalState, registers: dict[Register, _Chain], verdict: Verdict
) -> None:
    expected = {
        register: chain.revisions[-1].version
        for register, chain in registers.items()
        if not chain.revisions[-1].deleted
    }
    for name, configs in final.processes.items():
        if configs != expected:
            different = [
                r for r in configs.keys() | expected.keys() if configs.get(r) != expected.get(r)
            ]
            verdict.diverged.append(
                f"{name} answers {[(r, configs.get(r), expected.get(r)) for r in different[:3]]}"
                " (register, answered, recorded)"
            )
