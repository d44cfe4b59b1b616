"""Goal: whatever a schema and a content do, the loop and the other tenants do not notice.

Method: real worker processes, killed and bombed; order is asserted by completion.
"""

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.validation.pool import ValidationBusy, ValidatorPool, ValidatorsUnavailable, _Worker
from domain.errors import BrokenInvariant, MalformedJson, NotIJson
from domain.schema_outcomes import InvalidSchema, SchemaTooExpensive, Violation

STRING = '{"type": "string"}'
# A lookahead keeps RE2 away; then the classic exponential pattern.
BOMB = json.dumps({"pattern": "^(?!x)(a+)+$"})
FUSE = json.dumps("a" * 60 + "!").encode()
SLOW_FUSE = json.dumps("a" * 23 + "!").encode()
"""About half a second of backtracking."""


@pytest.fixture
async def pool() -> AsyncIterator[ValidatorPool]:
    async with ValidatorPool(workers=2, cpu_s=0.3, prewarm=True) as running:
        yield running


def inner(outer_pid: int) -> psutil.Process:
    """The process that does a worker's work."""
    (child,) = psutil.Process(outer_pid).children()
    return child


def replaced(outer_pid: int, gone: psutil.Process) -> bool:
    children = psutil.Process(outer_pid).children()
    return bool(children) and children != [gone]


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition, which something outside the loop makes true."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what it waits for is another process
            await asyncio.sleep(0.002)


def works(pid: int) -> Callable[[], bool]:
    start_s = psutil.Process(pid).cpu_times().user
    return lambda: psutil.Process(pid).cpu_times().user > start_s + 0.05


async def test_contents_are_held_to_their_schema(pool: ValidatorPool) -> None:
    assert await pool.validate(STRING, b'"text"', tenant="a") == []
    assert await pool.validate(STRING, b"1", tenant="a") == [
        Violation("", "type", "1 is not of type string")
    ]


async def test_a_schema_is_checked_when_it_is_stored(pool: ValidatorPool) -> None:
    assert (await pool.check_schema(STRING, tenant="a")).endswith("2020-12/schema")
    with pytest.raises(InvalidSchema) as refused:
        await pool.check_schema('{"properties": {"a": {"type": "strin"}}}', tenant="a")
    assert refused.value.pointer == "/properties/a/type"
    with pytest.raises(InvalidSchema, match="never fetched"):
        await pool.check_schema('{"$ref": "http://127.0.0.1:9/x"}', tenant="a")
    for text in ("{", "\ud800", '{"a": 1, "a": 2}'):
        with pytest.raises(InvalidSchema):
            await pool.check_schema(text, tenant="a")


async def test_a_schema_whose_text_changed_is_another_schema(pool: ValidatorPool) -> None:
    """Compiled schemas are kept by their text: no key can name the wrong one."""
    for _ in range(3):
        assert await pool.validate('{"minimum": 1}', b"1", tenant="a") == []
        assert await pool.validate('{"minimum": 2}', b"1", tenant="a") != []


def doubling_references() -> dict[str, Any]:
    steps: dict[str, Any] = {"s0": {"type": "integer"}}
    for level in range(1, 60):
        below = {"$ref": f"#/$defs/s{level - 1}"}
        steps[f"s{level}"] = {"allOf": [below, below]}
    return {"$defs": steps, "$ref": "#/$defs/s59"}


@pytest.mark.parametrize(
    ("schema", "content", "reason"),
    [
        (json.loads(BOMB), json.loads(FUSE), "processor time"),
        (doubling_references(), 1, "processor time"),
        ({"pattern": "^(?!x)(a+)+$"}, "a" * 60 + "!", "processor time"),
        ({"anyOf": [{"type": "string"}, {"$ref": "#"}]}, 1, "recursion"),
        ({"contains": {"contains": {"contains": {"contains": False}}}},
         [[[[1] * 30] * 30] * 30] * 30, "processor time"),
    ],
)  # fmt: skip
async def test_what_is_too_expensive_is_cut_and_the_pool_goes_on(
    pool: ValidatorPool, schema: Any, content: Any, reason: str
) -> None:
    text = json.dumps(schema)
    await pool.check_schema(text, tenant="a")  # Nothing is wrong with the schema as such.
    workers = set(pool.worker_pids)
    with pytest.raises(SchemaTooExpensive, match=reason):
        await pool.validate(text, json.dumps(content).encode(), tenant="a")
    assert await pool.validate(STRING, b'"text"', tenant="a") == []
    assert set(pool.worker_pids) == workers  # Only the inner process was replaced.


async def test_memory_is_bounded() -> None:
    schema = {"anyOf": [{"items": {"allOf": [{"type": "string"}] * 60}}]}
    content = json.dumps([1] * 100_000).encode()
    memory_bytes = 64 * 1024 * 1024
    async with ValidatorPool(workers=1, cpu_s=60, memory_bytes=memory_bytes, prewarm=True) as pool:
        (outer,) = pool.worker_pids
        before = inner(outer)
        with pytest.raises(SchemaTooExpensive, match="memory"):
            await pool.validate(json.dumps(schema), content, tenant="a")
        assert await pool.validate(STRING, b'"text"', tenant="a") == []
        assert inner(outer) != before  # it may be damaged


async def test_a_huge_array_of_unique_items_is_cheap(pool: ValidatorPool) -> None:
    items = [value for index in range(8000) for value in (index, str(index), {"a": index})]
    content = json.dumps(items).encode()
    assert await pool.validate('{"uniqueItems": true}', content, tenant="a") == []


async def test_another_tenant_is_served_while_bombs_burn() -> None:
    """Shown by the order of completion: twenty requests against bombs that burn for 30 s each."""
    async with ValidatorPool(workers=2, cpu_s=30, prewarm=True) as pool:
        bombs = [asyncio.create_task(pool.validate(BOMB, FUSE, tenant="evil")) for _ in range(50)]
        await until(lambda: len(pool.worker_pids) == 1)
        for _ in range(20):
            assert await pool.validate(STRING, b'"text"', tenant="good") == []
        assert not any(bomb.done() for bomb in bombs)
        for bomb in bombs:
            bomb.cancel()


async def test_a_tenant_may_not_queue_without_end() -> None:
    async with ValidatorPool(workers=1, cpu_s=0.2, tenant_waiting=1) as pool:
        running = asyncio.create_task(pool.validate(BOMB, FUSE, tenant="evil"))
        waiting = asyncio.create_task(pool.validate(BOMB, FUSE, tenant="evil"))
        await asyncio.sleep(0)
        with pytest.raises(ValidationBusy):
            await pool.validate(STRING, b"1", tenant="evil")
        assert await pool.validate(STRING, b'"text"', tenant="good") == []
        assert isinstance(
            (await asyncio.gather(running, return_exceptions=True))[0], SchemaTooExpensive
        )
        waiting.cancel()


async def test_who_hangs_up_while_waiting_costs_nothing() -> None:
    async with ValidatorPool(workers=1, cpu_s=0.2) as pool:
        running = asyncio.create_task(pool.validate(BOMB, FUSE, tenant="a"))
        waiting = asyncio.create_task(pool.validate(BOMB, FUSE, tenant="a"))
        await until(lambda: pool.waiting == 1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert pool.waiting == 0
        with pytest.raises(SchemaTooExpensive):
            await running
        assert not pool._jobs


async def test_who_hangs_up_while_running_does_not_shift_the_answers() -> None:
    """The reply to the one that left must never be given to the next."""
    async with ValidatorPool(workers=1, cpu_s=10, prewarm=True) as pool:
        left = asyncio.create_task(pool.validate(BOMB, SLOW_FUSE, tenant="a"))
        await until(lambda: not pool.worker_pids)
        left.cancel()
        for _ in range(3):
            assert await pool.validate(STRING, b'"text"', tenant="a") == []
            assert len(await pool.validate(STRING, b"1", tenant="a")) == 1


async def test_a_killed_worker_is_replaced_and_the_request_done_again() -> None:
    async with ValidatorPool(workers=1, cpu_s=30, prewarm=True) as pool:
        (outer,) = pool.worker_pids
        for kill_outer in (False, True):
            working = inner(outer).pid
            asked = asyncio.create_task(pool.validate(BOMB, SLOW_FUSE, tenant="a"))
            await until(works(working))
            os.kill(outer if kill_outer else working, signal.SIGKILL)
            assert [each.keyword for each in await asked] == ["pattern"]
        assert pool.worker_pids != [outer]


async def test_a_request_that_crashes_its_worker_is_too_expensive_and_not_done_again() -> None:
    async with ValidatorPool(workers=1, cpu_s=30, prewarm=True) as pool:
        (outer,) = pool.worker_pids
        asked = asyncio.create_task(pool.validate(BOMB, SLOW_FUSE, tenant="a"))
        await until(works(inner(outer).pid))
        inner(outer).send_signal(signal.SIGSEGV)  # as a stack that is used up does
        with pytest.raises(SchemaTooExpensive, match="too much memory or recursion"):
            await asked


async def test_whose_work_took_long_goes_behind_whose_is_cheap() -> None:
    served: list[str] = []

    async def ask(pool: ValidatorPool, tenant: str) -> None:
        await pool.validate(STRING, b'"text"', tenant=tenant)
        served.append(tenant)

    async with ValidatorPool(workers=1, cpu_s=30, prewarm=True) as pool:
        await pool.validate(BOMB, json.dumps("a" * 20 + "!").encode(), tenant="slow")
        await asyncio.gather(*(ask(pool, tenant) for tenant in ("other", "slow", "cheap")))
    assert served == ["other", "cheap", "slow"]


async def test_a_worker_killed_while_idle_is_not_noticed(pool: ValidatorPool) -> None:
    for outer in pool.worker_pids:
        inner(outer).kill()
    for _ in range(4):
        assert len(await pool.validate(STRING, b"1", tenant="a")) == 1
    for outer in pool.worker_pids:
        os.kill(outer, signal.SIGKILL)
    assert len(await pool.validate(STRING, b"1", tenant="a")) == 1


async def test_closing_waits_for_the_pipe_of_a_worker_that_died_before() -> None:
    """Race: the event loop was closed first, and the pipe's transport failed when it was collected.

    Method: the test holds the pipe, as the inner process does until it is scheduled to die.
    """
    async with ValidatorPool(workers=1, prewarm=True) as pool:
        (worker,) = pool._idle
        held = os.open(f"/proc/{worker.pid}/fd/1", os.O_WRONLY)
        os.kill(worker.pid, signal.SIGKILL)
        await until(lambda: worker._process.returncode is not None)
        closing = asyncio.create_task(pool.close())
        for _ in range(10):
            await asyncio.sleep(0)
        early = closing.done()
        os.close(held)
        await closing
    assert not early


async def test_workers_that_are_killed_again_and_again_end_in_a_clean_error() -> None:
    async with ValidatorPool(workers=1, cpu_s=30, prewarm=True) as pool:
        (outer,) = pool.worker_pids
        asked = asyncio.create_task(pool.validate(BOMB, FUSE, tenant="a"))
        for _ in range(2):
            working = inner(outer)
            await until(works(working.pid))
            working.kill()
            await until(partial(replaced, outer, working))
        with pytest.raises(ValidatorsUnavailable):
            await asked
        assert await pool.validate(STRING, b'"text"', tenant="a") == []


async def test_a_worker_that_hangs_is_given_up_by_the_clock() -> None:
    async with ValidatorPool(workers=1, cpu_s=0.2, prewarm=True) as pool:
        (outer,) = pool.worker_pids
        inner(outer).suspend()
        with pytest.raises(ValidatorsUnavailable, match="no processor time"):
            await pool.validate(STRING, b"1", tenant="a")
        assert await pool.validate(STRING, b'"text"', tenant="a") == []
        assert pool.worker_pids != [outer]


async def test_a_fault_of_ours_is_raised_and_holds_no_content(pool: ValidatorPool) -> None:
    unchecked = '{"minLength": "s3cret-schema"}'
    with pytest.raises(BrokenInvariant, match="TypeError at") as fault:
        await pool.validate(unchecked, b'"s3cret-content"', tenant="a")
    assert "s3cret" not in str(fault.value)
    assert await pool.validate(STRING, b'"text"', tenant="a") == []


async def test_closing_ends_everything() -> None:
    others = set(psutil.Process().children(recursive=True))  # another test's service lives on
    pool = ValidatorPool(workers=2, cpu_s=30)
    async with pool:
        asked = [asyncio.create_task(pool.validate(BOMB, FUSE, tenant="a")) for _ in range(3)]
        await until(lambda: pool.waiting == 2)
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(answer, ValidatorsUnavailable)
    with pytest.raises(ValidatorsUnavailable):
        await pool.validate(STRING, b"1", tenant="a")
    assert not pool._tasks
    mine = set(psutil.Process().children(recursive=True)) - others
    assert not [each for each in mine if "app.validation.worker" in each.cmdline()]


async def test_a_start_that_is_cancelled_leaves_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    # A worker that was ready before the others lived on: nobody leaves what was not entered.
    pool = ValidatorPool(workers=2, prewarm=True)
    start_one, started = pool._start_one, list[None]()

    async def only_the_first_is_ready() -> None:
        started.append(None)
        if len(started) == 2:
            await asyncio.Event().wait()
        await start_one()

    monkeypatch.setattr(pool, "_start_one", only_the_first_is_ready)
    entering = asyncio.create_task(pool.__aenter__())
    await until(lambda: bool(pool.worker_pids))
    (outer,) = pool.worker_pids
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert not psutil.pid_exists(outer)


async def test_a_worker_that_still_starts_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    others = set(psutil.Process().children(recursive=True))

    def mine() -> set[psutil.Process]:
        return set(psutil.Process().children(recursive=True)) - others

    reply, begun = _Worker._reply, asyncio.Event()

    async def noted(self: _Worker) -> Any:
        begun.set()
        return await reply(self)

    monkeypatch.setattr(_Worker, "_reply", noted)
    async with ValidatorPool(workers=1) as pool:
        asked = asyncio.create_task(pool.validate(STRING, b"1", tenant="a"))
        await begun.wait()
        assert mine()
    with pytest.raises(ValidatorsUnavailable):
        await asked
    assert not mine()
    monkeypatch.setattr("app.validation.pool._START_TIMEOUT_S", 0)
    async with ValidatorPool(workers=1) as pool:
        with pytest.raises(ValidatorsUnavailable, match="does not start"):
            await pool.validate(STRING, b"1", tenant="a")
        assert not mine()

        async def none_more(*_: object, **__: object) -> None:
            raise BlockingIOError("there are too many processes")

        monkeypatch.setattr(asyncio, "create_subprocess_exec", none_more)
        with pytest.raises(ValidatorsUnavailable, match="too many processes"):
            await pool.validate(STRING, b"1", tenant="a")


async def test_a_worker_knows_no_secret_and_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDIAN_SECRET_KEY", "s3cret-of-the-service")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.set_inheritable(True)
        number = Path(f"/proc/self/fd/{listening.fileno()}").readlink()
        async with ValidatorPool(workers=1, prewarm=True) as pool:
            (outer,) = pool.worker_pids
            for pid in (outer, inner(outer).pid):
                assert b"s3cret" not in Path(f"/proc/{pid}/environ").read_bytes()
                opened = [each.readlink() for each in Path(f"/proc/{pid}/fd").iterdir()]
                assert number not in opened
            # Nor does it tell what it holds: no trace of an error, no image of its memory.
            assert await pool.validate(STRING, b'"text"', tenant="a") == []
            working = Path(f"/proc/{inner(outer).pid}")
            for descriptor in "12":
                assert (working / "fd" / descriptor).readlink() == Path(os.devnull)
            (core,) = re.findall("Max core file size +(.*[0-9])", (working / "limits").read_text())
            assert core.split() == ["0", "0"]


async def test_a_large_document_is_checked_and_a_member_found_in_its_text(
    pool: ValidatorPool,
) -> None:
    text = '{ "a" : "\u00e4{", "schema":\n { "b": [1.0e1, "}"] } , "c": {} }'
    span = await pool.check_json(text.encode(), tenant="a", member="schema")
    assert span is not None
    assert text[slice(*span)] == '{ "b": [1.0e1, "}"] }'
    assert await pool.check_json(text.encode(), tenant="a", member="nothing") is None
    assert await pool.check_json(b"[1]", tenant="a", member="schema") is None
    with pytest.raises(MalformedJson) as malformed:
        await pool.check_json(b'{"a":\n nope}', tenant="a")
    assert (malformed.value.line, malformed.value.column) == (2, 2)
    with pytest.raises(NotIJson) as refused:
        await pool.check_json(b'{"a": [1, 12345678901234567890]}', tenant="a")
    assert refused.value.pointer == "/a/1"
    assert await pool.check_json(b"[" * 101 + b"]" * 101, tenant="a", max_depth=101) is None
    with pytest.raises(NotIJson):
        await pool.check_json(b"[" * 101 + b"]" * 101, tenant="a")


async def test_the_costliest_document_is_within_the_time_that_it_gets() -> None:
    """And a schema that is checked, whatever one request may take."""
    async with ValidatorPool(workers=1, cpu_s=0.001) as pool:
        empty_arrays = b"[" + b"[]," * 85_000 + b"[]]"
        assert await pool.check_json(empty_arrays, tenant="a") is None
        large = {"properties": {f"p{number}": {"type": "string"} for number in range(1000)}}
        await pool.check_schema(json.dumps(large), tenant="a")
