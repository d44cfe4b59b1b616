"""What it looks like when PostgreSQL is away: everybody who lives longer waits it out.

One list for all, so that no fault ends one kind of process and is survived by another.
"""

from __future__ import annotations

import asyncpg

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
