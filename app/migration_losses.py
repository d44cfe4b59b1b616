"""What the downs of db/migrations lose that no later `up` brings back.

Told before anything is rolled back (app/migrations.py). Every migration stands here, also those
whose downs lose nothing: whoever writes the next one decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import asyncpg


@dataclass(frozen=True, slots=True)
class Loss:
    """Rows, or parts of rows, that a down takes away for good."""

    what: str
    """Behind their number."""
    rows: str
    """A table's name, and a condition where not all of its rows lose something. Must name only what
    is there from this migration on to the newest."""
    forbidden: bool = False
    """Nobody may go on: what this database holds would contradict the log."""


_LIVE = "revoked_at IS NULL AND expires_at > now()"

LOSSES: dict[str, tuple[Loss, ...]] = {
    "001_create_users_table": (Loss("users", "users"),),
    "002_create_projects_table": (Loss("projects", "projects"),),
    "003_create_roles_table": (Loss("members' roles", "roles"),),
    "004_create_config_schemas_table": (Loss("schemas", "config_schemas"),),
    "005_create_configs_table": (Loss("configs", "configs"),),
    "006_create_config_revisions_table": (Loss("revisions", "config_revisions"),),
    "007_add_event_columns": (
        Loss("revisions' events and hashes (`up` refuses such rows)", "config_revisions"),
    ),
    "008_create_projection_tables": (
        Loss("ends of hash chains (after an `up` no projector runs)", "audit_heads"),
        Loss("outcomes of refused change sets", "rejected_changes"),
    ),
    "009_make_revisions_immutable": (),
    "010_add_sign_in": (
        Loss(
            "superusers and disabled users, who are neither then",
            "users WHERE is_superuser OR disabled",
        ),
        Loss("live refresh tokens", f"refresh_tokens WHERE {_LIVE}"),
    ),
    "011_add_api_keys": (
        Loss("named keys", "api_keys WHERE revoked_at IS NULL"),
        Loss("graces of projects' keys", "projects WHERE previous_api_key_expires_at > now()"),
    ),
    "012_version_config_schemas": (
        Loss(
            "projects' schemas, which are shared by all then",
            "config_schemas WHERE project_id IS NOT NULL",
        ),
        Loss(
            "earlier versions of schemas",
            "config_schema_versions v WHERE EXISTS (SELECT"
            " FROM config_schemas s WHERE s.id = v.schema_id AND s.version > v.version)",
        ),
    ),
    "013_create_idempotency_keys_table": (
        Loss("requests with an Idempotency-Key", "idempotency_keys"),
    ),
    "014_create_projector_status_table": (),  # a projector that starts halts again
    "015_notify_access_changes": (),
    "016_remember_cookie_sessions": (
        Loss(
            "sessions' notes that a script must not read their tokens",
            f"refresh_tokens WHERE cookie AND {_LIVE}",
        ),
    ),
    "017_speed_up_history": (
        Loss(
            "headers of answers under an Idempotency-Key",
            "idempotency_keys WHERE headers IS NOT NULL",
        ),
    ),
    "018_create_skipped_entries_table": (
        Loss("decisions to pass over an entry (a replay halts at each)", "skipped_entries"),
    ),
    "019_create_log_beginnings_table": (
        Loss("places where the log was begun anew", "log_beginnings", forbidden=True),
    ),
    "020_create_retired_skips_table": (Loss("retired decisions", "retired_skips"),),
    "021_page_bound_configs": (),
    "022_create_deleted_schemas_table": (
        Loss(
            "notes of deleted schemas (roll backs that were rehearsed before do not notice)",
            "deleted_schemas",
        ),
    ),
    "023_mark_deleted_projects": (),  # what it deletes is gone for everybody already
    "024_create_creation_keys_table": (
        Loss(
            "creations under an Idempotency-Key (sent again, they are done again)", "creation_keys"
        ),
    ),
    "025_mark_deleted_users": (),  # as 023
    "026_release_configs_of_deleted_users": (),
    "027_clean_pending_lists_aside": (),
}


async def losses(
    connection: asyncpg.Connection, migrations: Iterable[str]
) -> list[tuple[str, Loss]]:
    """What the downs of these would lose now: in words with the number of rows, and the loss."""
    found = []
    for name in migrations:
        for loss in LOSSES.get(name, ()):
            rows = await connection.fetchval(f"SELECT count(*) FROM {loss.rows}")  # noqa: S608
            if rows:
                found.append((f"{rows} {loss.what} ({name[:3]})", loss))
    return found
