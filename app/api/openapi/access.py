"""Sign-in, users, projects, members and keys."""

from __future__ import annotations

from app.api.openapi import parameters as p
from app.api.openapi.components import (
    BOOLEAN,
    EMAIL,
    GIVEN_PASSWORD,
    KEY_ROLE,
    NAME,
    PASSWORD,
    PREFIX,
    ROLE,
    TEXT,
    TIME,
)
from app.api.openapi.model import (
    NO_CONTENT,
    Answer,
    Needs,
    Operation,
    Parameter,
    json_body,
    nullable,
    ok,
    page_of,
    ref,
)

_ONE = "/v1/projects/{project}"
_TOKENS = ok(ref("Tokens"), "New tokens.", headers=("Set-Cookie",))
_GIVEN_EMAIL = {**TEXT, "minLength": 1, "maxLength": 320}
_REFRESH_TOKEN = nullable({**TEXT, "minLength": 1, "maxLength": 1000})

_SIGN_IN = (
    Operation(
        "POST",
        "/v1/auth/login",
        "Sign-in",
        "Sign in by e-mail address and password",
        Needs.NOBODY,
        _TOKENS,
        'A browser asks with `"cookie": true` and gets its refresh token as a cookie only.'
        " An unknown address and a wrong password get the same answer.",
        body=json_body(
            {"email": _GIVEN_EMAIL, "password": GIVEN_PASSWORD, "cookie": BOOLEAN},
            optional=("cookie",),
        ),
        problems=("not-signed-in", "too-many-requests", "cross-site-request"),
    ),
    Operation(
        "POST",
        "/v1/auth/refresh",
        "Sign-in",
        "Exchange a refresh token for the next one and an access token",
        Needs.NOBODY,
        _TOKENS,
        "A refresh token is good once. One that comes a second time was copied: its family ends.",
        body=json_body(
            {"refresh_token": _REFRESH_TOKEN, "cookie": BOOLEAN},
            optional=("refresh_token", "cookie"),
        ),
        problems=("not-signed-in", "cross-site-request"),
    ),
    Operation(
        "POST",
        "/v1/auth/logout",
        "Sign-in",
        "End a session",
        Needs.NOBODY,
        {204: Answer("The session has ended.", headers=("Set-Cookie",))},
        "That of the access token, of the refresh token in the body, or of the cookie.",
        body=json_body(
            {"refresh_token": _REFRESH_TOKEN}, optional=("refresh_token",), required=False
        ),
        problems=("not-signed-in", "cross-site-request", "too-many-requests", "not-allowed"),
    ),
    Operation("GET", "/v1/me", "Sign-in", "Who the caller is", Needs.CALLER, ok(ref("Me"))),
    Operation(
        "PUT",
        "/v1/me/password",
        "Sign-in",
        "Set a new password",
        Needs.USER,
        _TOKENS,
        "Every session of the user ends; this one goes on with the tokens of the answer.",
        body=json_body({"current_password": GIVEN_PASSWORD, "new_password": PASSWORD}),
        problems=("password-refused",),
    ),
)

_USERS = (
    Operation(
        "GET",
        "/v1/users",
        "Users",
        "The users",
        Needs.SUPERUSER,
        ok(page_of("User")),
        parameters=(Parameter("email", TEXT, "Only the one of this address."), *p.PAGED),
    ),
    Operation(
        "POST",
        "/v1/users",
        "Users",
        "Make a user",
        Needs.SUPERUSER,
        {201: Answer("The user.", ref("User"), headers=("Location",))},
        body=json_body(
            {"email": EMAIL, "password": PASSWORD, "is_superuser": BOOLEAN},
            optional=("is_superuser",),
        ),
        problems=("duplicate", "password-refused"),
    ),
    Operation("GET", "/v1/users/{user}", "Users", "One user", Needs.SUPERUSER, ok(ref("User"))),
    Operation(
        "PATCH",
        "/v1/users/{user}",
        "Users",
        "Change a user",
        Needs.SUPERUSER,
        ok(ref("User")),
        "A new password and being disabled end every session of the user.",
        body=json_body(
            {"email": EMAIL, "password": PASSWORD, "is_superuser": BOOLEAN, "disabled": BOOLEAN},
            optional=("email", "password", "is_superuser", "disabled"),
        ),
        problems=("duplicate", "last-superuser", "password-refused"),
    ),
    Operation(
        "DELETE",
        "/v1/users/{user}",
        "Users",
        "Delete a user, with their projects and schemas",
        Needs.SUPERUSER,
        ok(ref("UserDeletion"), "What went, or would go."),
        "Configs and history of the user's projects go too. In other projects' history the user's"
        " e-mail address stays.",
        parameters=(p.DRY_RUN,),
        problems=("in-use", "last-superuser"),
    ),
)

_PROJECTS = (
    Operation(
        "GET",
        "/v1/projects",
        "Projects",
        "The projects that the caller may see",
        Needs.USER,
        ok(page_of("Project")),
        parameters=p.PAGED,
    ),
    Operation(
        "POST",
        "/v1/projects",
        "Projects",
        "Make a project",
        Needs.USER,
        {201: Answer("The project and its key.", ref("NewProject"), headers=("Location",))},
        body=json_body({"name": NAME}),
        parameters=(p.IDEMPOTENCY_KEY_OF_A_SECRET,),
        problems=("duplicate", "idempotency-key-reused"),
    ),
    Operation("GET", _ONE, "Projects", "One project", Needs.VIEWER, ok(ref("Project"))),
    Operation(
        "PATCH",
        _ONE,
        "Projects",
        "Give a project another name",
        Needs.ADMIN,
        ok(ref("Project")),
        body=json_body({"name": NAME}),
    ),
    Operation(
        "DELETE",
        _ONE,
        "Projects",
        "Delete a project, with its configs and their history",
        Needs.OWNER,
        ok(ref("ProjectDeletion"), "What went, or would go."),
        "It is gone for everybody at once, and never comes back. The answer comes when its rows"
        " are gone too; if that cannot be done now, it is done later.",
        parameters=(p.DRY_RUN,),
    ),
    Operation(
        "POST",
        _ONE + "/api-key",
        "Projects",
        "Replace the project's key",
        Needs.ADMIN,
        {201: Answer("The new key.", ref("NewProjectKey"))},
        "The old one ends at once, or after `grace_seconds`. One that is in its grace already"
        " ends.",
        body=json_body(
            {"grace_seconds": {"type": "integer", "minimum": 0, "maximum": 2_592_000}},
            optional=("grace_seconds",),
            required=False,
        ),
        parameters=(p.IDEMPOTENCY_KEY_OF_A_SECRET,),
        problems=("duplicate", "idempotency-key-reused"),
    ),
)

_KEYS = (
    Operation(
        "GET",
        _ONE + "/keys",
        "Keys",
        "The named keys of a project",
        Needs.ADMIN,
        ok(page_of("NamedKey")),
        parameters=p.PAGED,
    ),
    Operation(
        "POST",
        _ONE + "/keys",
        "Keys",
        "Make a named key",
        Needs.ADMIN,
        {201: Answer("The key, shown this once.", ref("NewNamedKey"))},
        body=json_body(
            {
                "name": NAME,
                "role_level": KEY_ROLE,
                "prefix": nullable(PREFIX),
                "expires_at": nullable(TIME),
            },
            optional=("prefix", "expires_at"),
        ),
        problems=("duplicate",),
    ),
    Operation("DELETE", _ONE + "/keys/{id}", "Keys", "End a named key", Needs.ADMIN, NO_CONTENT),
)

_ROLES = (
    Operation(
        "GET",
        _ONE + "/roles",
        "Members",
        "The members of a project",
        Needs.ADMIN,
        ok(page_of("Role")),
        "The owner is none of them.",
        parameters=p.PAGED,
    ),
    Operation(
        "PUT",
        _ONE + "/roles/{user}",
        "Members",
        "Make a user a member, or change what they are",
        Needs.ADMIN,
        {
            200: Answer("The member as changed.", ref("Role")),
            201: Answer("The new member.", ref("Role")),
        },
        body=json_body({"role_level": ROLE}),
    ),
    Operation(
        "DELETE", _ONE + "/roles/{user}", "Members", "Take a member out", Needs.ADMIN, NO_CONTENT
    ),
)

OPERATIONS = (*_SIGN_IN, *_USERS, *_PROJECTS, *_KEYS, *_ROLES)
