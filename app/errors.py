"""What the service itself refuses, beside the domain's rules, as typed exceptions.

`app.api.errors` maps each to one problem (RFC 9457); nothing here knows about HTTP responses.
"""

from __future__ import annotations


class ServiceError(Exception):
    """A request that the service refuses. `str()` is fit to be shown to the caller."""


class InvalidParameter(ServiceError):
    """A parameter, header or body member has a value that cannot be used."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name
        self.detail = detail


class BodyTooLarge(ServiceError):
    """The request body is larger than this route accepts."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the request body is larger than {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class ChangeSetTooLarge(ServiceError):
    """The changes do not fit into one entry of the log."""

    def __init__(self, size_bytes: int, limit_bytes: int, *, at_least: bool = False) -> None:
        size = f"at least {size_bytes}" if at_least else f"{size_bytes}"
        super().__init__(f"the change set has {size} bytes; the limit is {limit_bytes}: split it")
        self.limit_bytes = limit_bytes


class TooManyChanges(ServiceError):
    """More configs would change than one change set may hold."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} configs would change; nothing was changed")
        self.limit = limit


class IdempotencyKeyReused(ServiceError):
    """The Idempotency-Key was sent before, with another request."""


class BodyTooSlow(ServiceError):
    """The request body did not arrive in time."""


class UnsupportedMediaType(ServiceError):
    """The body has a content type that this route does not take."""

    def __init__(self, given: str | None, accepted: tuple[str, ...]) -> None:
        what = f"Content-Type {given[:100]!r}" if given else "no Content-Type"
        super().__init__(f"{what}; this route takes {' or '.join(accepted)} in UTF-8")
        self.accepted = accepted


class UnsupportedContentCoding(ServiceError):
    """The body has a content coding that the service does not unpack."""

    def __init__(self, given: str, accepted: tuple[str, ...]) -> None:
        super().__init__(f"Content-Encoding {given[:100]!r}; taken are {', '.join(accepted)}")
        self.accepted = accepted


class MalformedBody(ServiceError):
    """The body cannot be read: it breaks off, or is not coded as its headers say."""


class NotSignedIn(ServiceError):
    """No credentials, or credentials that are not (or no longer) good."""


class NotAllowed(ServiceError):
    """The caller is known, and their role is too low."""

    def __init__(self, needed: str, detail: str | None = None) -> None:
        super().__init__(detail or f"this needs the role {needed} or higher")
        self.needed = needed


class CrossSiteRequest(ServiceError):
    """A page of another site made the browser send this with our cookie."""


class NotFound(ServiceError):
    """It is not there, or not there for this caller."""


class Duplicate(ServiceError):
    """Something of this name is there already."""


class LastSuperuser(ServiceError):
    """This would leave nobody who manages users."""


class InUse(ServiceError):
    """Others still use what this would delete."""


class VersionRequired(ServiceError):
    """A change without the version that it was made for."""


class Unavailable(ServiceError):
    """Something that this request needs is away; nothing was changed. Try again."""

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(ServiceError):
    """Something went away while this was done: it may be done, now or in a moment, or never."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}; whether anything was changed is not known: look before you send it again"
        )


class TooManyRequests(ServiceError):
    """Asked too often; nothing was done."""

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class OutcomePending(ServiceError):
    """The change may be committed or not yet; its link tells later."""

    def __init__(self, change_id: str) -> None:
        super().__init__("the outcome is not known yet; ask the link later")
        self.change_id = change_id
