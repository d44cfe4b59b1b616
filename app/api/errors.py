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


TITLES: Mapping[str, str] = {
    "malformed-json": "This is not JSON",
    "not-i-json": "The document is not I-JSON",
    "invalid-key": "The config key is not in the grammar",
    "content-too-large": "The content or the body is too large",
    "version-conflict": "Another change came first",
    "patch-failed": "The patch cannot be applied",
    "config-not-found": "There is no such config",
    "revision-not-found": "There is no such version",
    "invalid-schema": "The schema cannot be used",
    "schema-too-expensive": "Checking it takes too much",
    "too-many-requests": "Too many requests",
    "unavailable": "Something that this needs is away",
    "schema-violation": "A content does not hold to its schema",
    "unknown-schema": "There is no such schema for this project",
    "schema-in-use": "Configs are bound to the schema",
    "schema-would-break": "Live configs would break the new version",
    "invalid-parameter": "A parameter cannot be used",
    "change-set-too-large": "The change set is too large",
    "too-many-changes": "Too many configs would change at once",
    "idempotency-key-reused": "The Idempotency-Key belongs to another request",
    "request-timeout": "The body did not come in time",
    "unsupported-media-type": "The content type or coding is not taken here",
    "malformed-request": "The request cannot be read",
    "not-signed-in": "The credentials are missing or not valid",
    "not-allowed": "Your role is too low",
    "cross-site-request": "Another site's page sent this request",
    "last-superuser": "There must be a superuser",
    "in-use": "Others still use it",
    "not-found": "It is not there, or not there for you",
    "duplicate": "It is there already",
    "version-required": "A change needs the version that it was made for",
    "password-refused": "The password cannot be used",
    "outcome-pending": "Committed or not known yet",
    "outcome-unknown": "It may have been done or not",
    "internal-error": "Something broke in the service",
    "method-not-allowed": "The method is not taken here",
    "expectation-failed": "The expectation is not met here",
}
"""One for each slug, whatever was refused (RFC 9457 section 3.1.3): the detail tells more."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of refusal: its slug names its page, /problems/<slug>."""

    slug: str
    status: int
    members: Callable[[Any], dict[str, Any]] = lambda _: {}
    """Extension members that the caller needs to act."""
    headers: Callable[[Any], dict[str, str]] = lambda _: {}

    @property
    def title(self) -> str:
        """What people call it."""
        return TITLES[self.slug]


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
        lambda e: {"line": e.line, "column": e.column},
    ),
    domain_errors.NotIJson: Problem("not-i-json", 422, lambda e: {"pointer": e.pointer}),
    domain_errors.InvalidKey: Problem("invalid-key", 400, lambda e: {"key": e.key[:220]}),
    domain_errors.ContentTooLarge: Problem(
        "content-too-large",
        413,
        lambda e: {"limit_bytes": e.limit_bytes},
    ),
    domain_errors.VersionConflict: Problem("version-conflict", 409, _conflict_members),
    domain_errors.PatchFailed: Problem("patch-failed", 422, lambda e: {"index": e.index}),
    domain_errors.ConfigNotFound: Problem("config-not-found", 404, lambda e: {"key": e.key}),
    domain_errors.RevisionNotFound: Problem(
        "revision-not-found",
        404,
        lambda e: {"key": e.key, "version": e.version},
    ),
    InvalidSchema: Problem("invalid-schema", 422, lambda e: {"pointer": e.pointer}),
    SchemaTooExpensive: Problem("schema-too-expensive", 422),
    ValidationBusy: Problem("too-many-requests", 429, headers=_retry_after),
    ValidatorsUnavailable: Problem("unavailable", 503, headers=_retry_after),
    schema_errors.SchemaViolated: Problem("schema-violation", 422, _violations),
    schema_errors.UnknownSchema: Problem(
        "unknown-schema",
        422,
        lambda e: {"schema_id": e.schema_id, "key": e.key},
    ),
    schema_errors.SchemaGone: Problem(
        "version-conflict",
        409,
        lambda e: {"schema_id": e.schema_id, "key": e.key},
    ),
    schema_errors.SchemaMoved: Problem(
        "version-conflict",
        409,
        lambda e: {"current_version": e.current_version},
    ),
    schema_errors.SchemaInUse: Problem("schema-in-use", 409, _in_use),
    schema_errors.SchemaWouldBreak: Problem(
        "schema-would-break",
        409,
        lambda e: breakage_view(e.breakage),
    ),
    errors.InvalidParameter: Problem("invalid-parameter", 400, lambda e: {"parameter": e.name}),
    errors.BodyTooLarge: Problem(
        "content-too-large",
        413,
        lambda e: {"limit_bytes": e.limit_bytes},
    ),
    errors.ChangeSetTooLarge: Problem(
        "change-set-too-large",
        413,
        lambda e: {"limit_bytes": e.limit_bytes},
    ),
    errors.TooManyChanges: Problem(
        "too-many-changes",
        422,
        lambda e: {"limit": e.limit},
    ),
    errors.IdempotencyKeyReused: Problem("idempotency-key-reused", 422),
    errors.BodyTooSlow: Problem("request-timeout", 408),
    errors.UnsupportedMediaType: Problem(
        "unsupported-media-type",
        415,
        lambda e: {"accepted": list(e.accepted)},
    ),
    errors.UnsupportedContentCoding: Problem(
        "unsupported-media-type",
        415,
        lambda e: {"accepted": list(e.accepted)},
        lambda e: {"Accept-Encoding": ", ".join(e.accepted)},
    ),
    errors.MalformedBody: Problem("malformed-request", 400),
    errors.NotSignedIn: Problem(
        "not-signed-in",
        401,
        headers=lambda _: {"WWW-Authenticate": 'Bearer realm="config-guardian"'},
    ),
    CredentialsRefused: Problem(
        "not-signed-in",
        401,
        headers=lambda _: {"WWW-Authenticate": 'Bearer realm="config-guardian"'},
    ),
    errors.NotAllowed: Problem("not-allowed", 403, lambda e: {"needed_role": e.needed}),
    errors.CrossSiteRequest: Problem("cross-site-request", 403),
    errors.LastSuperuser: Problem("last-superuser", 409),
    errors.InUse: Problem("in-use", 409),
    errors.NotFound: Problem("not-found", 404),
    errors.Duplicate: Problem("duplicate", 409),
    errors.VersionRequired: Problem("version-required", 428),
    errors.Unavailable: Problem("unavailable", 503, headers=_retry_after),
    errors.OutcomeUnknown: Problem("outcome-unknown", 503, headers=_retry_after),
    errors.TooManyRequests: Problem("too-many-requests", 429, headers=_retry_after),
    PasswordRefused: Problem("password-refused", 422),
    PasswordsBusy: Problem("too-many-requests", 429, headers=_retry_after),
    errors.OutcomePending: Problem(
        "outcome-pending",
        202,
        lambda e: {"id": e.change_id, "change": "pending"},
        _pending_headers,
    ),
}

_CHANGES_NOTHING = frozenset({"GET", "HEAD", "OPTIONS"})
BUG = Problem("internal-error", 500)


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


def away(request: web.BaseRequest, what: str) -> errors.Unavailable | errors.OutcomeUnknown:
    """What is told of a request that was ended: what it asked of the database may be done all the
    same, once that reads it."""
    if request.method in _CHANGES_NOTHING:
        return errors.Unavailable(what)
    return errors.OutcomeUnknown(what)


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
        return _from_exception(request, away(request, "the database is away"))
    logger.error("request_failed", exc_info=error)
    return problem_response(request, BUG, "it was logged under the request id", error)


def _from_http(request: web.Request, error: web.HTTPException) -> web.Response:
    slug = _HTTP_SLUGS.get(error.status, "malformed-request")
    detail = error.text or error.reason
    if isinstance(error, web.HTTPNotFound):
        detail = "nothing is at this address; /docs lists what there is"
    elif isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{request.method[:16]} is not taken here; {allowed} are"
    response = problem_response(request, Problem(slug, error.status), detail)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response
