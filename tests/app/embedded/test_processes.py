"""Goal: children never outlive us, and stop in order. Method: real processes, real signals."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.embedded.processes import LAUNCHER, Child, EmbeddedError, folder_lock, make_folder
from app.embedded.supervisor import Stopped, Supervisor, stop_signals

ROOT = Path(__file__).resolve().parents[3]
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        " print('up', flush=True); time.sleep(600)"
    ),
]


def _ends(pid: int, timeout: float = 10.0) -> bool:
    """Wait for the end of any process, not only of a child."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], timeout)[0])
    finally:
        os.close(descriptor)


def _wait_for_log(child: Child, text: str) -> None:
    while text not in child.last_words():
        assert not child.wait(0.01)


def test_kill_9_of_the_parent_ends_the_child() -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            (
                "import sys, time\n"
                "from app.embedded.processes import Child\n"
                f"print(Child('c', {SLEEP!r}).pid, flush=True)\n"
                "time.sleep(600)"
            ),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert not _ends(child, 0)
    parent.kill()
    parent.wait()
    assert _ends(child)


def test_a_child_that_starts_after_its_parent_ended_ends_at_once() -> None:
    """Race: the parent dies between the fork and the request for the death signal."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(LAUNCHER), str(gone.pid), "9", "-", "-", "0", "-", *SLEEP],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert "the parent is gone" in done.stderr


def test_stop_reaches_a_paused_child() -> None:
    child = Child("c", SLEEP)
    child.send(signal.SIGSTOP)
    child.stop(timeout=10)
    assert child.exit_code == -signal.SIGTERM


def test_a_child_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    child = Child("c", STUBBORN, log=tmp_path / "log")
    _wait_for_log(child, "up")
    child.stop(timeout=0.2)
    assert child.exit_code == -signal.SIGKILL
    child.stop()  # again: nothing to do


def test_nobody_else_may_read_a_childs_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for mode in (None, 0o644):
        if mode is not None:
            log.chmod(mode)
        Child("c", SLEEP, log=log).stop()
        assert log.stat().st_mode & 0o077 == 0


def test_a_child_may_be_woken_later(tmp_path: Path) -> None:
    log = tmp_path / "log"
    tell = [sys.executable, "-c", "print(open('/proc/self/timerslack_ns').read())"]
    assert Child("c", tell, log=log, timer_slack_ns=123_456).wait(30)
    assert log.read_text().split() == ["123456"]


def test_two_owners_of_a_folder(tmp_path: Path) -> None:
    with (
        folder_lock(tmp_path),
        pytest.raises(EmbeddedError, match=f"in use by process {os.getpid()}"),
        folder_lock(tmp_path),
    ):
        pass
    with folder_lock(tmp_path):
        pass


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises((EmbeddedError, OSError)):
        make_folder(tmp_path / "file" / "data")


def test_the_supervisor_starts_again_what_ends(tmp_path: Path) -> None:
    said: list[str] = []
    made: list[Child] = []

    def make() -> Child:
        made.append(Child("worker", SLEEP))
        return made[-1]

    supervisor = Supervisor(said.append)
    supervisor.add_command("worker", make)
    try:
        made[0].kill()
        while len(made) < 2:
            supervisor.check()
            supervisor.pause()
        assert made[1].exit_code is None
        assert said == ["worker ended with -9; starting it again in 0.5 s"]
    finally:
        supervisor.stop()
    assert made[1].exit_code is not None


def test_pauses_between_starts_grow() -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    supervisor.add_command("worker", lambda: Child("worker", [sys.executable, "-c", ""]))
    while len(said) < 3:
        supervisor.check()
        supervisor.pause()
    supervisor.stop()
    assert [line.rsplit(" in ", 1)[1] for line in said] == ["0.5 s", "1 s", "2 s"]


def test_the_last_added_stops_first() -> None:
    stopped: list[str] = []
    supervisor = Supervisor(lambda line: None)
    children = {name: Child(name, SLEEP) for name in ("raft", "postgres", "projector", "web")}
    for name, child in children.items():

        def stop(name: str = name, child: Child = child) -> None:
            stopped.append(name)
            child.stop()

        supervisor.add(
            name,
            lambda: None,
            lambda child=child: child,  # type: ignore[misc]
            stop,
            stop_last=name == "postgres",
        )
    supervisor.stop()
    assert stopped == ["web", "projector", "raft", "postgres"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_once(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    def stop_slowly() -> None:
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(signal.SIGINT)  # an impatient second Ctrl-C

    with pytest.raises(Stopped, match=number.name), stop_signals():
        stop_slowly()
    assert signal.getsignal(number) == before
