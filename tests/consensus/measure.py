"""Measures the log on a Raft group of its own: `python -m tests.consensus.measure`.

Not a test: the numbers depend on the machine. As durable as the product (`sync_interval:
always`).
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from app.embedded.raft import RaftGroup
from consensus.jetstream import JetStreamLog
from consensus.log import LogReader
from tests.consensus.contract import eventually, new_id

TIMEOUT_S = 60.0
DATA = b"x" * 300


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def percentiles(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    return f"p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, max {ordered[-1] * 1e3:.2f} ms"


async def appends(log: JetStreamLog, writers: int, total: int) -> None:
    taken: list[float] = []

    async def writer() -> None:
        for _ in range(total // writers):
            start = time.perf_counter()
            await log.append(new_id(), DATA, timeout=TIMEOUT_S)
            taken.append(time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*(writer() for _ in range(writers)))
    rate = len(taken) / (time.perf_counter() - start)
    say(f"append, {writers:>3} at once: {rate:>7,.0f}/s   {percentiles(taken)}")


async def barriers(log: JetStreamLog) -> None:
    taken = []
    for _ in range(200):
        start = time.perf_counter()
        await log.barrier(timeout=TIMEOUT_S)
        taken.append(time.perf_counter() - start)
    say(f"barrier: {percentiles(taken)}")


async def reads(log: JetStreamLog) -> None:
    last = (await log.status()).last_position
    reader, count, start = log.reader(0), 0, time.perf_counter()
    while True:
        batch = await reader.next_batch()
        count += len(batch)
        if batch[-1].position == last:
            break
    say(f"read from the start: {count / (time.perf_counter() - start):,.0f}/s ({count} entries)")
    await reader.close()


async def wake_up(log: JetStreamLog) -> None:
    """Another connection's reader: from the append's acknowledgement to the batch."""
    reader = log.reader((await log.status()).last_position)
    await reader.next_batch(timeout=0.5)
    after_ack, whole = [], []

    async def read_one() -> float:
        await reader.next_batch()
        return time.perf_counter()

    for _ in range(300):
        reading = asyncio.create_task(read_one())
        await asyncio.sleep(0.003)
        start = time.perf_counter()
        await log.append(new_id(), DATA, timeout=TIMEOUT_S)
        acknowledged = time.perf_counter()
        got = await reading
        after_ack.append(max(0.0, got - acknowledged))
        whole.append(got - start)
    say(f"reader woken, from the acknowledgement: {percentiles(after_ack)}")
    say(f"reader woken, from the call of append:  {percentiles(whole)}")


async def pauses(group: RaftGroup, log: JetStreamLog, rounds: int) -> None:
    """The longest time without an acknowledgement, and without an entry read, per death."""
    longest = {"write": 0.0, "read": 0.0}
    latest = dict.fromkeys(longest, time.perf_counter())

    def mark(what: str) -> None:
        now = time.perf_counter()
        longest[what] = max(longest[what], now - latest[what])
        latest[what] = now

    async def writer() -> None:
        while True:
            await log.append(new_id(), DATA, timeout=TIMEOUT_S)
            mark("write")

    async def follow(reader: LogReader) -> None:
        while True:
            await reader.next_batch()
            mark("read")

    reader = log.reader((await log.status()).last_position)
    tasks = [asyncio.create_task(writer()) for _ in range(8)]
    tasks.append(asyncio.create_task(follow(reader)))
    await asyncio.sleep(1)
    for number in range(rounds):
        leader = (await log.status()).leader
        assert leader is not None
        leads = number % 2 == 0
        victim = group.names.index(leader)
        victim = victim if leads else (victim + 1) % 3
        longest.update(write=0.0, read=0.0)
        killed = time.perf_counter()
        group.kill_member(victim)
        await asyncio.sleep(3)

        async def both_go_on(since: float = killed + 1) -> bool:
            return min(latest.values()) > since

        await eventually(both_go_on)
        group.start_member(victim)
        await asyncio.sleep(4)
        what = "leader" if leads else "follower"
        say(f"{what} killed: writes paused {longest['write']:.1f} s, reads {longest['read']:.1f} s")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def main(group: RaftGroup) -> None:
    log = await JetStreamLog.connect(group.url.split(","), "log", timeout=TIMEOUT_S)
    for writers, total in ((1, 500), (8, 4000), (64, 16_000), (256, 32_000)):
        await appends(log, writers, total)
    await barriers(log)
    await reads(log)
    await wake_up(log)
    await pauses(group, log, rounds=6)
    await log.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="gt-") as folder:
        raft_group = RaftGroup(Path(folder))
        raft_group.start()
        try:
            asyncio.run(main(raft_group))
        finally:
            raft_group.stop()
