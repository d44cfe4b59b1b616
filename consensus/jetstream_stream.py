"""The JetStream stream that holds the log: its settings, made or checked.

Must never change the settings of a stream that exists: it may hold the only
truth of a running product, so a difference is reported and an operator decides.
"""

from __future__ import annotations

import re
from typing import Any, Final

from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError

from consensus.jetstream_layout import Layout
from consensus.log import LogError

MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
"""The largest message, headers included. NATS advises at most 8 MiB for `max_payload`:
one message is one Raft entry, and a larger one holds up heartbeats and followers."""

HEADER_ROOM_BYTES: Final = 1024
"""Kept free of every message for the headers that an append adds."""

MAX_ENTRY_BYTES: Final = MAX_MESSAGE_BYTES - HEADER_ROOM_BYTES
"""The largest entry that any stream of ours accepts (a server's `max_payload` may be less)."""

DUPLICATE_WINDOW_S: Final = 120.0
"""How long the servers remember a message id. They hold each id of the window in memory
(some 150 bytes: 50 MB at 2,700 appends/s), so it is no longer than it must be: twice
MAX_APPEND_TIMEOUT_S, so that the retries of one append always fall inside it. A client
that comes back later is caught by the unique change set id of `config_revisions`."""

MAX_APPEND_TIMEOUT_S: Final = DUPLICATE_WINDOW_S / 2

_STREAM_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

# JetStream's error code for "a stream of this name exists with other settings".
_STREAM_NAME_IN_USE: Final = 10058


RESTORING: Final = "guardian-restoring"
"""A name in the metadata of a stream that is being restored. If that is interrupted, the servers
keep some entries or none, and do not agree on which."""


class StreamMismatch(LogError):
    """The stream exists with settings under which the log would not be safe."""


def stream_config(stream: str, replicas: int) -> api.StreamConfig:
    """The settings of a log: nothing but a barrier's own TTL ever removes an entry."""
    if not _STREAM_NAME.fullmatch(stream):
        raise ValueError(f"a stream's name is 1 to 64 of A-Z a-z 0-9 _ -, not {stream!r}")
    return api.StreamConfig(
        name=stream,
        description="Config Guardian's log of change sets",
        subjects=Layout(stream, groups=True).subjects,
        retention=api.RetentionPolicy.LIMITS,
        storage=api.StorageType.FILE,
        num_replicas=replicas,
        discard=api.DiscardPolicy.NEW,
        max_msgs=-1,
        max_bytes=-1,
        max_age=0,
        max_msgs_per_subject=-1,
        max_msg_size=MAX_MESSAGE_BYTES,
        duplicate_window=DUPLICATE_WINDOW_S,
        deny_delete=True,
        deny_purge=True,
        allow_rollup_hdrs=False,
        allow_msg_ttl=True,
        # For readers in an election (jetstream_direct.py); a log is as safe without it.
        allow_direct=True,
    )


# Every setting that durability or order depends on. Compared as the server reports it.
_CHECKED: Final = (
    "subjects",
    "retention",
    "storage",
    "num_replicas",
    "discard",
    "max_msgs",
    "max_bytes",
    "max_age",
    "max_msgs_per_subject",
    "max_msg_size",
    "duplicate_window",
    "deny_delete",
    "deny_purge",
    "allow_rollup_hdrs",
    "allow_msg_ttl",
    "sealed",
    "no_ack",
)

# What would put foreign messages into the log or change ours: must be absent.
_ABSENT: Final = ("mirror", "sources", "subject_transform", "republish", "template_owner")


async def ensure_stream(js: JetStreamContext, stream: str, replicas: int) -> api.StreamInfo:
    """Make the stream, or check that the existing one is safe to use.

    One that was made before there were groups stays as it is (`Layout`).

    Raises StreamMismatch with each difference, and whatever the client raises while
    the group is not ready.
    """
    wanted = stream_config(stream, replicas)
    try:
        info = await js.stream_info(stream)
    except NotFoundError:
        try:
            info = await js.add_stream(wanted)
        except APIError as error:
            # Another process made it between our two questions.
            if error.err_code != _STREAM_NAME_IN_USE:
                raise
            info = await js.stream_info(stream)
    if RESTORING in (info.config.metadata or {}):
        raise StreamMismatch(
            f"the stream {stream!r} is not whole: a restore of it is under way or was interrupted;"
            " guardian restore makes it anew"
        )
    wanted.subjects = Layout.of(stream, info.config.subjects).subjects
    differences = _differences(wanted, info.config)
    if differences:
        raise StreamMismatch(
            f"the stream {stream!r} exists with settings that this log must not use: "
            + "; ".join(differences)
        )
    return info


def _differences(wanted: api.StreamConfig, found: api.StreamConfig) -> list[str]:
    lines = []
    for name in _CHECKED:
        want, have = _plain(getattr(wanted, name)), _plain(getattr(found, name))
        if want != have:
            lines.append(f"{name} is {have!r} instead of {want!r}")
    lines.extend(f"{name} is set" for name in _ABSENT if getattr(found, name))
    return lines


def _plain(value: Any) -> Any:
    """Enum members and what the server leaves out made comparable."""
    if value is None:
        return False
    if isinstance(value, list):
        return sorted(value)
    return getattr(value, "value", value)
