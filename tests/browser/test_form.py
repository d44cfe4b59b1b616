"""The form, and the problems beside it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.support import Api, Person

Open = Callable[..., Person]
SCHEMA = {
    "type": "object",
    "properties": {
        "on": {"type": "boolean"},
        "limits": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
        "mode": {"enum": [{"name": "slow"}, {"name": "fast"}]},
    },
}


def _form(person: Person) -> Locator:
    return person.page.get_by_role("group", name="The document as a form")


def _problems(person: Person) -> Locator:
    return person.page.get_by_role("list", name="Problems")


@pytest.fixture
def limits(admin: Api, project: str) -> str:
    """A config with a schema, of more fields than fit on the screen; its project."""
    schema = admin.make_schema("limits", SCHEMA, project)
    many = {f"name{number}": number for number in range(20)}
    content = {"limits": {**many, "200": 1, "404": 2}, "mode": {"name": "fast"}, "on": True}
    admin.put(project, "limits", content, schema_id=schema)
    return project


def test_a_problem_under_a_number_as_a_name_stands_at_its_line(limits: str, ana: Open) -> None:
    person = ana(f"/p/{limits}/configs/limits")
    person.type_document('{\n  "limits": {\n    "200": 1,\n    "404": -1\n  }\n}')
    expect(_problems(person)).to_contain_text("/limits/404")
    expect(_problems(person)).to_contain_text("line 4")
