"""The shapes of what goes in and out, by name."""

from __future__ import annotations

from app.api.openapi.model import Json, array, nullable, record, ref

TEXT: Json = {"type": "string"}
ID: Json = {"type": "string", "description": "An id that the service made."}
TIME: Json = {"type": "string", "format": "date-time"}
BOOLEAN: Json = {"type": "boolean"}
COUNT: Json = {"type": "integer", "minimum": 0}
VERSION: Json = {"type": "integer", "minimum": 1}
POSITION: Json = {"type": "integer", "minimum": 0, "description": "A position in the Raft log."}
ANY: Json = {"description": "Any I-JSON value (RFC 7493)."}
CONFIG_KEY: Json = {
    "type": "string",
    "minLength": 1,
    "maxLength": 200,
    "pattern": r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
}
PREFIX: Json = {**CONFIG_KEY, "pattern": r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?$"}
NAME: Json = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"\S"}
EMAIL: Json = {
    "type": "string",
    "minLength": 3,
    "maxLength": 320,
    "pattern": r"^[^@\s]+@[^@\s]+$",
}
PASSWORD: Json = {"type": "string", "minLength": 12, "maxLength": 1024}
GIVEN_PASSWORD: Json = {"type": "string", "minLength": 1, "maxLength": 10_000}
ROLE: Json = {"type": "string", "enum": ["admin", "editor", "viewer"]}
KEY_ROLE: Json = {"type": "string", "enum": ["editor", "viewer"]}
COMMENT: Json = {"type": ["string", "null"], "minLength": 1, "maxLength": 2000}
PATCH: Json = array(ref("PatchStep"), description="A JSON patch (RFC 6902).")
API_KEY: Json = {"type": "string", "description": "Shown this once, stored nowhere."}

_PROJECT = {
    "id": ID,
    "name": TEXT,
    "owner_user_id": ID,
    "owner_email": TEXT,
    "created_at": TIME,
    "updated_at": TIME,
    "role": {
        "type": "string",
        "enum": ["viewer", "editor", "admin", "owner", "superuser"],
        "description": "What the caller is there.",
    },
}
_KEY = {
    "id": ID,
    "name": TEXT,
    "role_level": KEY_ROLE,
    "prefix": nullable(TEXT),
    "created_by_user_id": nullable(ID),
    "created_at": TIME,
    "expires_at": nullable(TIME),
    "last_used_at": nullable(TIME),
}
_CONFIG = {
    "project_id": ID,
    "key": CONFIG_KEY,
    "version": VERSION,
    "content": ANY,
    "schema_id": nullable(ID),
    "schema_version": nullable(VERSION),
    "updated_by_user_id": nullable(ID),
    "updated_by_email": nullable(TEXT),
    "updated_at": TIME,
    "position": POSITION,
}
_REVISION = {
    "key": CONFIG_KEY,
    "version": VERSION,
    "event": {
        "type": "string",
        "enum": [
            "ConfigCreated",
            "ConfigUpdated",
            "ConfigDeleted",
            "ConfigRestored",
            "ConfigRolledBack",
        ],
    },
    "created_by_user_id": nullable(ID),
    "created_by_email": nullable(TEXT),
    "created_by_key_id": nullable(ID),
    "created_by_key_name": nullable(TEXT),
    "created_at": TIME,
    "comment": nullable(TEXT),
    "schema_id": nullable(ID),
    "schema_version": nullable(VERSION),
    "position": POSITION,
    "change_id": ID,
    "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
}
_CHANGED = {"key": CONFIG_KEY, "version": VERSION, "deleted": BOOLEAN}
_NAMED = record({"id": ID, "name": TEXT})

SCHEMAS: dict[str, Json] = {
    "Problem": {
        "type": "object",
        "description": "RFC 9457. What the caller needs to act stands in further members.",
        "required": ["type", "title", "status", "detail", "request_id"],
        "properties": {
            "type": {"type": "string", "pattern": "^/problems/[a-z-]+$"},
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "request_id": nullable(TEXT),
            "parameter": TEXT,
            "pointer": TEXT,
            "errors": array(ref("Violation")),
            "current_version": nullable({"type": "integer"}),
            "conflicts": array(ref("Conflict")),
        },
    },
    "Violation": {
        "type": "object",
        "required": ["pointer", "keyword", "message"],
        "properties": {"key": TEXT, "pointer": TEXT, "keyword": TEXT, "message": TEXT},
    },
    "Conflict": {
        "type": "object",
        "required": ["key", "current_version"],
        "properties": {"key": TEXT, "current_version": {"type": "integer"}, "deleted": BOOLEAN},
    },
    "NextPage": {
        "type": ["string", "null"],
        "description": "The path of the next page; null on the last.",
    },
    "PatchStep": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": TEXT,
            "from": TEXT,
            "value": ANY,
        },
    },
    "Tokens": record(
        {
            "access_token": TEXT,
            "token_type": {"const": "Bearer"},
            "expires_in": COUNT,
            "refresh_token": TEXT,
        },
        optional=("refresh_token",),
    ),
    "Me": {
        "oneOf": [
            record({"kind": {"const": "user"}, "id": ID, "email": TEXT, "is_superuser": BOOLEAN}),
            record(
                {
                    "kind": {"const": "application"},
                    "id": ID,
                    "name": TEXT,
                    "project_id": ID,
                    "role_level": KEY_ROLE,
                    "prefix": nullable(TEXT),
                }
            ),
        ]
    },
    "User": record(
        {
            "id": ID,
            "email": TEXT,
            "is_superuser": BOOLEAN,
            "disabled": BOOLEAN,
            "created_at": TIME,
            "updated_at": TIME,
        }
    ),
    "UserDeletion": record(
        {
            "id": ID,
            "email": TEXT,
            "deleted": BOOLEAN,
            "projects": array(_NAMED),
            "schemas": array(_NAMED),
            "roles": COUNT,
        }
    ),
    "Project": record(_PROJECT),
    "NewProject": record({**_PROJECT, "api_key": API_KEY}),
    "ProjectDeletion": record(
        {
            "id": ID,
            "name": TEXT,
            "deleted": BOOLEAN,
            **dict.fromkeys(("configs", "revisions", "schemas", "keys", "roles"), COUNT),
        }
    ),
    "NewProjectKey": record({"api_key": API_KEY, "previous_expires_at": nullable(TIME)}),
    "NamedKey": record(_KEY),
    "NewNamedKey": record({**_KEY, "api_key": API_KEY}),
    "Role": record({"user_id": ID, "email": TEXT, "role_level": ROLE, "created_at": TIME}),
    "Config": record(_CONFIG),
    "RehearsedConfig": record(
        {
            "dry_run": {"const": True},
            "position": POSITION,
            "key": CONFIG_KEY,
            "version": VERSION,
            "content": ANY,
            "schema_id": nullable(ID),
            "schema_version": nullable(VERSION),
            "patch": PATCH,
        },
        about="What the change would make, with the difference.",
    ),
    "Tombstone": record(_CHANGED),
    "RehearsedTombstone": record(
        {"dry_run": {"const": True}, "position": POSITION, **_CHANGED, "patch": PATCH}
    ),
    "Change": {
        "oneOf": [
            record(
                {
                    "op": {"const": "put"},
                    "key": CONFIG_KEY,
                    "version": {"type": "integer", "minimum": 0, "description": "0 creates."},
                    "content": ANY,
                    "schema_id": nullable(ID),
                },
                optional=("schema_id",),
            ),
            record({"op": {"const": "delete"}, "key": CONFIG_KEY, "version": VERSION}),
        ]
    },
    "ChangeSet": record(
        {
            "id": {**nullable(ID), "description": "null where there was nothing to roll back."},
            "position": POSITION,
            "changes": array(record(_CHANGED)),
        }
    ),
    "RehearsedChangeSet": record(
        {
            "dry_run": {"const": True},
            "position": POSITION,
            "id": {"type": "null"},
            "changes": array(
                record(
                    {
                        "op": {"enum": ["put", "delete"]},
                        **_CHANGED,
                        "to_version": nullable(VERSION),
                        "schema_id": nullable(ID),
                        "patch": PATCH,
                    }
                )
            ),
        }
    ),
    "ChangeStatus": {
        "oneOf": [
            record({"id": ID, "status": {"enum": ["pending", "unknown"]}}),
            record(
                {
                    "id": ID,
                    "project_id": ID,
                    "position": POSITION,
                    "status": {"const": "applied"},
                    "changes": array(record(_CHANGED)),
                }
            ),
            record(
                {
                    "id": ID,
                    "project_id": ID,
                    "position": POSITION,
                    "status": {"const": "rejected"},
                    "conflicts": array(ref("Conflict")),
                }
            ),
        ]
    },
    "Revision": record(_REVISION),
    "RevisionWithContent": record({**_REVISION, "deleted": BOOLEAN, "content": ANY}),
    "Difference": record({"key": CONFIG_KEY, "from": VERSION, "to": VERSION, "patch": PATCH}),
    "Verdict": record(
        {
            "project_id": ID,
            "intact": BOOLEAN,
            "revisions": COUNT,
            "head_hash": TEXT,
            "head_position": POSITION,
            "first_bad": record(
                {
                    "number": VERSION,
                    "reason": TEXT,
                    "key": nullable(TEXT),
                    "version": nullable(VERSION),
                    "position": nullable(POSITION),
                    "id": nullable(ID),
                }
            ),
        },
        optional=("first_bad",),
    ),
    "Schema": record(
        {
            "id": ID,
            "name": TEXT,
            "project_id": nullable(ID),
            "version": VERSION,
            "schema": {"description": "The JSON Schema, as it was given."},
            "created_by_user_id": {
                **nullable(ID),
                "description": "Of one that is shared by all, null but for them and superusers.",
            },
            "created_at": TIME,
            "updated_at": TIME,
        }
    ),
    "SchemaImpact": record(
        {
            "dry_run": {"const": True},
            "version": VERSION,
            "configs": array(ref("BoundConfig")),
            "hidden": COUNT,
            "total": COUNT,
            "checked": COUNT,
        }
    ),
    "Usage": record(
        {
            "project_id": ID,
            "key": CONFIG_KEY,
            "version": VERSION,
            "schema_version": VERSION,
            "updated_at": TIME,
        },
        about="A live config that is bound to the schema; `schema_version` held it last.",
    ),
    "BoundConfig": record(
        {"project_id": ID, "key": CONFIG_KEY, "errors": array(ref("Violation"))},
        optional=("errors",),
    ),
    "Validation": record({"valid": BOOLEAN, "errors": array(ref("Violation"))}),
    "Ready": record(
        {
            "ready": BOOLEAN,
            "checks": {
                "type": "object",
                "additionalProperties": record(
                    {"ok": BOOLEAN, "reason": nullable(TEXT)}, optional=("reason",)
                ),
            },
        }
    ),
    "Cluster": {
        "type": "object",
        "required": ["raft", "projector", "read_model"],
        "properties": {
            "raft": {
                "type": "object",
                "required": ["leader", "term", "members"],
                "properties": {
                    "leader": nullable(TEXT),
                    "term": nullable(COUNT),
                    "members": array(
                        record({"name": TEXT, "online": BOOLEAN, "current": BOOLEAN, "lag": COUNT})
                    ),
                    "first_position": POSITION,
                    "last_position": POSITION,
                    "reason": TEXT,
                },
            },
            "projector": {
                "type": "object",
                "required": ["active", "applied_position", "lag"],
                "properties": {
                    "active": nullable(BOOLEAN),
                    "applied_position": nullable(POSITION),
                    "lag": nullable(COUNT),
                },
            },
            "read_model": record({"position": POSITION, "live": BOOLEAN}),
        },
    },
}

HEADERS: dict[str, Json] = {
    "X-Request-Id": {"description": "The caller's, if it was sane; else ours.", "schema": TEXT},
    "ETag": {"description": "The version in quotes.", "schema": TEXT},
    "Guardian-Position": {
        "description": "The log position that the answer reflects.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "Location": {"description": "Where it is.", "schema": TEXT},
    "Retry-After": {"description": "Seconds.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
    "WWW-Authenticate": {"description": "RFC 9110.", "schema": TEXT},
    "Set-Cookie": {"description": "The refresh token, for a browser.", "schema": TEXT},
}
