"""What it looks like when PostgreSQL is away: everybody who lives longer waits it out.

One list for all, so that no fault ends one kind of process and is survived by another.
"""

from __future__ import annotations

import os
import socket

import asyncpg

SESSIONS = "guardian-"
"""What the names of our long sessions begin with, in pg_stat_activity."""

DATABASE_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server ended the session while nobody listened
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresIOError,  # its disk
    asyncpg.IdleInTransactionSessionTimeoutError,  # we were frozen
    asyncpg.ReadOnlySQLTransactionError,  # a standby, until it is promoted
)
"""Nothing of the statement happened, or that cannot be known; later it may work."""

UNDONE_TRY_AGAIN = (asyncpg.TransactionRollbackError,)
"""A deadlock or a serialization failure: the transaction was certainly undone."""


def session_name(of: str) -> str:
    """Tells operators which process a session is of, and `guardian log begin-anew` who runs."""
    return f"{SESSIONS}{of} {os.getpid()} on {socket.gethostname()}"[:63]
