"""Schemas: help while typing, and what a change of one would break before it is saved."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.support import Api, Person

Open = Callable[..., Person]
LIMITS = {
    "type": "object",
    "properties": {
        "daily": {"type": "integer", "minimum": 0, "description": "The most that a day may cost"},
        "currency": {"enum": ["EUR", "USD"]},
    },
    "required": ["daily"],
    "additionalProperties": False,
}


@pytest.fixture
def schema(admin: Api, project: str) -> str:
    return admin.make_schema("limits", LIMITS, project)


def test_the_schema_helps_while_typing(admin: Api, project: str, schema: str, ana: Open) -> None:
    admin.put(project, "limit", {"daily": 5000}, schema_id=schema)
    person = ana(f"/p/{project}/configs/limit")
    person.type_document('{\n  "daily": "much"\n}')
    problems = person.page.get_by_role("list", name="Problems")
    expect(problems).to_contain_text("daily")
    expect(person.button("Review version 2")).to_have_attribute("aria-disabled", "true")
    person.shot("schema-problem")
    person.type_document('{\n  "daily": 6000\n}')
    expect(problems).to_have_count(0)
    expect(person.page.get_by_text("The service accepts it")).to_be_visible()
    person.page.get_by_text('"daily"').hover()
    expect(person.page.get_by_text("The most that a day may cost")).to_be_visible()
    person.page.keyboard.press("ControlOrMeta+Home")
    person.page.keyboard.press("End")
    person.page.keyboard.press("Enter")
    person.page.keyboard.press("Control+Space")
    completion = person.page.get_by_role("option", name=re.compile("currency"))
    expect(completion).to_be_visible()
    completion.click()
    expect(person.editor()).to_contain_text('"currency"')


def test_the_form_follows_the_schema(admin: Api, project: str, schema: str, ana: Open) -> None:
    admin.put(project, "limit", {"daily": 5000}, schema_id=schema)
    person = ana(f"/p/{project}/configs/limit?view=form")
    form = person.page.get_by_role("group", name="The document as a form")
    expect(form).to_contain_text("The most that a day may cost")
    form.get_by_role("button", name="currency", exact=True).click()
    form.get_by_role("combobox", name="currency").click()
    person.page.get_by_role("option", name="USD").click()
    form.get_by_role("textbox", name="daily").fill("-1")
    expect(form.get_by_text(re.compile("minimum|less than", re.IGNORECASE))).to_be_visible()
    expect(person.button("Review version 2")).to_have_attribute("aria-disabled", "true")
    form.get_by_role("textbox", name="daily").fill("10")
    person.button("Review version 2").click()
    person.button("Commit version 2").click()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    assert admin.content(project, "limit") == {"daily": 10, "currency": "USD"}


def test_the_impact_on_live_configs_is_shown_before_a_schema_is_saved(
    admin: Api, project: str, schema: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 5000}, schema_id=schema)
    stricter = {**LIMITS, "required": ["daily", "currency"]}
    person = ana(f"/p/{project}/schemas/{schema}")
    person.expected_statuses.add(409)
    used = person.page.get_by_role("region", name="Where it is used")
    expect(used.get_by_role("link", name="limit")).to_be_visible()
    person.shot("schema")
    assert person.axe() == []
    person.type_document(json.dumps(stricter, indent=2), "Schema limits")
    person.button("Review version 2").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 live config would not satisfy it")
    expect(dialog.get_by_role("list", name="Configs that would fail")).to_contain_text("limit")
    expect(dialog.get_by_role("button", name="Save version 2")).to_be_disabled()
    person.shot("schema-impact")
    assert person.axe() == []
    dialog.get_by_role("button", name="Force it…").click()
    forced = person.page.get_by_role("dialog")
    act = forced.get_by_role("button", name="Save version 2 anyway")
    expect(act).to_be_disabled()
    forced.get_by_label(re.compile("^Type ")).fill("limits")
    act.click()
    expect(person.page.get_by_text("version 2", exact=True)).to_be_visible()
    assert admin("GET", f"/v1/schemas/{schema}")["schema"] == stricter


def test_a_schema_is_made_and_bound_in_the_page(admin: Api, project: str, ana: Open) -> None:
    person = ana(f"/p/{project}/schemas")
    person.shot("schemas-empty")
    person.button("New schema").click()
    person.page.get_by_role("textbox", name="Name").fill("flags")
    person.button("Make schema").click()
    expect(person.page.get_by_role("heading", name="flags")).to_be_visible()
    person.type_document('{"type": "object", "minProperties": 1}', "Schema flags")
    person.button("Review version 2").click()
    person.button("Save version 2").click()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    expect(person.page.get_by_text("version 2", exact=True)).to_be_visible()
    limit = f"/v1/projects/{project}/configs/limit"
    admin.put(project, "limit", {"n": 1})
    person.walk(f"/p/{project}/configs/limit")
    person.page.get_by_role("combobox", name="Schema").click()
    person.page.get_by_role("option", name="flags v2").click()
    # What is typed after the choice is one edit with it.
    person.type_document('{"n": 2}')
    person.button("Review version 2").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_contain_text("checked against flags v2")
    expect(dialog).to_contain_text("the schema binding changes")
    person.button("Commit version 2").click()
    expect(dialog).to_have_count(0)
    schema = admin("GET", limit)["schema_id"]
    assert admin("GET", f"/v1/schemas/{schema}")["name"] == "flags"
    person.page.get_by_label("Remove the schema").click()
    person.button("Review version 3").click()
    expect(dialog).to_contain_text("checked against no schema")
    person.button("Commit version 3").click()
    expect(dialog).to_have_count(0)
    found = admin("GET", limit)
    assert (found["schema_id"], found["content"]) == (None, {"n": 2})


@pytest.mark.parametrize("when", ["review", "save", "force", "reload"])
def test_a_version_that_comes_while_a_schema_is_reviewed_is_merged(
    admin: Api, project: str, schema: str, ana: Open, when: str
) -> None:
    # Nothing tells of schemas but the service's refusal: of the rehearsal, the save, the force.
    # Or the page has heard of the new version, and must not take the edit for one of that.
    admin.put(project, "limit", {"daily": 5000}, schema_id=schema)
    person = ana(f"/p/{project}/schemas/{schema}")
    person.expected_statuses.add(409)
    mine = {**LIMITS, "title": "Mine"}
    if when == "force":
        mine["required"] = ["daily", "currency"]
    person.type_document(json.dumps(mine, indent=2), "Schema limits")
    theirs = {"schema": {**LIMITS, "description": "Theirs"}}
    path = f"/v1/schemas/{schema}"
    if when == "review":
        admin("PUT", path, theirs, {"If-Match": '"1"'})
    person.button("Review version 2").click()
    if when != "review":
        act = "Force it…" if when == "force" else "Save version 2"
        expect(person.button(act)).to_be_enabled()
        admin("PUT", path, theirs, {"If-Match": '"1"'})
        if when != "reload":
            person.button(act).click()
    if when == "reload":
        person.open(f"/p/{project}/schemas/{schema}?review")
        review = person.page.get_by_role("dialog", name="Review schema limits")
        expect(review).to_contain_text("Version 2 came in while you reviewed")
        expect(person.button(re.compile("^Save"))).to_have_count(0)
        person.shot("schema-review-overtaken")
        assert person.axe() == []
        person.button("Merge version 2 first").click()
    if when == "force":
        person.page.get_by_label(re.compile("^Type ")).fill("limits")
        person.button("Save version 2 anyway").click()
    dialog = person.page.get_by_role("dialog", name=re.compile("^Merge version 2"))
    result = dialog.get_by_label("Result of the merge")
    expect(result).to_contain_text('"title": "Mine"')
    expect(result).to_contain_text('"description": "Theirs"')
    if when == "save":
        person.shot("schema-merge")
        assert person.axe() == []
        dialog.get_by_role("button", name="Decide later").click()
        expect(dialog).to_have_count(0)  # the button that closes it speaks of a merge too
        expect(person.page.get_by_text("came in while you edited version 1")).to_be_visible()
        person.shot("schema-overtaken")
        assert person.axe() == []
        person.button("Merge").click()
    dialog.get_by_role("button", name="Go on editing on version 2").click()
    person.button("Review version 3").click()
    if when == "force":
        expect(person.page.get_by_role("dialog")).to_contain_text("would not satisfy it")
        return
    person.button("Save version 3").click()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    assert admin("GET", path)["schema"] == {**mine, "description": "Theirs"}
