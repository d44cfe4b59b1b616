"""Queries of `login_attempts`: the rate of app.access.throttle in SQL. Static SQL only."""

from __future__ import annotations

from datetime import timedelta

from projections.revisions import Connection

# No attempt leaves a time that is further ahead than its tolerance: the database's clock went back,
# and would keep everybody out until it is there again. Not now(): whoever we waited for may have
# begun behind us. A minute more, so that a small step gives nobody their burst anew.
_START = """CASE WHEN t.full_at > clock_timestamp() + $3 + interval '1 minute' THEN now()
    ELSE greatest(t.full_at, now()) END"""
_COUNT = f"""
INSERT INTO login_attempts AS t (subject, full_at) VALUES ($1, now() + $2)
ON CONFLICT (subject) DO UPDATE SET full_at = {_START} + $2
WHERE {_START} + $2 <= now() + $3
RETURNING full_at
"""  # noqa: S608
_WAIT = (
    "SELECT full_at + $2::interval - $3::interval - now() FROM login_attempts WHERE subject = $1"
)
_GIVE_BACK = "UPDATE login_attempts SET full_at = full_at - $2::interval WHERE subject = $1"


async def count_attempt(
    connection: Connection, subject: str, interval: timedelta, tolerance: timedelta
) -> timedelta | None:
    """Count an attempt, across processes; None if it is allowed, else how long to wait."""
    if await connection.fetchval(_COUNT, subject, interval, tolerance) is not None:
        return None
    wait: timedelta | None = await connection.fetchval(_WAIT, subject, interval, tolerance)
    # Deleted in between: its burst is there again.
    return wait or timedelta(0)


async def give_back(connection: Connection, subject: str, interval: timedelta) -> None:
    """Take one attempt back: it was not a failed one."""
    await connection.execute(_GIVE_BACK, subject, interval)


async def forget(connection: Connection, subject: str) -> None:
    """Give `subject` its whole burst back."""
    await connection.execute("DELETE FROM login_attempts WHERE subject = $1", subject)


async def forget_full(connection: Connection) -> None:
    """Delete the subjects whose whole burst is there again: their rows say nothing."""
    await connection.execute("DELETE FROM login_attempts WHERE full_at < now()")
