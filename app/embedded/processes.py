"""Starts and stops child processes that can never outlive us.

Every child gets the kernel's death signal (launch.py), so even `kill -9` of this process
leaves nothing behind; and a session of its own, so that Ctrl-C in a terminal reaches only
us and we stop the children in order. Start children from a thread that lives as long as
they shall: the death signal is bound to the thread.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launch.py")
STOP_TIMEOUT_S = 20.0
KILL_TIMEOUT_S = 5.0
POLL_S = 0.02


class EmbeddedError(Exception):
    """An embedded server cannot run; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user that a child runs as; `keep_dac` lets it pass folders closed to that user."""

    uid: int
    gid: int
    keep_dac: bool = False


class Child:
    """One running child process."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        account: Account | None = None,
        stop_signal: int = signal.SIGTERM,
        death_signal: int = signal.SIGKILL,
        timer_slack_ns: int | None = None,
    ) -> None:
        """Start `argv`. With `log`, both outputs are appended to that file, which nobody else may
        read: PostgreSQL's names values. The kernel may be `timer_slack_ns` late to wake it."""
        self.name = name
        self.log = log
        self._stop_signal = stop_signal
        command = _launch_command(argv, account, death_signal, timer_slack_ns)
        # Closed below, once the child has it.
        output = open(log, "ab", opener=_private) if log is not None else None  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                command,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output is not None else None,
                start_new_session=True,
            )
        finally:
            if output is not None:
                output.close()

    @property
    def pid(self) -> int:
        """The process id; it stays the same from launcher to program."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def send(self, signal_number: int) -> None:
        """Send a signal if it still runs."""
        self._process.send_signal(signal_number)

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for its end; whether it ended."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL its whole session, and wait for its end."""
        if self.exit_code is None:
            # The group is its own (start_new_session) and it is not reaped: no pid reuse.
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(KILL_TIMEOUT_S)

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> None:
        """Ask it to stop; after `timeout` seconds kill it. Idempotent."""
        if self.exit_code is None:
            self.send(self._stop_signal)
            self.send(signal.SIGCONT)  # a paused process would never see the request
        if not self.wait(timeout):
            self.kill()

    def last_words(self) -> str:
        """The last lines of its log on one line, for an error message."""
        if self.log is None or not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").splitlines()
        # Not the lines in which a traceback underlines something.
        telling = [line.strip() for line in lines if any(char.isalnum() for char in line)]
        return " | ".join(line[:300] for line in telling[-2:])


def _launch_command(
    argv: Sequence[str], account: Account | None, death_signal: int, timer_slack_ns: int | None
) -> list[str]:
    user = ["-", "-", "0"]
    if account is not None:
        user = [str(account.uid), str(account.gid), "1" if account.keep_dac else "0"]
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER)]
    slack = "-" if timer_slack_ns is None else str(timer_slack_ns)
    return [*launcher, str(os.getpid()), str(int(death_signal)), *user, slack, *argv]


def die_with(parent: int, death_signal: int = signal.SIGTERM) -> None:
    """Let this process get `death_signal` when its parent process `parent` ends.

    Only on Linux; elsewhere it does nothing. Ends the process at once if the parent is
    gone already.
    """
    if sys.platform == "linux":
        import ctypes

        if ctypes.CDLL(None, use_errno=True).prctl(1, int(death_signal), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:
            raise SystemExit(1)


def wait_until(ready: Iterator[bool], child: Child, timeout: float) -> None:
    """Advance `ready` until it yields True. Raises EmbeddedError if `child` ends or time is up."""
    deadline = time.monotonic() + timeout
    while not next(ready):
        if (code := child.exit_code) is not None:
            raise EmbeddedError(f"{child.name} ended with {code}: {child.last_words()}")
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"{child.name} was not ready after {timeout:.0f} s: {child.last_words()}"
            )
        time.sleep(POLL_S)


def get(url: str, timeout: float = 2.0) -> tuple[int, bytes]:
    """GET `url` on this machine: status and body; (0, b"") while nobody answers."""
    # Without the proxy of the environment: it would be asked for our own loopback address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except (OSError, HTTPException):
        return 0, b""


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process alone. Raises EmbeddedError if another one has it.

    The lock ends with the process, however it ends; the file stays.
    """
    with (folder / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise EmbeddedError(
                f"{folder} is in use by process {owner} (another `make run`?); "
                "stop it, or name another folder with GUARDIAN_DATA_DIR"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _private(path: str, flags: int) -> int:
    """For `open`: a file that others may not read, nor one of before that they may."""
    file = os.open(path, flags, 0o600)
    os.fchmod(file, 0o600)
    return file


def make_folder(folder: Path, mode: int = 0o700) -> Path:
    """Make `folder`, with exactly `mode` when it is new; return its absolute path.

    Raises EmbeddedError.
    """
    folder = folder.absolute()
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True)
            folder.chmod(mode)
    except OSError as error:
        raise EmbeddedError(f"the folder {folder} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise EmbeddedError(f"{folder} cannot be written by this user")
    return folder
