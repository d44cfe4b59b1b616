"""Parameters that several operations take."""

from __future__ import annotations

from app.api.openapi.components import BOOLEAN, ID, POSITION, TEXT, TIME, VERSION
from app.api.openapi.model import Parameter

LIMIT = Parameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
    "How many items a page holds at most; it ends earlier where contents are large (4 MB) or much"
    " was searched. There is more as long as `next` is not null.",
)
CURSOR = Parameter("cursor", TEXT, "From a page's `next`.")
PAGED = (LIMIT, CURSOR)
CONSISTENCY = Parameter(
    "consistency",
    {"type": "string", "enum": ["stale", "default", "linearizable"], "default": "default"},
    "`stale` answers with everything else down; `default` fails when this process is cut off;"
    " `linearizable` reflects all that was acknowledged before the question.",
)
TIMEOUT = Parameter(
    "timeout",
    {"type": "integer", "minimum": 0, "maximum": 60, "default": 5},
    "Seconds to wait for a state that is new enough.",
)
MIN_POSITION = Parameter(
    "Guardian-Min-Position",
    {"type": "string", "pattern": "^[0-9]{1,18}$"},
    "Do not answer from an older state; wait for it up to `timeout`, then answer 503.",
    "header",
)
WAITS = (TIMEOUT, MIN_POSITION)
READ = (CONSISTENCY, *WAITS)
AT = Parameter("at", TIME, "As it stood at this time.")
AT_POSITION = Parameter("position", POSITION, "As it stood at this log position.")
AT_VERSION = Parameter("version", VERSION, "As it stood at this version.")
WAIT = Parameter(
    "wait",
    {"type": "string", "pattern": "^[0-9]{1,6}(ms|s)$", "examples": ["30s"]},
    "With If-None-Match: hold the answer until it changes, at most 120 s.",
)
PREFIX = Parameter("prefix", TEXT, "Keys that start with this.")
IF_MATCH = Parameter(
    "If-Match", TEXT, "The version that the change was made for, in quotes; `*`: any.", "header"
)
IF_NONE_MATCH = Parameter(
    "If-None-Match",
    TEXT,
    "A version that the caller has: answers 304 if it is still that.",
    "header",
)
IF_NEW = Parameter("If-None-Match", {"const": "*"}, "Only if there is no such config.", "header")
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "Sent again, the request answers what it answered, with `Idempotency-Replayed: true`.",
    "header",
)
IDEMPOTENCY_KEY_OF_A_SECRET = Parameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "Sent again, the request is not done again: 409 `duplicate` names what it made, because the key"
    " that it showed is kept nowhere.",
    "header",
)
DRY_RUN = Parameter("dry_run", BOOLEAN, "Everything but the act itself: what would happen.")
COMMENT = Parameter(
    "comment", {"type": "string", "minLength": 1, "maxLength": 2000}, "Why; kept with the version."
)
FORCE = Parameter("force", BOOLEAN, "Even though live configs break it.")
OF_PROJECT = Parameter("project_id", ID, "Only those of this project.")
