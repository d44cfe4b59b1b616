"""Goal: whatever a request is refused for becomes its problem; nothing expected is a 500."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import app.access
from app.access.tokens import SecretKeyUnusable, TokenRefused
from app.api.errors import PROBLEMS
from app.errors import ServiceError
from domain.errors import DomainError, UndecodableEntry

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
