"""The faults, and a schedule of them that a seed replays.

The schedule says what happens to whom (leader, a follower, the active projector, …) and for how
long; who that is is asked when it happens.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from app.embedded.raft import MEMBERS
from tests.faults.clients import Clients
from tests.faults.cluster import FAKETIME, SKEWED, Cluster

clock = time.monotonic
SETTLE_TIMEOUT_S = 90.0
HEAL_AGAIN_S = 15.0
IN_FLIGHT_S = 1.0
"""A write that was applied before a fault may be acknowledged a moment after it."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault of the schedule."""

    kind: str
    lasts_s: float
    pick: int
    """Chooses among what the kind leaves open."""
    rest_s: float
    """Quiet time behind it."""


@dataclass(slots=True)
class Happened:
    """One fault that was done."""

    kind: str
    begun: float
    healed: float = 0.0
    settled: float = 0.0
    """When the first write behind it was acknowledged."""
    whom: str = ""
    bystanders: bool = True
    """Whether a web process stayed reachable all the time: then reads must not pause."""


@dataclass
class Nemesis:
    """Does the faults of a schedule to a cluster, one after the other."""

    cluster: Cluster
    clients: Clients
    happened: list[Happened] = field(default_factory=list)

    async def run(self, schedule: list[Planned], until: float) -> None:
        """Go through the schedule until the clock shows `until`."""
        for planned in schedule:
            if clock() >= until:
                return
            self.clients.check_alive()
            await self.one(planned)
            await asyncio.sleep(planned.rest_s)

    async def one(self, planned: Planned) -> None:
        """Do one fault, heal it, and wait until a write is acknowledged again."""
        fault = Happened(planned.kind, clock(), bystanders=planned.kind not in _NO_BYSTANDER)
        self.happened.append(fault)
        await KINDS[planned.kind](self, planned, fault)
        await self.cluster.heal()
        fault.healed = clock()
        while not await self.clients.wait_for_write(HEAL_AGAIN_S):
            if clock() > fault.healed + SETTLE_TIMEOUT_S:
                raise AssertionError(f"no write after {planned}; {self.cluster.ends[-3:]}")
            # A server may have ended by itself after we looked (PostgreSQL on a full disk).
            await self.cluster.heal()
        fault.settled = clock()

    # Who

    async def raft_members(self, planned: Planned, role: str) -> list[int]:
        leader = await self.cluster.find_leader()
        followers = [index for index in range(MEMBERS) if index != leader]
        one = followers[planned.pick % 2]
        chosen = {"leader": [leader], "follower": [one], "two": [leader, one]}
        return chosen.get(role, list(range(MEMBERS)))

    def web(self, planned: Planned) -> str:
        return ("web1", "web2")[planned.pick % 2]


Fault = Callable[[Nemesis, Planned, Happened], Awaitable[None]]


def _kill_raft(role: str) -> Fault:
    async def fault(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
        members = await nemesis.raft_members(planned, role)
        done.begun = clock()
        for index in members:
            nemesis.cluster.raft.kill_member(index)
        done.whom = ",".join(f"n{index + 1}" for index in members)
        await asyncio.sleep(planned.lasts_s)

    return fault


def _stop_raft(role: str) -> Fault:
    async def fault(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
        members = await nemesis.raft_members(planned, role)
        for index in members:
            nemesis.cluster.raft.pause_member(index)
        done.whom = ",".join(f"n{index + 1}" for index in members)
        await asyncio.sleep(planned.lasts_s)

    return fault


def _cut_raft(role: str, *directions: str) -> Fault:
    async def fault(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
        (index,) = await nemesis.raft_members(planned, role)
        done.whom = f"n{index + 1}"
        for name, link in nemesis.cluster.links.items():
            if done.whom in name.split(">") and not name.startswith("clients"):
                # One direction: what this member says is lost, what it hears arrives.
                mine = "there" if name.startswith(done.whom) else "back"
                link.cut(*([mine] if directions else []))
        await asyncio.sleep(planned.lasts_s)

    return fault


def _cut_clients(everyone: bool) -> Fault:
    async def fault(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
        for index in range(MEMBERS):
            if everyone or index == planned.pick % MEMBERS:
                link = nemesis.cluster.links[f"clients>n{index + 1}"]
                link.cut()
                if planned.pick % 2:
                    link.drop()
                done.whom += f"n{index + 1} "
        await asyncio.sleep(planned.lasts_s)

    return fault


async def _slow(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
    for link in nemesis.cluster.links.values():
        link.delay_s = (0.02, 0.05, 0.1)[planned.pick % 3]
    await asyncio.sleep(planned.lasts_s)


async def _kill_projector(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
    done.whom = await nemesis.cluster.active_projector()
    done.begun = clock()
    nemesis.cluster.kill(done.whom)
    await asyncio.sleep(planned.lasts_s)


async def _kill_projectors(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
    for name in ("projector1", "projector2"):
        nemesis.cluster.kill(name)
    await asyncio.sleep(planned.lasts_s)


async def _stop_projector(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
    done.whom = await nemesis.cluster.active_projector()
    nemesis.cluster.children[done.whom].send(signal.SIGSTOP)
    await asyncio.sleep(planned.lasts_s)


async def _freeze_projector(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
    """Frozen for good: the standby takes over without it."""
    done.whom = await nemesis.cluster.active_projector()
    nemesis.cluster.children[done.whom].send(signal.SIGSTOP)
    await asyncio.sleep(IN_FLIGHT_S)
    if not await nemesis.clients.wait_for_write(SETTLE_TIMEOUT_S):
        raise AssertionError("no standby took over from a frozen projector")


async def _kill_web(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
    done.whom = nemesis.web(planned)
    nemesis.cluster.kill(done.whom)
    await asyncio.sleep(planned.lasts_s)


async def _kill_webs(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
    for name in ("web1", "web2"):
        nemesis.cluster.kill(name)
    await asyncio.sleep(planned.lasts_s)


async def _stop_web(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
    done.whom = nemesis.web(planned)
    nemesis.cluster.children[done.whom].send(signal.SIGSTOP)
    await asyncio.sleep(planned.lasts_s)


async def _kill_postgres(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
    nemesis.cluster.kill_postgres()
    await asyncio.sleep(planned.lasts_s)


async def _stop_postgres(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
    nemesis.cluster.signal_postgres(signal.SIGSTOP)
    await asyncio.sleep(planned.lasts_s)


async def _kill_all(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
    cluster = nemesis.cluster
    cluster.kill_postgres()
    for index in range(MEMBERS):
        cluster.raft.kill_member(index)
    for name in ("web1", "web2", "projector1", "projector2"):
        cluster.kill(name)
    await asyncio.sleep(planned.lasts_s)


def _fill_disk(name: str) -> Fault:
    async def fault(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
        cluster = nemesis.cluster
        done.whom = name
        await asyncio.to_thread(cluster.fill_disk, name)
        await asyncio.sleep(planned.lasts_s)
        cluster.free_disk(name)
        if name != "postgres":
            # nats-server switches its storage off for good; docs/RUNBOOK.md says the same.
            cluster.raft.kill_member(cluster.raft.names.index(name))

    return fault


async def _jump_clock(nemesis: Nemesis, planned: Planned, done: Happened) -> None:
    done.whom = ",".join(SKEWED)
    offset = (3600, -3600, 86_400 * 400, -5)[planned.pick % 4]
    for name in SKEWED:
        nemesis.cluster.set_clock(name, offset)
    await asyncio.sleep(planned.lasts_s)


KINDS: dict[str, Fault] = {
    "kill Raft leader": _kill_raft("leader"),
    "kill Raft follower": _kill_raft("follower"),
    "kill two Raft servers": _kill_raft("two"),
    "kill all Raft servers": _kill_raft("all"),
    "freeze Raft leader": _stop_raft("leader"),
    "freeze Raft follower": _stop_raft("follower"),
    "cut off Raft leader": _cut_raft("leader"),
    "cut off Raft follower": _cut_raft("follower"),
    "Raft leader is not heard": _cut_raft("leader", "mine"),
    "cut service from a Raft server": _cut_clients(everyone=False),
    "cut service from Raft": _cut_clients(everyone=True),
    "slow network": _slow,
    "kill active projector": _kill_projector,
    "kill both projectors": _kill_projectors,
    "freeze projector for a moment": _stop_projector,
    "freeze projector for good": _freeze_projector,
    "kill web process": _kill_web,
    "kill both web processes": _kill_webs,
    "freeze web process": _stop_web,
    "kill PostgreSQL": _kill_postgres,
    "freeze PostgreSQL": _stop_postgres,
    "kill everything": _kill_all,
    "disk full: Raft server": _fill_disk("n3"),
    "disk full: PostgreSQL": _fill_disk("postgres"),
    "clock jump": _jump_clock,
}

_NO_BYSTANDER = {"kill both web processes", "kill everything"}
"""Nobody is left who could answer a read."""

_WEIGHTS: dict[str, float] = {
    "kill Raft leader": 3,
    "kill active projector": 3,
    "kill web process": 3,
    "kill PostgreSQL": 3,
    "kill everything": 2,
    "freeze projector for good": 0.5,
}
_LASTS_S: dict[str, tuple[float, float]] = {
    "kill both web processes": (0.0, 0.5),
    "slow network": (1.0, 4.0),
    "disk full: Raft server": (1.5, 3.0),
    "disk full: PostgreSQL": (1.5, 3.0),
    "clock jump": (1.5, 2.5),
}
SHORT = (
    "kill Raft leader",
    "kill everything",
    "kill active projector",
    "cut service from Raft",
    "kill web process",
    "kill PostgreSQL",
    "freeze Raft follower",
    "clock jump",
)
"""What the part that runs in `make test` begins with."""


def kinds_here(cluster: Cluster) -> list[str]:
    """The kinds that this machine can do; the cluster's notes name the others."""
    kinds = list(KINDS)
    if "n3" not in cluster.disks:
        kinds.remove("disk full: Raft server")
    if "postgres" not in cluster.disks:
        kinds.remove("disk full: PostgreSQL")
    if not FAKETIME.exists():
        kinds.remove("clock jump")
        cluster.notes.append(
            "clock jump: libfaketime is not installed (apt-get install libfaketime)"
        )
    return kinds


def schedule(
    seed: int, kinds: list[str], count: int = 5000, first: tuple[str, ...] = ()
) -> list[Planned]:
    """The faults of a seed: first each kind once, then at random by weight."""
    rng = random.Random(seed)
    every = [kind for kind in kinds if kind not in first]
    rng.shuffle(every)
    weights = [_WEIGHTS.get(kind, 1.0) for kind in kinds]
    order = [kind for kind in first if kind in kinds] + every
    order += rng.choices(kinds, weights, k=count)
    return [
        Planned(
            kind,
            round(rng.uniform(*_LASTS_S.get(kind, (0.0, 3.0))), 2),
            rng.randrange(12),
            round(rng.uniform(0.1, 1.0), 2),
        )
        for kind in order
    ]
