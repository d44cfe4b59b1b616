"""The one map from exceptions to problems (RFC 9457), and what applies it.

Must stay complete: a test walks every exception class of `app.errors`, `domain.errors` and the
access package. What is not mapped is a bug and answers 500 with the request id, nothing more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import structlog
from aiohttp import web

from app import errors, schema_errors
from app.access.directory import CredentialsRefused
from app.access.passwords import PasswordRefused, PasswordsBusy
from app.api.views import bound_view, breakage_view
from app.validation.pool import ValidationBusy, ValidatorsUnavailable
from domain import errors as domain_errors
from domain.schema_outcomes import InvalidSchema, SchemaTooExpensive
from projections.database import DATABASE_AWAY

logger = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
"""Set by the middleware (app.api.middleware)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of refusal: its slug names its page, /problems/<slug>."""

    slug: str
    status: int
    title: str
    members: Callable[[Any], dict[str, Any]] = lambda _: {}
    """Extension members that the caller needs to act."""
    headers: Callable[[Any], dict[str, str]] = lambda _: {}


def _conflict_members(error: domain_errors.VersionConflict) -> dict[str, Any]:
    conflicts = [asdict(conflict) for conflict in error.conflicts]
    return {"current_version": conflicts[0]["current_version"], "conflicts": conflicts}


def _retry_after(error: Any) -> dict[str, str]:
    return {"Retry-After": str(getattr(error, "retry_after_s", 1))}


def _pending_headers(error: errors.OutcomePending) -> dict[str, str]:
    return {"Location": f"/v1/changes/{error.change_id}"}


def _violations(error: schema_errors.SchemaViolated) -> dict[str, Any]:
    return {"errors": [{"key": each.key, **asdict(each.violation)} for each in error.violations]}


def _in_use(error: schema_errors.SchemaInUse) -> dict[str, Any]:
    configs = [bound_view(config) for config in error.users]
    return {"configs": configs, "hidden": error.hidden, "total": error.total}


PROBLEMS: Mapping[type[BaseException], Problem] = {
    domain_errors.MalformedJson: Problem(
        "malformed-json",
        400,
        "This is not JSON",
        lambda e: {"line": e.line, "column": e.column},
    ),
    domain_errors.NotIJson: Problem(
        "not-i-json", 422, "The document is not I-JSON", lambda e: {"pointer": e.pointer}
    ),
    domain_errors.InvalidKey: Problem(
        "invalid-key", 400, "The config key is not in the grammar", lambda e: {"key": e.key[:220]}
    ),
    domain_errors.ContentTooLarge: Problem(
        "content-too-large",
        413,
        "The content is too large",
        lambda e: {"limit_bytes": e.limit_bytes},
    ),
    domain_errors.VersionConflict: Problem(
        "version-conflict", 409, "Another change came first", _conflict_members
    ),
    domain_errors.PatchFailed: Problem(
        "patch-failed", 422, "The patch cannot be applied", lambda e: {"index": e.index}
    ),
    domain_errors.ConfigNotFound: Problem(
        "config-not-found", 404, "There is no such config", lambda e: {"key": e.key}
    ),
    domain_errors.RevisionNotFound: Problem(
        "revision-not-found",
        404,
        "There is no such version",
        lambda e: {"key": e.key, "version": e.version},
    ),
    InvalidSchema: Problem(
        "invalid-schema", 422, "The schema cannot be used", lambda e: {"pointer": e.pointer}
    ),
    SchemaTooExpensive: Problem("schema-too-expensive", 422, "Checking it takes too much"),
    ValidationBusy: Problem(
        "too-many-requests", 429, "Too much waits to be checked", headers=_retry_after
    ),
    ValidatorsUnavailable: Problem(
        "unavailable", 503, "Contents cannot be checked now", headers=_retry_after
    ),
    schema_errors.SchemaViolated: Problem(
        "schema-violation", 422, "A content does not hold to its schema", _violations
    ),
    schema_errors.UnknownSchema: Problem(
        "unknown-schema",
        422,
        "There is no such schema for this project",
        lambda e: {"schema_id": e.schema_id, "key": e.key},
    ),
    schema_errors.SchemaGone: Problem(
        "version-conflict",
        409,
        "Another change came first",
        lambda e: {"schema_id": e.schema_id, "key": e.key},
    ),
    schema_errors.SchemaMoved: Problem(
        "version-conflict",
        409,
        "Another change came first",
        lambda e: {"current_version": e.current_version},
    ),
    schema_errors.SchemaInUse: Problem(
        "schema-in-use", 409, "Configs are bound to the schema", _in_use
    ),
    schema_errors.SchemaWouldBreak: Problem(
        "schema-would-break",
        409,
        "Live configs would break the new version",
        lambda e: breakage_view(e.breakage),
    ),
    errors.InvalidParameter: Problem(
        "invalid-parameter", 400, "A parameter cannot be used", lambda e: {"parameter": e.name}
    ),
    errors.BodyTooLarge: Problem(
        "content-too-large",
        413,
        "The body is too large",
        lambda e: {"limit_bytes": e.limit_bytes},
    ),
    errors.ChangeSetTooLarge: Problem(
        "change-set-too-large",
        413,
        "The change set is too large",
        lambda e: {"limit_bytes": e.limit_bytes},
    ),
    errors.TooManyChanges: Problem(
        "too-many-changes",
        422,
        "Too many configs would change at once",
        lambda e: {"limit": e.limit},
    ),
    errors.IdempotencyKeyReused: Problem(
        "idempotency-key-reused", 422, "The Idempotency-Key belongs to another request"
    ),
    errors.BodyTooSlow: Problem("request-timeout", 408, "The body did not come in time"),
    errors.UnsupportedMediaType: Problem(
        "unsupported-media-type",
        415,
        "The content type is not taken here",
        lambda e: {"accepted": list(e.accepted)},
    ),
    errors.UnsupportedContentCoding: Problem(
        "unsupported-media-type",
        415,
        "The content coding is not taken here",
        lambda e: {"accepted": list(e.accepted)},
        lambda e: {"Accept-Encoding": ", ".join(e.accepted)},
    ),
    errors.MalformedBody: Problem("malformed-request", 400, "The body cannot be read"),
    errors.NotSignedIn: Problem(
        "not-signed-in",
        401,
        "Credentials are needed",
        headers=lambda _: {"WWW-Authenticate": 'Bearer realm="config-guardian"'},
    ),
    CredentialsRefused: Problem(
        "not-signed-in",
        401,
        "The credentials are not valid",
        headers=lambda _: {"WWW-Authenticate": 'Bearer realm="config-guardian"'},
    ),
    errors.NotAllowed: Problem(
        "not-allowed", 403, "Your role is too low", lambda e: {"needed_role": e.needed}
    ),
    errors.CrossSiteRequest: Problem(
        "cross-site-request", 403, "Another site's page sent this request"
    ),
    errors.LastSuperuser: Problem("last-superuser", 409, "There must be a superuser"),
    errors.InUse: Problem("in-use", 409, "Others still use it"),
    errors.NotFound: Problem("not-found", 404, "It is not there, or not there for you"),
    errors.Duplicate: Problem("duplicate", 409, "It is there already"),
    errors.VersionRequired: Problem(
        "version-required", 428, "A change needs the version that it was made for"
    ),
    errors.Unavailable: Problem(
        "unavailable", 503, "Something that this needs is away", headers=_retry_after
    ),
    errors.TooManyRequests: Problem(
        "too-many-requests", 429, "Asked too often", headers=_retry_after
    ),
    PasswordRefused: Problem("password-refused", 422, "The password cannot be used"),
    PasswordsBusy: Problem(
        "too-many-requests", 429, "Too many sign-ins at once", headers=_retry_after
    ),
    errors.OutcomePending: Problem(
        "outcome-pending",
        202,
        "Committed or not known yet",
        lambda e: {"id": e.change_id, "change": "pending"},
        _pending_headers,
    ),
}

_DATABASE_PROBLEM = Problem(
    "unavailable", 503, "Something that this needs is away", headers=_retry_after
)
BUG = Problem("internal-error", 500, "Something broke in the service")


_HTTP_SLUGS = {
    404: "not-found",
    405: "method-not-allowed",
    413: "content-too-large",
    417: "expectation-failed",
}
PROBLEM_STATUSES: Mapping[str, int] = {
    **{slug: status for status, slug in _HTTP_SLUGS.items()},
    BUG.slug: BUG.status,
    **{problem.slug: problem.status for problem in PROBLEMS.values()},
}
"""Every slug that an answer can have, with its status. Each has a page in app.api.problem_pages."""


def problem_response(
    request: web.BaseRequest, problem: Problem, detail: str, error: BaseException | None = None
) -> web.Response:
    """The problem as a response, with the request id that support will ask for."""
    body = {
        "type": f"/problems/{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "request_id": request.get(REQUEST_ID),
        **problem.members(error),
    }
    return web.Response(
        status=problem.status,
        body=orjson.dumps(body),
        content_type="application/problem+json",
        headers=problem.headers(error),
    )


def problem_of(request: web.Request, error: Exception) -> web.Response:
    """The problem of what a handler raised. Raises it again if it is no refusal (a redirect)."""
    if not isinstance(error, web.HTTPException):
        return _from_exception(request, error)
    if error.status < 400:
        raise error
    return _from_http(request, error)


def _from_exception(request: web.Request, error: Exception) -> web.Response:
    problem = PROBLEMS.get(type(error))
    if problem is not None:
        return problem_response(request, problem, str(error), error)
    if isinstance(error, DATABASE_AWAY):
        logger.warning("database_away", error=type(error).__name__)
        return problem_response(request, _DATABASE_PROBLEM, "the database is away", error)
    logger.error("request_failed", exc_info=error)
    return problem_response(request, BUG, "it was logged under the request id", error)


def _from_http(request: web.Request, error: web.HTTPException) -> web.Response:
    slug = _HTTP_SLUGS.get(error.status, "malformed-request")
    title, detail = error.reason, error.text or error.reason
    if isinstance(error, web.HTTPNotFound):
        title = PROBLEMS[errors.NotFound].title
        detail = "nothing is at this address; /docs lists what there is"
    elif isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{request.method[:16]} is not taken here; {allowed} are"
    response = problem_response(request, Problem(slug, error.status, title), detail)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response
