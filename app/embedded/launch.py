"""Becomes another program that dies with its parent; run as a script, never imported.

    python -I -S launch.py PARENT_PID SIGNAL UID GID KEEP_DAC TIMER_SLACK PROGRAM [ARGUMENT …]

The kernel sends SIGNAL to us when the *thread* that forked us ends, however it ends.
UID and GID are `-` to stay who we are. KEEP_DAC=1 keeps one capability (CAP_DAC_OVERRIDE)
through the change of user, for a work tree in a folder that UID may not enter. TIMER_SLACK is by
how many nanoseconds the kernel may be late to wake the program's threads, `-` for the usual 50,000.

A script of its own instead of a `preexec_fn`, which is not safe in a parent with threads.
The order below matters: a change of user or of capabilities clears the death signal.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
PR_SET_TIMERSLACK = 29
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def _check(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        sys.exit(f"launch: {what}: {os.strerror(error)}")


def main() -> None:
    parent, death_signal, uid, gid, keep_dac, timer_slack, *program = sys.argv[1:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
    if uid != "-":
        if keep_dac == "1":
            # Keeps capabilities through setuid, and lets access(2), with which PostgreSQL
            # looks for its own programs, take them into account.
            bits = libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
            _check(bits, "keep capabilities (run as an ordinary user instead)")
        os.setgroups([])
        os.setresgid(int(gid), int(gid), int(gid))
        os.setresuid(int(uid), int(uid), int(uid))
        if keep_dac == "1":
            bit = 1 << CAP_DAC_OVERRIDE
            data = (_CapData * 2)(_CapData(bit, bit, bit), _CapData(0, 0, 0))
            _check(
                libc.capset(ctypes.byref(_CapHeader(CAPABILITY_VERSION_3, 0)), data),
                "set CAP_DAC_OVERRIDE (run as an ordinary user instead)",
            )
            raised = libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)
            _check(raised, "raise CAP_DAC_OVERRIDE")
    if sys.platform == "linux":
        _check(libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0), "set death signal")
        if os.getppid() != int(parent):  # it died before the line above
            sys.exit("launch: the parent is gone")
        if timer_slack != "-":
            _check(libc.prctl(PR_SET_TIMERSLACK, int(timer_slack), 0, 0, 0), "set timer slack")
    os.execv(program[0], program)  # noqa: S606  (argv of our own making)


if __name__ == "__main__":
    main()
