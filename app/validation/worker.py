"""A worker: `python -m app.validation.worker PARENT_PID MEMORY_BYTES`, started by the pool.

Two processes. The outer one imports everything, then forks the inner one, which does the
work; when the inner one dies, the outer one says so and forks the next within milliseconds.
The inner one lives under limits that the kernel holds it to: processor time for each
request (a signal whose default is death, so that no regular expression and no C code can
ignore it) and address space. Both die with their parent.

It must never open a socket, read a file after its start, or write content anywhere but
into its reply.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import resource
import select
import signal
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final, NoReturn

# jsonschema would load a grammar for two seconds if this is installed; our formats replace it.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

import orjson  # noqa: E402

from app.validation.wire import Operation, Outcome, Request, read_request, write_reply  # noqa: E402
from domain.config_schema import CompiledSchema, compile_schema  # noqa: E402
from domain.errors import MalformedJson, NotIJson  # noqa: E402
from domain.json_document import parse_json  # noqa: E402
from domain.json_source import member_span  # noqa: E402
from domain.schema_outcomes import InvalidSchema, SchemaTooExpensive  # noqa: E402

RECURSION_LIMIT: Final = 6000
"""About 2.5 MB of C stack, of the usual 8."""
MAX_CACHED_SCHEMAS: Final = 256
MAX_CACHED_BYTES: Final = 8 * 1024 * 1024
"""Of schema text. Compiled, a schema takes about ten times as much."""
NICENESS: Final = 10
"""Work that nobody waits for on a short deadline yields to the event loop."""

_REQUESTS = 0
_IDLE, _READING, _WORKING, _REPLYING = 0, 1, 2, 3
_RECYCLE = 3
"""The exit code of an inner process that may be damaged: fork the next."""
_PR_SET_PDEATHSIG = 1


class CompiledSchemas:
    """Compiled schemas by their text, so that a wrong one can never be found."""

    def __init__(self) -> None:
        self._by_text: OrderedDict[bytes, CompiledSchema] = OrderedDict()
        self._bytes = 0

    def get(self, text: bytes) -> CompiledSchema:
        """Compile the checked schema `text`, or find it. Least recently used ones go."""
        found = self._by_text.get(text)
        if found is not None:
            self._by_text.move_to_end(text)
            return found
        compiled = compile_schema(text, already_checked=True)
        self._by_text[text] = compiled
        self._bytes += len(text)
        while len(self._by_text) > MAX_CACHED_SCHEMAS or self._bytes > MAX_CACHED_BYTES:
            gone, _ = self._by_text.popitem(last=False)
            self._bytes -= len(gone)
        return compiled


def answer(request: Request, schemas: CompiledSchemas) -> tuple[Outcome, Any]:
    """Do the work of one request. Raises MemoryError when the memory is used up."""
    try:
        if request.operation is Operation.PARSE:
            return _parse(request)
        if request.operation is Operation.CHECK:
            return Outcome.DIALECT, compile_schema(request.schema).dialect
        schema = schemas.get(request.schema)
        violations = schema.validate(orjson.loads(request.content))
        return Outcome.VIOLATIONS, [
            [each.pointer, each.keyword, each.message] for each in violations
        ]
    except InvalidSchema as error:
        return Outcome.INVALID, [error.detail, error.pointer]
    except SchemaTooExpensive as error:
        return Outcome.EXPENSIVE, error.detail


def _parse(request: Request) -> tuple[Outcome, Any]:
    try:
        parse_json(request.content, max_depth=request.max_depth)
    except NotIJson as error:
        return Outcome.NOT_I_JSON, [error.detail, error.pointer]
    except MalformedJson as error:
        return Outcome.MALFORMED, [error.detail, error.line, error.column]
    name = request.schema.decode()
    return Outcome.PARSED, member_span(request.content.decode(), name) if name else None


def _work(state: mmap.mmap, replies: int, memory_bytes: int) -> NoReturn:
    """The inner process: answer until the stream ends or the kernel ends it."""
    _limit_memory(memory_bytes)
    sys.setrecursionlimit(RECURSION_LIMIT)
    schemas = CompiledSchemas()
    arrival = select.poll()
    arrival.register(_REQUESTS, select.POLLIN)
    while True:
        # Told before anything is taken out of the stream: one that is killed while it waits took
        # nothing, one that is killed in the middle of a request took nobody knows how much.
        arrival.poll()
        state[0] = _READING
        if (request := read_request(_REQUESTS)) is None:
            os._exit(0)
        state[0] = _WORKING
        signal.setitimer(signal.ITIMER_PROF, request.cpu_s)
        is_sound = True
        try:
            outcome, value = answer(request, schemas)
        except (MemoryError, SystemError):
            # CPython raises SystemError where it failed to allocate even the MemoryError.
            is_sound, outcome, value = False, Outcome.EXPENSIVE, "it takes too much memory"
        except Exception as error:  # noqa: BLE001 - told to the pool, which raises it there
            is_sound, outcome, value = False, Outcome.BROKEN, _place_of(error)
        signal.setitimer(signal.ITIMER_PROF, 0)
        state[0] = _REPLYING
        write_reply(replies, outcome, value)
        if not is_sound:
            os._exit(_RECYCLE)
        state[0] = _IDLE


def _place_of(error: Exception) -> str:
    """The kind of an exception and where it came from: never its text, which holds content."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = (
        "?"
        if trace is None
        else f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
    )
    return f"{type(error).__name__} at {place}"


def _limit_memory(memory_bytes: int) -> None:
    """Bound the address space that the work may take beyond what the imports took."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return  # Not Linux: the limits of time and recursion remain.
    taken = int(statm.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + memory_bytes, taken + memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # It ended before we asked.


def _silence() -> None:
    """An exception's text may hold content, and a print would tear the replies."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def main() -> int:
    """The outer process: fork, wait, tell, fork again. Ends when the stream ends."""
    parent, memory_bytes = map(int, sys.argv[1:])
    _die_with(parent)
    os.nice(NICENESS)
    compile_schema(b"{}").validate({})  # Everything that loads late is loaded now, once.
    gc.freeze()
    state = mmap.mmap(-1, 1)
    replies = os.dup(1)
    me, is_told = os.getpid(), False
    while True:
        state[0] = _IDLE
        child = os.fork()
        if child == 0:
            _silence()
            _die_with(me)
            _work(state, replies, memory_bytes)
        if not is_told:
            write_reply(replies, Outcome.READY, me)
            is_told = True
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == _RECYCLE:
            continue
        if code >= 0 or state[0] in (_READING, _REPLYING):
            return code  # The stream's end; or one that is torn: the pool starts anew.
        if state[0] == _WORKING:
            write_reply(replies, Outcome.DIED, -code)


if __name__ == "__main__":
    sys.exit(main())
