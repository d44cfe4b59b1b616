"""Goal: a worker takes nothing with it when it dies, and keeps no more than it may."""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import sys
import termios

import pytest

from app.validation import worker
from app.validation.wire import REPLY_HEADER_BYTES, Operation, Request
from tests.app.validation.test_pool import BOMB, FUSE, STRING, inner, replaced, until
from tests.support.processes import ROOT


async def test_a_worker_killed_while_it_reads_a_request_is_given_up() -> None:
    """Race: it took the request with it, and the next one waited for it in vain.

    Method: half a request, so that it is still reading when it is killed.
    """
    command = [sys.executable, "-P", "-m", "app.validation.worker", str(os.getpid()), "100000000"]
    environ = {"PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environ) as process:  # noqa: ASYNC220 - only its start
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.read(REPLY_HEADER_BYTES)  # it is ready
        half = Request(Operation.VALIDATE, 1.0, STRING.encode(), b"1").encode()[:-1]
        os.write(process.stdin.fileno(), half)
        unread = bytearray(4)

        def all_is_read() -> bool:
            assert process.stdin is not None
            fcntl.ioctl(process.stdin.fileno(), termios.FIONREAD, unread)
            return not any(unread)

        await until(all_is_read)
        reading = inner(process.pid)
        reading.kill()
        await until(lambda: process.poll() is not None or replaced(process.pid, reading))
        given_up = process.poll() is not None
        process.kill()
    assert given_up, "the next one would read on in the middle of a request"


def test_workers_die_with_their_parent() -> None:
    program = """
import asyncio, sys
from app.validation.pool import ValidatorPool

async def main():
    async with ValidatorPool(workers=1, cpu_s=600, prewarm=True) as pool:
        print(pool.worker_pids[0], flush=True)
        await pool.validate(sys.argv[1], sys.argv[2].encode(), tenant="a")

asyncio.run(main())
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", program, BOMB, FUSE.decode()], stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    outer = int(parent.stdout.readline())
    ends = select.poll()
    watched = [os.pidfd_open(pid) for pid in (outer, inner(outer).pid)]
    for descriptor in watched:
        ends.register(descriptor, select.POLLIN)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for descriptor in watched:
        single = select.poll()
        single.register(descriptor, select.POLLIN)
        assert single.poll(10_000), "a worker outlived its parent"
        os.close(descriptor)


def test_the_schemas_that_were_used_last_are_kept_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, c, large = (json.dumps({"const": text}).encode() for text in ("a", "b", "c", "x" * 50))
    monkeypatch.setattr(worker, "MAX_CACHED_SCHEMAS", 2)
    monkeypatch.setattr(worker, "MAX_CACHED_BYTES", len(a) + len(large))
    schemas = worker.CompiledSchemas()
    first, second = schemas.get(a), schemas.get(b)
    assert schemas.get(a) is first
    schemas.get(c)
    assert schemas.get(a) is first
    again = schemas.get(b)
    assert again is not second
    # By their bytes, too, of those alone that are kept.
    found = schemas.get(large)
    assert (schemas.get(b), schemas.get(large)) == (again, found)
    larger = schemas.get(large + b" ")
    assert schemas.get(large) is not found
    assert schemas.get(large + b" ") is not larger
