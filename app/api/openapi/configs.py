"""Configs, their changes, their history, and the watch."""

from __future__ import annotations

from app.api.openapi import parameters as p
from app.api.openapi.components import ANY, COMMENT, ID, POSITION, TEXT, TIME, VERSION
from app.api.openapi.model import (
    Answer,
    Body,
    Needs,
    Operation,
    Parameter,
    array,
    json_body,
    nullable,
    ok,
    page_of,
    ref,
)

_PROJECT = "/v1/projects/{project}"
_ALL = _PROJECT + "/configs"
_ONE = _ALL + "/{key}"
_STATE = ("ETag", "Guardian-Position")
_NOT_MODIFIED = {304: Answer("It is still that version.", headers=_STATE)}

_WRITE_PROBLEMS = (
    "version-conflict",
    "schema-violation",
    "schema-too-expensive",
    "invalid-schema",
    "unknown-schema",
    "content-too-large",
    "change-set-too-large",
    "idempotency-key-reused",
    "outcome-pending",
    "invalid-key",
)
_OF_ONE = ("config-not-found", "version-required")
_READ_PROBLEMS = ("invalid-key", "config-not-found", "revision-not-found")


_CHANGED = {
    200: Answer(
        "The new version; with `dry_run` what it would be.",
        {"anyOf": [ref("Config"), ref("RehearsedConfig")]},
        headers=_STATE,
    )
}
_MADE = {201: Answer("The new config.", ref("Config"), headers=(*_STATE, "Location"))}


_READS = (
    Operation(
        "GET",
        _ALL,
        "Configs",
        "The live configs of a project, by key",
        Needs.VIEWER,
        ok(page_of("Config"), headers=("Guardian-Position",)),
        parameters=(
            p.PREFIX,
            Parameter(
                "match",
                TEXT,
                "JSON that the content contains, as PostgreSQL's `@>`: 4000 characters and 100"
                " different elements of arrays at most.",
            ),
            *p.PAGED,
            p.AT,
            p.AT_POSITION,
            *p.READ,
        ),
        problems=("malformed-json", "not-i-json"),
    ),
    Operation(
        "GET",
        _ONE,
        "Configs",
        "One config, as it is or as it stood",
        Needs.VIEWER,
        {**ok(ref("Config"), headers=_STATE), **_NOT_MODIFIED},
        parameters=(p.AT_VERSION, p.AT, p.AT_POSITION, p.WAIT, p.IF_NONE_MATCH, *p.READ),
        problems=_READ_PROBLEMS,
    ),
    Operation(
        "GET",
        _ONE + "/content",
        "Configs",
        "The bare content of a config",
        Needs.VIEWER,
        {**ok(ANY, headers=_STATE), **_NOT_MODIFIED},
        parameters=(p.AT_VERSION, p.AT, p.AT_POSITION, p.WAIT, p.IF_NONE_MATCH, *p.READ),
        problems=_READ_PROBLEMS,
    ),
    Operation(
        "GET",
        _PROJECT + "/watch",
        "Configs",
        "Every change from now on, or from a position on, as server-sent events",
        Needs.VIEWER,
        ok(
            {"type": "string"},
            "A stream without an end.",
            media="text/event-stream",
            headers=("Guardian-Position",),
        ),
        "`id:` is the position; `event:` is `change`, `snapshot` or `lagging`. Resumes exactly"
        " behind `Last-Event-ID`.",
        parameters=(
            p.PREFIX,
            Parameter("keys", TEXT, "Only these keys, with commas."),
            Parameter("from", POSITION, "From behind this position on."),
            Parameter("snapshot", {"type": "boolean"}, "First all that matches, as it is now."),
            Parameter(
                "Last-Event-ID",
                {"type": "string", "pattern": "^[0-9]{1,18}$"},
                "As `from`.",
                "header",
            ),
            *p.WAITS,
        ),
        problems=("invalid-key",),
    ),
)

_CHANGES = (
    Operation(
        "PUT",
        _ONE,
        "Configs",
        "Create or update a config",
        Needs.EDITOR,
        {**_CHANGED, **_MADE},
        "The version that the change was made for comes in If-Match, If-None-Match or the body."
        " Leaving `schema_id` out keeps the binding; null removes it.",
        parameters=(p.IF_MATCH, p.IF_NEW, p.IDEMPOTENCY_KEY, p.DRY_RUN, *p.WAITS),
        body=json_body(
            {
                "content": ANY,
                "schema_id": nullable({**ID, "minLength": 1, "maxLength": 1000}),
                "comment": COMMENT,
                "version": {"type": "integer", "minimum": 0},
            },
            optional=("schema_id", "comment", "version"),
        ),
        problems=(*_WRITE_PROBLEMS, *_OF_ONE),
    ),
    Operation(
        "PATCH",
        _ONE,
        "Configs",
        "Change a part of a config's content",
        Needs.EDITOR,
        _CHANGED,
        "Without If-Match the patch is applied to the newest version, again if another change"
        " came between.",
        parameters=(p.IF_MATCH, p.IDEMPOTENCY_KEY, p.COMMENT, p.DRY_RUN, *p.WAITS),
        body=Body(
            {
                "application/merge-patch+json": ANY,
                "application/json-patch+json": array(ref("PatchStep")),
            }
        ),
        problems=(*_WRITE_PROBLEMS, "config-not-found", "patch-failed"),
    ),
    Operation(
        "DELETE",
        _ONE,
        "Configs",
        "Delete a config",
        Needs.EDITOR,
        ok(
            {"anyOf": [ref("Tombstone"), ref("RehearsedTombstone")]},
            "The tombstone, itself a version.",
            headers=("Guardian-Position",),
        ),
        parameters=(p.IF_MATCH, p.IDEMPOTENCY_KEY, p.COMMENT, p.DRY_RUN, *p.WAITS),
        problems=(*_WRITE_PROBLEMS, *_OF_ONE),
    ),
    Operation(
        "POST",
        _ONE + "/rollback",
        "Configs",
        "Make a new version with the content of an old one",
        Needs.EDITOR,
        _CHANGED,
        "The old content is held to today's schema. A deleted config lives again, bound as it was"
        " if that schema is still there. With `unchanged_since`, the `position` of a rehearsal, it"
        " is done as it was rehearsed: 409 if the config has changed since, or names the"
        " `schema_id` that was deleted since.",
        parameters=(p.IF_MATCH, p.IDEMPOTENCY_KEY, p.DRY_RUN, *p.WAITS),
        body=json_body(
            {
                "to_version": VERSION,
                "comment": COMMENT,
                "version": {"type": "integer", "minimum": 0},
                "unchanged_since": nullable(POSITION),
            },
            optional=("comment", "version", "unchanged_since"),
        ),
        problems=(*_WRITE_PROBLEMS, *_OF_ONE, "revision-not-found"),
    ),
    Operation(
        "POST",
        _PROJECT + "/changes",
        "Change sets",
        "Change several configs together or not at all",
        Needs.EDITOR,
        ok(
            {"anyOf": [ref("ChangeSet"), ref("RehearsedChangeSet")]},
            headers=("Guardian-Position",),
        ),
        parameters=(p.IDEMPOTENCY_KEY, p.DRY_RUN, *p.WAITS),
        body=json_body(
            {"changes": array(ref("Change"), minItems=1, maxItems=500), "comment": COMMENT},
            optional=("comment",),
        ),
        problems=(*_WRITE_PROBLEMS, "config-not-found"),
    ),
    Operation(
        "POST",
        _PROJECT + "/rollback",
        "Change sets",
        "Make a project's configs what they were at a moment",
        Needs.EDITOR,
        ok(
            {"anyOf": [ref("ChangeSet"), ref("RehearsedChangeSet")]},
            headers=("Guardian-Position",),
        ),
        "Either `position` or `at`. What was made since is deleted, what was deleted lives again."
        " With `unchanged_since`, the `position` of a rehearsal, it is done as it was rehearsed:"
        " 409 lists what changed since (200 configs at most), or names a `schema_id` that was"
        " deleted since and the `key` that it would be bound to again.",
        parameters=(p.IDEMPOTENCY_KEY, p.DRY_RUN, *p.WAITS),
        body=json_body(
            {
                "position": nullable(POSITION),
                "at": nullable(TIME),
                "unchanged_since": nullable(POSITION),
                "comment": COMMENT,
            },
            optional=("position", "at", "unchanged_since", "comment"),
        ),
        problems=(*_WRITE_PROBLEMS, "config-not-found", "too-many-changes"),
    ),
    Operation(
        "GET",
        "/v1/changes/{id}",
        "Change sets",
        "What became of a change set",
        Needs.CALLER,
        ok(ref("ChangeStatus")),
        "For changes that were answered 202, or not at all.",
        parameters=p.WAITS,
    ),
)

_HISTORY = (
    Operation(
        "GET",
        _ONE + "/revisions",
        "History",
        "The revisions of a config, newest first",
        Needs.VIEWER,
        ok(page_of("Revision"), headers=("Guardian-Position",)),
        parameters=(*p.PAGED, *p.WAITS),
        problems=_READ_PROBLEMS,
    ),
    Operation(
        "GET",
        _ONE + "/revisions/{version}",
        "History",
        "One revision, with its content",
        Needs.VIEWER,
        ok(ref("RevisionWithContent"), headers=("Guardian-Position",)),
        parameters=p.WAITS,
        problems=_READ_PROBLEMS,
    ),
    Operation(
        "GET",
        _ONE + "/diff",
        "History",
        "The JSON patch that makes one version of another",
        Needs.VIEWER,
        ok(ref("Difference"), headers=("Guardian-Position",)),
        parameters=(
            Parameter("from", VERSION, "The old version.", required=True),
            Parameter("to", VERSION, "The new version.", required=True),
            *p.WAITS,
        ),
        problems=_READ_PROBLEMS,
    ),
    Operation(
        "GET",
        _PROJECT + "/revisions",
        "History",
        "Who changed what in a project, when",
        Needs.VIEWER,
        ok(page_of("Revision"), headers=("Guardian-Position",)),
        parameters=(
            Parameter("from_position", POSITION, "From this position on."),
            Parameter(
                "user",
                {**TEXT, "minLength": 1, "maxLength": 100},
                "Only by this user, who may be deleted since.",
            ),
            Parameter("key", TEXT, "Only of this config."),
            Parameter("order", {"type": "string", "enum": ["asc", "desc"]}, "By position."),
            *p.PAGED,
            *p.WAITS,
        ),
        problems=("invalid-key",),
    ),
    Operation(
        "GET",
        _PROJECT + "/audit/verify",
        "History",
        "Walk the hash chain of a project",
        Needs.VIEWER,
        ok(ref("Verdict")),
        "A key with a prefix may not: the chain runs through all configs.",
        parameters=p.WAITS,
        problems=("not-allowed",),
    ),
)

OPERATIONS = (*_READS, *_CHANGES, *_HISTORY)
