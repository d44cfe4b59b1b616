"""Looks at processes that a test started, and at what they started in turn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue

import psutil

ROOT = Path(__file__).resolve().parents[2]


def family(pid: int) -> list[psutil.Process]:
    """A process and everything below it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def survivors(processes: Sequence[psutil.Process], timeout: float = 15.0) -> list[str]:
    """The command lines of those that still run after `timeout` seconds; returns early."""
    _, alive = psutil.wait_procs(list(processes), timeout=timeout)
    return [
        f"{process.pid} {' '.join(process.cmdline())}"
        for process in alive
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


class Command:
    """A running `guardian …` whose output is read line by line."""

    def __init__(self, *arguments: str, environ: Mapping[str, str], cwd: Path = ROOT) -> None:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GUARDIAN_", "DATABASE_", "NATS_", "WEB_"))
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", *arguments],
            cwd=cwd,
            env={**inherited, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._queue: Queue[str | None] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def wait_for(self, text: str, timeout: float = 60.0) -> str:
        """The next line that contains `text`; fails when the output ends without it."""
        while True:
            try:
                line = self._queue.get(timeout=timeout)
            except Empty:
                raise AssertionError(f"no {text!r} in {self.lines}") from None
            if line is None:
                raise AssertionError(f"ended without {text!r}: {self.lines}")
            self.lines.append(line)
            if text in line:
                return line

    def end(self, signal_number: int = signal.SIGTERM, timeout: float = 60.0) -> int:
        """Send a signal and wait; its exit code."""
        self.process.send_signal(signal_number)
        return self.process.wait(timeout)
