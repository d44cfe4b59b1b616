"""The pool of validation workers: `async with ValidatorPool() as pool: await pool.validate(…)`.

Whatever a schema and a content do, the event loop only waits for a pipe. A request that
takes too much processor time, memory or recursion ends with SchemaTooExpensive, and other
tenants do not notice (see fair_queue). Content never reaches a log from here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from app.validation.fair_queue import FairQueue, QueueFull
from app.validation.wire import (
    REPLY_HEADER_BYTES,
    Operation,
    Outcome,
    Request,
    decode_reply,
    reply_length,
)
from domain.errors import BrokenInvariant, MalformedJson, NotIJson
from domain.json_document import MAX_DEPTH
from domain.schema_outcomes import InvalidSchema, SchemaTooExpensive, Violation

_ROOT = Path(__file__).resolve().parents[2]
_START_TIMEOUT_S: Final = 30.0
_CLOCK_PER_CPU: Final = 10.0
_CLOCK_MORE_S: Final = 5.0
"""A worker that waits this many times its processor time and more, by the clock, gets none: the
kernel ends what is too expensive, so the machine is to blame, and not the request."""
_ATTEMPTS: Final = 2
PARSE_CPU_S_PER_BYTE: Final = 20e-6
"""Five times what the costliest document takes."""

_ENDED_BY_ITSELF = {signal.SIGPROF, signal.SIGXCPU}
_CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS}


class ValidationBusy(Exception):
    """Too many validations wait already: the caller should come back in a moment."""


class ValidatorsUnavailable(Exception):
    """Workers cannot be started, or are killed from outside again and again."""


class _WorkerLost(Exception):
    """The worker ended or its stream is torn; what it was doing may be done again."""


class _Worker:
    """One outer process (see worker.py) and its pipes. One request at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.busy = False

    @classmethod
    async def start(cls, memory_bytes: int) -> Self:
        """Start it and wait until it is ready. Raises ValidatorsUnavailable."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "app.validation.worker"),
            *(str(os.getpid()), str(memory_bytes)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Nothing of our environment, which holds the secrets.
            env={"PYTHONPATH": str(_ROOT), "LC_ALL": "C.UTF-8"},
            cwd="/",
            start_new_session=True,
        )
        worker = cls(process)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                outcome, _ = await worker._reply()
        except (TimeoutError, _WorkerLost) as error:
            await worker.kill()
            raise ValidatorsUnavailable("a validation worker does not start") from error
        except asyncio.CancelledError:
            await worker.kill()
            raise
        if outcome is not Outcome.READY:
            raise BrokenInvariant(f"a worker that is not ready but {outcome}")
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, request: Request) -> tuple[Outcome, Any]:
        """Send `request`, wait for the reply. Raises _WorkerLost, TimeoutError."""
        self.busy = True
        assert self._process.stdin is not None
        try:
            async with asyncio.timeout(request.cpu_s * _CLOCK_PER_CPU + _CLOCK_MORE_S):
                self._process.stdin.write(request.encode())
                await self._process.stdin.drain()
                reply = await self._reply()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _WorkerLost from error
        self.busy = False
        return reply

    async def _reply(self) -> tuple[Outcome, Any]:
        assert self._process.stdout is not None
        try:
            header = await self._process.stdout.readexactly(REPLY_HEADER_BYTES)
            return decode_reply(await self._process.stdout.readexactly(reply_length(header)))
        except (EOFError, ConnectionResetError) as error:
            raise _WorkerLost from error

    async def kill(self) -> None:
        """End both of its processes at once. Idempotent."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        # Its pipes have to be closed too, or the transport outlives the loop and fails when it is
        # collected. `wait` alone does not wait for them if the outer process is dead already:
        # the inner one holds its end until it is scheduled to die.
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        await self._process.stdout.read()
        await self._process.wait()


@dataclass(eq=False, slots=True)
class _Job:
    request: Request
    answer: asyncio.Future[tuple[Outcome, Any]]


class ValidatorPool:
    """Checks schemas and validates contents in `workers` worker processes.

    Workers start when they are first needed, or all at once with `prewarm`. Each takes
    about 50 MB and no processor time while idle. One request may take `cpu_s` seconds of
    processor time (a schema that is stored, `check_cpu_s`), `memory_bytes` and, by the clock,
    10 times its time and 5 s (then ValidatorsUnavailable: the machine is too busy). A tenant has
    at most all workers but one, and at most `tenant_waiting` requests that wait.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        cpu_s: float = 1.0,
        check_cpu_s: float = 5.0,
        memory_bytes: int = 512 * 1024 * 1024,
        tenant_waiting: int = 64,
        all_waiting: int = 1024,
        prewarm: bool = False,
    ) -> None:
        self._cpu_s = cpu_s
        self._check_cpu_s = check_cpu_s
        self._memory_bytes = memory_bytes
        self._prewarm = prewarm
        self._queue: FairQueue[_Job] = FairQueue(
            slots=workers,
            per_tenant=max(1, workers - 1),
            tenant_waiting=tenant_waiting,
            all_waiting=all_waiting,
        )
        self._workers = workers
        self._idle: list[_Worker] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._jobs: set[_Job] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        try:
            if self._prewarm:
                starting = [self._start_one() for _ in range(self._workers)]
                for failure in await asyncio.gather(*starting, return_exceptions=True):
                    if failure is not None:
                        raise failure
        except BaseException:  # also a cancellation: nobody leaves what was not entered
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def validate(
        self, schema: str | bytes, content: bytes, *, tenant: str
    ) -> list[Violation]:
        """How `content` breaks `schema`, the first 100 ways; none if it holds.

        `schema` is a text that check_schema accepted, `content` normalised I-JSON
        (domain.json_document.encode_json). `tenant` shares fairly: an account, as
        app.access.principal says. Raises SchemaTooExpensive, ValidationBusy,
        ValidatorsUnavailable; InvalidSchema only if the schema was not checked.
        """
        request = Request(Operation.VALIDATE, self._cpu_s, _bytes(schema), content)
        return [Violation(*each) for each in await self._run(tenant, request, Outcome.VIOLATIONS)]

    async def check_schema(self, schema: str | bytes, *, tenant: str) -> str:
        """Check a schema before it is stored; the URI of its dialect.

        Raises InvalidSchema with the place, SchemaTooExpensive, ValidationBusy,
        ValidatorsUnavailable.
        """
        request = Request(Operation.CHECK, self._check_cpu_s, _bytes(schema), b"")
        return str(await self._run(tenant, request, Outcome.DIALECT))

    async def check_json(
        self, document: bytes, *, tenant: str, max_depth: int = MAX_DEPTH, member: str = ""
    ) -> tuple[int, int] | None:
        """Check that `document` is I-JSON: after this, orjson.loads gives what parse_json would.

        Returns where the value of `member` stands in the decoded text, None if there is none.
        Raises MalformedJson, NotIJson, ValidationBusy, ValidatorsUnavailable, and
        SchemaTooExpensive for a document that takes too much memory.
        """
        # Honest work is never cut: nothing in it takes more than linear time.
        cpu_s = self._cpu_s + len(document) * PARSE_CPU_S_PER_BYTE
        request = Request(Operation.PARSE, cpu_s, member.encode(), document, max_depth)
        span = await self._run(tenant, request, Outcome.PARSED)
        return None if span is None else (span[0], span[1])

    async def close(self) -> None:
        """End the workers; requests that wait or run raise ValidatorsUnavailable. Idempotent."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for job in self._jobs:
            _fail(job, ValidatorsUnavailable("the service is stopping"))
        await asyncio.gather(*(worker.kill() for worker in self._idle))
        self._idle.clear()

    @property
    def worker_pids(self) -> list[int]:
        """The idle workers' process ids, for tests and diagnosis."""
        return [worker.pid for worker in self._idle]

    @property
    def waiting(self) -> int:
        """How many requests wait for a worker."""
        return self._queue.waiting

    async def _run(self, tenant: str, request: Request, expected: Outcome) -> Any:
        if self._closed:
            raise ValidatorsUnavailable("the service is stopping")
        job = _Job(request, asyncio.get_running_loop().create_future())
        try:
            self._queue.push(tenant, job)
        except QueueFull as error:
            raise ValidationBusy(str(error)) from None
        self._jobs.add(job)
        self._dispatch()
        try:
            outcome, value = await job.answer
        except asyncio.CancelledError:
            # What runs already goes on to its end, so that its worker stays in step.
            self._queue.discard(tenant, job)
            raise
        finally:
            self._jobs.discard(job)
        if outcome is expected:
            return value
        if outcome is Outcome.MALFORMED:
            raise MalformedJson(*value)
        if outcome is Outcome.NOT_I_JSON:
            raise NotIJson(*value)
        if outcome is Outcome.INVALID:
            raise InvalidSchema(*value)
        if outcome is Outcome.EXPENSIVE:
            raise SchemaTooExpensive(value)
        raise BrokenInvariant(f"a validation worker answered {outcome}: {value}")

    def _dispatch(self) -> None:
        while (taken := self._queue.pop()) is not None:
            task = asyncio.create_task(self._serve(*taken))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, tenant: str, job: _Job) -> None:
        start_s = time.monotonic()
        try:
            answer = await self._answer(job.request)
        except (ValidatorsUnavailable, OSError) as error:
            _fail(job, ValidatorsUnavailable(str(error)))
        except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
            _fail(job, error)
        else:
            if not job.answer.done():
                job.answer.set_result(answer)
        finally:
            self._queue.done(tenant, time.monotonic() - start_s)
            if not self._closed:
                self._dispatch()

    async def _answer(self, request: Request) -> tuple[Outcome, Any]:
        """Ask some worker. Tries again if it was lost for a reason that is not the request's."""
        attempts = 0
        while attempts < _ATTEMPTS:
            was_idle = bool(self._idle)
            worker = self._idle.pop() if was_idle else await _Worker.start(self._memory_bytes)
            try:
                outcome, value = await worker.ask(request)
            except TimeoutError as error:
                raise ValidatorsUnavailable("the validators get no processor time") from error
            except _WorkerLost:
                # An idle one may have been dead already; there is a bounded number of those.
                attempts += not was_idle
                continue
            finally:
                await self._put_back(worker)
            attempts += 1
            if outcome is not Outcome.DIED:
                return outcome, value
            if value in _ENDED_BY_ITSELF:
                return Outcome.EXPENSIVE, f"it takes more than {request.cpu_s} s of processor time"
            if value in _CRASHES:
                return Outcome.EXPENSIVE, "it takes too much memory or recursion"
        raise ValidatorsUnavailable("validation workers are killed from outside")

    async def _start_one(self) -> None:
        self._idle.append(await _Worker.start(self._memory_bytes))

    async def _put_back(self, worker: _Worker) -> None:
        # A worker that still owes a reply would give it to the next request.
        if worker.busy:
            await worker.kill()
        else:
            self._idle.append(worker)


def _fail(job: _Job, error: BaseException) -> None:
    if not job.answer.done():
        job.answer.set_exception(error)


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
