"""Goal: whatever is asked, the answer is one that /openapi.json describes, and never a 5xx.

Method: schemathesis makes requests out of the document, right and wrong ones, a bounded number
for each operation, and holds every answer to it. Ids that it cannot guess are put in.
"""

from __future__ import annotations

import asyncio
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis import checks as every_check
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks as openapi_checks

from tests.support.service import Client, Service

CASES = {
    schemathesis.GenerationMode.POSITIVE: 6,
    schemathesis.GenerationMode.NEGATIVE: 3,
}
"""How many requests of each kind an operation gets. Raise it to look for more."""


def no_server_error(context: Any, response: Any, case: Any) -> None:
    """A position of the future was asked for and did not come: the one 503 that is right."""
    if response.status_code == 503 and ", not yet " in response.json().get("detail", ""):
        return
    every_check.not_a_server_error(context, response, case)


CHECKS = [
    no_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]
WITHOUT_END = {"/v1/projects/{project}/watch"}
"""Its answer is a stream; tests/app/api/test_watch*.py hold it to what it says."""
SIGN_IN = "/v1/auth/"


@pytest.mark.timeout(600)
async def test_every_answer_is_one_that_the_document_describes(
    service: Service, admin: Client
) -> None:
    ids = await _things(service, admin)
    document = (await service.anonymous("GET", "/openapi.json")).json
    found = await asyncio.to_thread(_ask_everything, document, admin, ids)
    assert found == []


async def _things(service: Service, admin: Client) -> dict[str, str]:
    """Something of each kind, to ask for."""
    project, _ = await service.project(admin)
    user = await admin(
        "POST", "/v1/users", json={"email": "ann@example.org", "password": "a password of ann"}
    )
    schema = await admin("POST", "/v1/schemas", json={"name": "any", "schema": {"type": "object"}})
    content = {"a": [1, {"b": None}], "c": "text"}
    for version in (0, 1, 2):
        body = {"content": {**content, "n": version}, "version": version}
        put = await admin("PUT", f"{project}/configs/some.key", json=body)
        assert put.status < 300
    return {
        "project": project.rsplit("/", 1)[1],
        "user": user.json["id"],
        "schema": schema.json["id"],
        "key": "some.key",
        "slug": "not-found",
    }


def _ask_everything(document: dict[str, Any], admin: Client, ids: dict[str, str]) -> list[str]:
    failures: list[str] = []
    schema = schemathesis.openapi.from_dict(document)
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        if operation.path in WITHOUT_END:
            continue
        for mode, cases in CASES.items():
            try:
                _ask(operation, mode, cases, admin, ids)
            except hypothesis.errors.Unsatisfiable:
                continue  # it takes nothing that could be wrong
            except FailureGroup as error:
                what = "; ".join(str(each) for each in error.exceptions)
                failures.append(f"{operation.method} {operation.path} ({mode.value}): {what}")
    return failures


def _ask(operation: Any, mode: Any, cases: int, admin: Client, ids: dict[str, str]) -> None:
    # What is deleted here is not the thing that the other operations ask for.
    known = {} if operation.method.upper() == "DELETE" else ids
    headers = {} if operation.path.startswith(SIGN_IN) else admin.headers

    @hypothesis.settings(
        max_examples=cases,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        for name in case.path_parameters or {}:
            if name in known:
                case.path_parameters[name] = known[name]
        response = case.call(base_url=admin.base_url, headers=headers, timeout=60)
        case.validate_response(response, checks=CHECKS)

    ask()
