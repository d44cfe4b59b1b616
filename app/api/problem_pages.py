"""`/problems/{slug}`: what each problem means and what its caller can do. The one place of these
texts; a test proves that no slug is without."""

from __future__ import annotations

from html import escape

from aiohttp import web

from app.api.errors import PROBLEM_STATUSES, TITLES
from app.api.html import html_page
from app.errors import NotFound

TEXTS: dict[str, tuple[str, str]] = {
    "malformed-json": (
        ("It is not JSON (RFC 8259). <code>line</code> and <code>column</code> say where."),
        "Correct the text there. An empty body counts as well.",
    ),
    "not-i-json": (
        (
            "The document is JSON, but not I-JSON (RFC 7493): a name comes twice, a number"
            " cannot be kept exactly, a text holds U+0000 or half a surrogate pair, or it is"
            " nested too deep. <code>pointer</code> says where."
        ),
        (
            "What is accepted comes back equal, for ever; so what cannot is refused. Change"
            " the value, for example send a large number as a string."
        ),
    ),
    "invalid-key": (
        (
            "A config's key has 1 to 200 characters: letters, digits, <code>_</code> and"
            " <code>-</code>, in parts with dots between."
        ),
        "Choose another key, such as <code>payments.limits.eu</code>.",
    ),
    "invalid-parameter": (
        (
            "A parameter, header or member of the body cannot be used; <code>parameter</code>"
            " names it. What is not known is refused too, so that a typing error is not taken"
            " for a default."
        ),
        "Correct it; the detail says what it must be.",
    ),
    "malformed-request": (
        (
            "The request is not HTTP as the service understands it, or its body is not what its"
            " <code>Content-Encoding</code> says."
        ),
        "Look at what the client really sends.",
    ),
    "not-signed-in": (
        (
            "There are no credentials, or they are not good any more: an access token lasts"
            " 15 minutes; a session ends by signing out, by a new password, by a refresh token"
            " that is used twice; a key ends when it is replaced, deleted or expires."
        ),
        "Renew the access token, sign in again, or ask a project's admin for a new key.",
    ),
    "not-allowed": (
        "Your role is too low for this; <code>needed_role</code> says what it takes.",
        ("Ask an admin or the owner of the project. A named key may change configs at most."),
    ),
    "cross-site-request": (
        "A page of another site made the browser send this with the session's cookie.",
        (
            "Call from the service's own origin. Behind a proxy, set GUARDIAN_PUBLIC_URL to"
            " the address that browsers use."
        ),
    ),
    "not-found": (
        (
            "It is not there, or not there for you: a project in which you have no role does"
            " not exist for you, neither does a config that your key's prefix does not reach."
        ),
        "Check the address and whose credentials you send.",
    ),
    "config-not-found": (
        "There is no live config under this key, or there was none at that moment.",
        (
            "Its revisions say whether it was deleted. To create it, send"
            " <code>If-None-Match: *</code>."
        ),
    ),
    "revision-not-found": (
        "The config has no such version.",
        "Its revisions list those that it has.",
    ),
    "method-not-allowed": (
        "The address does not take this method.",
        "The header <code>Allow</code> says which it takes.",
    ),
    "expectation-failed": (
        "The header <code>Expect</code> asks for something that the service does not do.",
        "Leave it out, or send <code>100-continue</code>.",
    ),
    "request-timeout": (
        "The body did not arrive in time.",
        "Send it again, over a better connection or in smaller parts.",
    ),
    "version-conflict": (
        (
            "Another change came first: the version that yours was made for is not the"
            " current one any more. Nothing was changed. <code>conflicts</code> lists each"
            " config with its current version."
        ),
        ("Read it, look whether your change still makes sense, and send it with the new version."),
    ),
    "duplicate": (
        (
            "Something of this name is there already, or was made by the same request before: then"
            " the detail names it."
        ),
        "Take another name, or change what is there.",
    ),
    "in-use": (
        "Others still use what this would delete.",
        "Unbind or delete what uses it first.",
    ),
    "last-superuser": (
        "Nobody could manage users any more.",
        "Make another superuser first.",
    ),
    "schema-in-use": (
        (
            "Live configs are bound to the schema; <code>configs</code> lists those that you"
            " may see, <code>hidden</code> counts the others."
        ),
        "Bind them to another schema, or to none, first.",
    ),
    "schema-would-break": (
        (
            "Live configs do not hold to the new version; <code>configs</code> says which,"
            " and where. Nothing was changed."
        ),
        (
            "Correct the configs or the schema, or send <code>?force=true</code>: then the"
            " configs stay as they are, and their next change must hold."
        ),
    ),
    "schema-violation": (
        (
            "The content does not hold to its schema; <code>errors</code> lists where and by"
            " which keyword. Nothing was changed."
        ),
        "Correct the content, or have the schema changed.",
    ),
    "invalid-schema": (
        (
            "The text is no JSON Schema that contents can be held to: it breaks its"
            " meta-schema, or refers to something outside of itself, which is never fetched."
        ),
        (
            "Correct it where <code>pointer</code> says; put what it refers to into its"
            " <code>$defs</code>."
        ),
    ),
    "schema-too-expensive": (
        "Checking takes more time, memory or depth than one request may have.",
        (
            "Simplify the schema: references that double, patterns that look ahead, and"
            " <code>uniqueItems</code> of huge lists are what costs."
        ),
    ),
    "unknown-schema": (
        "The project has no such schema, and none of that id is shared.",
        "Store it first, or leave <code>schema_id</code> out.",
    ),
    "patch-failed": (
        (
            "A step of the JSON patch cannot be applied to the content; <code>index</code>"
            " says which."
        ),
        "Read the newest content and make the patch for that.",
    ),
    "password-refused": (
        "The password breaks a rule, or is not the current one; the detail says which.",
        "A password has 12 to 1024 characters, and is not one of them repeated.",
    ),
    "idempotency-key-reused": (
        "The Idempotency-Key was sent before, with another request.",
        ("Take a new key for each new request, and the old one only to send the same again."),
    ),
    "content-too-large": (
        "The content or the body is larger than <code>limit_bytes</code>.",
        "Split it, or have GUARDIAN_MAX_CONTENT_BYTES raised.",
    ),
    "change-set-too-large": (
        "The changes do not fit into one entry of the Raft log.",
        "Split the change set; each part is all or nothing by itself.",
    ),
    "too-many-changes": (
        "More configs would change than one change set may hold. Nothing was changed.",
        "Roll back a smaller part: a key with a prefix reaches its configs only.",
    ),
    "unsupported-media-type": (
        (
            "The content type, or the content coding, is not taken here; <code>accepted</code>"
            " says which are."
        ),
        "Set <code>Content-Type</code>; leave <code>Content-Encoding</code> out, or use gzip.",
    ),
    "version-required": (
        (
            "A change must say for which version it was made, so that it cannot undo"
            " another's unseen."
        ),
        (
            'Send <code>If-Match: "3"</code> to update, <code>If-None-Match: *</code> to'
            " create, or <code>version</code> in the body. <code>If-Match: *</code> changes"
            " whatever is there."
        ),
    ),
    "too-many-requests": (
        "You ask too often, or too much of one kind waits already.",
        "Wait for as many seconds as <code>Retry-After</code> says.",
    ),
    "unavailable": (
        (
            "Something that this needs is away: the database, a quorum of the Raft group, or"
            " this process is too far behind. Nothing was changed."
        ),
        (
            "Send it again after <code>Retry-After</code>. <code>/readyz</code> says what is"
            " away. Reads with <code>?consistency=stale</code> go on."
        ),
    ),
    "outcome-pending": (
        "No answer of the Raft group came in time: the change may be committed or not.",
        (
            "Ask <code>Location</code> later, or send the request again with its"
            " Idempotency-Key. Do not send it without one: it could be done twice."
        ),
    ),
    "outcome-unknown": (
        (
            "The database went away while this was done, or it took too long and was ended: it may"
            " be done, now or in a moment, or never."
        ),
        (
            "Look whether it was done before you send it again. With an"
            " <code>Idempotency-Key</code> a creation can be sent again at once."
        ),
    ),
    "internal-error": (
        "Something broke in the service. It was logged under <code>request_id</code>.",
        "Send it again once; if it stays, tell the operator the request id.",
    ),
}


async def problem_page(request: web.Request) -> web.Response:
    """What one problem means."""
    slug = request.match_info["slug"]
    if slug not in TEXTS:
        raise NotFound("there is no such problem")
    return html_page(slug, f'{_section(slug, "h1")}<p><a href="/problems">All problems</a></p>')


async def all_problems(request: web.Request) -> web.Response:
    """What every problem means."""
    sections = "".join(_section(slug, "h2") for slug in sorted(TEXTS))
    return html_page("Problems", f"<h1>Problems</h1>{sections}")


def _section(slug: str, level: str) -> str:
    means, act = TEXTS[slug]
    title, status = escape(TITLES[slug]), PROBLEM_STATUSES[slug]
    return (
        f'<{level}><a href="/problems/{escape(slug)}">{escape(slug)}</a></{level}>'
        f"<p><strong>{title}</strong> (status <code>{status}</code>). {means}</p><p>{act}</p>"
    )


def routes() -> list[web.RouteDef]:
    """This module's routes."""
    return [web.get("/problems", all_problems), web.get("/problems/{slug}", problem_page)]
