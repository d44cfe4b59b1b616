"""The form: what it cannot take is never committed as something else, and problems lead to it."""

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
        "mode": {"enum": [{"name": "slow"}, {"name": "fast"}, {"name": "fast"}]},
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
    content = {"limits": {"200": 1, "404": 2, **many}, "mode": {"name": "fast"}, "on": True}
    admin.put(project, "limits", content, schema_id=schema)
    return project


@pytest.mark.parametrize(
    ("field", "why"), [("daily", "A number is needed"), ("other", "Not JSON yet")]
)
def test_a_field_that_was_emptied_is_not_committed_with_its_old_value(
    admin: Api, project: str, ana: Open, field: str, why: str
) -> None:
    # The document goes on to hold what was there before, so something must hold the commit back.
    content = {"daily": 5000, "name": "old", "other": None}
    admin.put(project, "limit", content)
    person = ana(f"/p/{project}/configs/limit?view=form")
    form = _form(person)
    review = person.button("Review version 2")
    form.get_by_role("textbox", name="name", exact=True).fill("new")
    expect(review).not_to_have_attribute("aria-disabled", "true")
    emptied = form.get_by_role("textbox", name=field, exact=True)
    for wrong in ("01", ""):
        emptied.fill(wrong)
        expect(emptied).to_have_accessible_description(re.compile(why))
    expect(review).to_have_attribute("aria-disabled", "true")
    expect(review).to_have_accessible_description(re.compile(f"/{field}: {why}"))
    person.page.keyboard.press("ControlOrMeta+s")
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    person.shot(f"form-emptied-{field}")
    assert person.axe() == []
    form.get_by_role("textbox", name="name", exact=True).focus()
    _problems(person).get_by_role("button").click()
    expect(emptied).to_be_focused()
    # What JavaScript's numbers would change.
    emptied.fill("9007199254740993")
    expect(_problems(person)).to_have_count(0)
    review.click()
    person.button("Commit version 2").click()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    assert admin.content(project, "limit") == {
        **content,
        "name": "new",
        field: 9_007_199_254_740_993,
    }


def test_a_field_that_was_emptied_is_forgotten_with_the_form_or_by_discarding(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 5000, "name": "old"})
    person = ana(f"/p/{project}/configs/limit?view=form")
    form = _form(person)
    review = person.button("Review version 2")
    daily = form.get_by_role("textbox", name="daily")
    daily.fill("")
    expect(review).to_have_accessible_description(re.compile("A number is needed"))
    person.button("Discard what I changed").click()
    expect(daily).to_have_value("5000")
    expect(review).to_have_accessible_description("Nothing has changed")
    form.get_by_role("textbox", name="name", exact=True).fill("new")
    daily.fill("")
    expect(review).to_have_attribute("aria-disabled", "true")
    # The text shows what would be committed.
    person.page.get_by_text("JSON", exact=True).click()
    expect(person.editor()).to_contain_text('"daily": 5000')
    expect(review).not_to_have_attribute("aria-disabled", "true")


def test_a_problem_under_a_number_as_a_name_stands_at_its_line(limits: str, ana: Open) -> None:
    person = ana(f"/p/{limits}/configs/limits")
    person.type_document('{\n  "limits": {\n    "200": 1,\n    "404": -1\n  }\n}')
    expect(_problems(person)).to_contain_text("/limits/404")
    expect(_problems(person)).to_contain_text("line 4")


def test_a_problem_leads_to_its_field_in_the_form(limits: str, ana: Open) -> None:
    person = ana(f"/p/{limits}/configs/limits?view=form")
    field = _form(person).get_by_role("textbox", name="404")
    field.fill("-1")
    problem = _problems(person).get_by_role("button", name="/limits/404")
    expect(problem).to_be_visible()
    # As far away as it goes: the field must come into view, too.
    person.page.locator(".doc-body").evaluate("body => body.scrollTo(0, body.scrollHeight)")
    expect(field).not_to_be_in_viewport()
    problem.click()
    expect(field).to_be_focused()
    expect(field).to_be_in_viewport()
    expect(person.page).to_have_url(re.compile("view=form"))
    person.shot("form-jump")


def test_a_problem_of_an_object_leads_to_it_in_the_form(
    admin: Api, project: str, ana: Open
) -> None:
    inner = {"type": "object", "minProperties": 1}
    schema = admin.make_schema("inner", {"type": "object", "properties": {"a": inner}}, project)
    admin.put(project, "limit", {"a": {"b": "c"}}, schema_id=schema)
    person = ana(f"/p/{project}/configs/limit?view=form")
    person.button("Remove b").click()
    problem = _problems(person).get_by_role("button", name="/a: ")
    problem.click()
    expect(_form(person).get_by_role("group", name="a")).to_be_focused()
    expect(person.page).to_have_url(re.compile("view=form"))


def test_a_problem_without_a_field_in_the_form_leads_to_the_text(limits: str, ana: Open) -> None:
    # A value of a list of choices is one field; what is wrong inside it has none.
    person = ana(f"/p/{limits}/configs/limits?view=form")
    person.page.get_by_text("JSON", exact=True).click()
    person.type_document('{\n  "mode": {\n    "name": "\\u0000"\n  }\n}')
    expect(_problems(person)).to_contain_text("line 3")
    person.page.get_by_text("Form", exact=True).click()
    expect(_form(person)).to_be_visible()
    _problems(person).get_by_role("button").click()
    expect(person.editor()).to_be_focused()
    expect(person.page.locator(".cm-activeLine")).to_contain_text('"name"')
    expect(person.page).not_to_have_url(re.compile("view=form"))


def test_fields_stand_in_the_documents_order_and_an_edit_keeps_it(
    admin: Api, project: str, ana: Open
) -> None:
    names = {name: {"type": "integer"} for name in ("a", "b", "c", "d")}
    admin.make_schema(
        "order", {"type": "object", "properties": names, "required": ["d", "a"]}, project
    )
    admin.put(project, "order", {"c": 3, "x": 9, "10": 1, "b": 2})
    person = ana(f"/p/{project}/configs/order")
    # What the schema asks for and the document lacks stands where it will be put: at the end.
    person.page.get_by_role("combobox", name="Schema").click()
    person.page.get_by_role("option", name="order v1").click()
    person.page.get_by_text("Form", exact=True).click()
    form = _form(person)
    labels = form.locator("label")
    expect(labels).to_have_text(["c", "x", "10", "b", "a *", "d *"])
    for name, value in (("d", "4"), ("a", "1"), ("b", "7")):
        field = form.get_by_role("textbox", name=re.compile(f"^{name}"))
        field.press_sequentially(value)
        expect(field).to_be_focused()
    expect(labels).to_have_text(["c", "x", "10", "b", "d *", "a *"])
    person.button("Review version 2").click()
    person.button("Commit version 2").click()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    committed = admin.content(project, "order")
    assert list(committed.items()) == [
        ("c", 3), ("x", 9), ("10", 1), ("b", 72), ("d", 4), ("a", 1)
    ]  # fmt: skip


def test_a_group_that_was_removed_comes_back_to_its_place(
    admin: Api, project: str, ana: Open
) -> None:
    content = {"a": 1, "limits": {"eu": {"daily": 1}, "us": {}}, "z": 1}
    admin.put(project, "limit", content)
    person = ana(f"/p/{project}/configs/limit?view=form")
    group = _form(person).get_by_role("group", name="limits")
    # At its name: below its fields it would look like a part of the last one.
    remove = group.get_by_role("button", name="Remove limits")
    place, first = remove.bounding_box(), group.get_by_role("textbox").first.bounding_box()
    assert place
    assert first
    assert place["y"] < first["y"]
    remove.click()
    expect(group).to_have_count(0)
    person.shot("form-removed")
    assert person.axe() == []
    expect(person.button("Undo")).to_be_focused()
    person.page.keyboard.press("Enter")
    expect(group).to_be_visible()
    expect(_form(person)).to_be_focused()
    expect(person.page.get_by_text("Nothing changed")).to_be_visible()
    # With another change the undo would take that one back, too: it is not offered any more.
    remove.click()
    _form(person).get_by_role("textbox", name="z", exact=True).fill("2")
    expect(person.button("Undo")).to_have_count(0)


def test_a_new_field_is_of_the_kind_that_is_chosen_and_text_does_not_pass_for_a_number(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"a": "5000"})
    person = ana(f"/p/{project}/configs/limit?view=form")
    form = _form(person)
    expect(form.get_by_role("textbox", name="a", exact=True)).to_have_accessible_description(
        'This is text, in quotes: "5000"'
    )
    for name, kind in (("n", "Number"), ("b", "Yes or no"), ("g", "Group"), ("l", "List")):
        form.get_by_label("Kind of the new field").last.click()
        person.page.get_by_role("option", name=kind).click()
        form.get_by_label("Name of a new field").last.fill(name)
        form.get_by_role("button", name="Add field").last.click()
        expect(form.locator(f'[data-pointer="/{name}"]')).to_be_visible()
    form.get_by_role("textbox", name="n", exact=True).fill("5000")
    # What is there already is not begun anew.
    form.get_by_label("Name of a new field").last.fill("a")
    expect(form.get_by_role("button", name="Add field").last).to_be_disabled()
    person.shot("form-kinds")
    assert person.axe() == []
    person.button("Review version 2").click()
    person.button("Commit version 2").click()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    expected = {"a": "5000", "n": 5000, "b": False, "g": {}, "l": []}
    assert admin.content(project, "limit") == expected
