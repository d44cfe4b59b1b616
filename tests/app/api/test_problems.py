"""Goal: whatever a request is refused for becomes its problem; nothing expected is a 500."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from html import escape

import app.access
from app.access.tokens import SecretKeyUnusable, TokenRefused
from app.api.errors import PROBLEM_STATUSES, PROBLEMS, TITLES
from app.errors import ServiceError
from domain.errors import DomainError, UndecodableEntry
from tests.support.service import Client, Service

NEVER_IN_A_REQUEST = {
    ServiceError: "a base",
    DomainError: "a base",
    UndecodableEntry: "the projector halts at it",
    TokenRefused: "becomes CredentialsRefused in the directory",
    SecretKeyUnusable: "the process does not start",
}
MODULES = ("app.errors", "app.schema_errors", "domain.errors", "domain.schema_outcomes")


def _exceptions() -> set[type[BaseException]]:
    names = [*MODULES, "app.validation.pool"]
    names += [f"app.access.{module.name}" for module in pkgutil.iter_modules(app.access.__path__)]
    return {
        value
        for name in names
        for value in vars(importlib.import_module(name)).values()
        if inspect.isclass(value)
        and issubclass(value, Exception)
        and value.__module__ == name
        and not value.__name__.startswith("_")
        # A broken invariant is a bug: it answers 500.
        and value.__name__ != "BrokenInvariant"
    }


def test_every_expected_exception_has_its_problem() -> None:
    missing = _exceptions() - set(PROBLEMS) - set(NEVER_IN_A_REQUEST)
    assert missing == set(), "give each a line in PROBLEMS of app/api/errors.py"


def test_every_problem_says_a_status_of_a_refusal() -> None:
    for problem in PROBLEMS.values():
        assert 400 <= problem.status < 600 or problem.status == 202
        assert problem.title[0].isupper()


def test_each_type_has_its_title_and_no_title_is_of_no_type() -> None:
    assert set(TITLES) == set(PROBLEM_STATUSES)
    assert len(set(TITLES.values())) == len(TITLES)


async def test_a_title_does_not_change_from_occurrence_to_occurrence(
    service: Service, admin: Client, configs: str
) -> None:
    """RFC 9457 section 3.1.3. What was not signed in, or too large, had several."""
    me, put = "/v1/me", f"{configs}/a"
    large, larger = "x" * 300_000, "x" * 400_000
    refused = [
        await service.anonymous("GET", me),
        await service.anonymous("GET", me, headers={"Authorization": "Bearer x"}),
        await admin("PUT", put, json={"content": large, "version": 0}),
        await admin("PUT", put, json={"content": larger, "version": 0}),
        await admin("PUT", put, data=b"x", headers={"Content-Type": "text/plain"}),
        await admin("PUT", put, json={}, headers={"Content-Encoding": "br"}),
        await admin("GET", "/v1/nowhere", headers={"Accept": "application/json"}),
        await admin("GET", f"{configs}/none"),
        await admin("PUT", "/v1/projects"),
    ]
    titles: dict[str, set[str]] = {}
    for answer in refused:
        assert answer.status >= 400, answer.body
        titles.setdefault(answer.json["type"], set()).add(answer.json["title"])
    assert all(len(each) == 1 for each in titles.values()), titles
    shown = (await service.anonymous("GET", "/problems")).body.decode()
    for slug, title in TITLES.items():
        assert f"<strong>{escape(title)}</strong>" in shown, slug
