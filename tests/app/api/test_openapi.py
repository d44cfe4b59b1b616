"""Goal: what is written about the API is what it does, both ways."""

from __future__ import annotations

import re

import jsonschema
import pytest

from app.api.errors import PROBLEM_STATUSES
from app.api.openapi import OPERATIONS, document
from app.api.openapi.components import SCHEMAS
from app.api.openapi.model import Needs
from app.api.problem_pages import TEXTS
from app.api.routes import all_routes
from tests.support.service import Answer, Client, Service


def test_routes_and_document_agree_both_ways() -> None:
    routes = {(route.method, route.path) for route in all_routes()}
    described = {(operation.method, operation.path) for operation in OPERATIONS}
    assert len(OPERATIONS) == len(described)
    assert routes - described == set(), (
        "describe these in app/api/openapi/{access,configs,others}.py"
    )
    assert described - routes == set(), "no route of app/api/routes.py answers these"


def test_every_reference_leads_somewhere() -> None:
    text = repr(document())
    used = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert used - set(SCHEMAS) == set()
    assert set(SCHEMAS) - used == set(), "nothing uses these"
    assert len({operation.operation_id for operation in OPERATIONS}) == len(OPERATIONS)


def test_every_shape_is_a_schema() -> None:
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.operation_id)
def test_an_operation_names_problems_that_there_are(operation: object) -> None:
    from app.api.openapi.model import Operation

    assert isinstance(operation, Operation)
    assert set(operation.all_problems()) <= set(PROBLEM_STATUSES)
    assert (operation.needs is Needs.NOBODY) == (
        "security" in operation.as_json() and not operation.as_json()["security"]
    )


def test_only_a_put_makes_a_config() -> None:
    """A patch needs one that is live; a roll-back that revives one is a new version of it."""
    one = "/v1/projects/{project}/configs/{key}"
    creating = {
        (operation.method, operation.path)
        for operation in OPERATIONS
        if operation.path.startswith(one) and 201 in operation.answers
    }
    assert creating == {("PUT", one)}


def test_every_problem_has_its_page() -> None:
    assert set(TEXTS) == set(PROBLEM_STATUSES)


async def test_the_document_and_the_pages_are_served_without_a_script(service: Service) -> None:
    served = await service.anonymous("GET", "/openapi.json")
    assert served.json == document()
    docs = await service.anonymous("GET", "/docs")
    for path in ("/v1/projects/{project}/configs/{key}", "/v1/auth/login"):
        assert path.encode() in docs.body
    pages = [docs, await service.anonymous("GET", "/problems")]
    pages += [await service.anonymous("GET", f"/problems/{slug}") for slug in PROBLEM_STATUSES]
    for page in pages:
        assert page.status == 200
        assert page.headers["Content-Type"].startswith("text/html")
        assert "script-src" not in page.headers["Content-Security-Policy"]
        assert b"<script" not in page.body
        # Nothing is loaded from elsewhere.
        assert not re.search(rb"(src|href)=\"(https?:)?//", page.body)
    assert (await service.anonymous("GET", "/problems/none")).status == 404


def _hold_to_document(answer: Answer, method: str, path: str) -> None:
    """Raises ValidationError where the answer is not what the document says of this operation."""
    described = document()["paths"][path][method]["responses"][str(answer.status)]
    schema = described["content"][answer.headers["Content-Type"].split(";")[0]]["schema"]
    whole = {**schema, "components": document()["components"]}  # what its references point into
    jsonschema.Draft202012Validator(whole).validate(answer.json)


async def test_a_roll_back_that_finds_nothing_to_do_is_described(
    service: Service, admin: Client
) -> None:
    project, _ = await service.project(admin)
    made = await admin("PUT", f"{project}/configs/a", json={"content": 1, "version": 0})
    body = {"position": made.json["position"]}
    answer = await admin("POST", f"{project}/rollback", json=body)
    assert (answer.status, answer.json["id"]) == (200, None)
    _hold_to_document(answer, "post", "/v1/projects/{project}/rollback")


async def test_the_configs_of_a_schema_are_described(service: Service, admin: Client) -> None:
    project, _ = await service.project(admin)
    schema = await admin("POST", "/v1/schemas", json={"name": "any", "schema": True})
    body = {"content": 1, "version": 0, "schema_id": schema.json["id"]}
    assert (await admin("PUT", f"{project}/configs/a", json=body)).status == 201
    answer = await admin("GET", f"/v1/schemas/{schema.json['id']}/usage")
    assert [item["key"] for item in answer.json["items"]] == ["a"]
    _hold_to_document(answer, "get", "/v1/schemas/{schema}/usage")
