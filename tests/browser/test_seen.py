"""What is committed is what was seen: hidden characters, broken texts, what is typed meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.browser.support import Api, Person

Open = Callable[..., Person]
REVERSED = "x\u202ey"
"""Its second half, and the quote behind it, would be shown before the first."""


def test_characters_that_are_not_seen_are_shown_by_their_codes(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "note", {"note": REVERSED})
    person = ana(f"/p/{project}/configs/note")
    expect(person.editor()).to_contain_text(r'"x\u202ey"')
    person.type_document('{"note": "a\u200bb\u202ec"}')
    expect(person.editor()).to_contain_text("aU+200BbU+202Ec")
    person.button("Review version 2").click()
    diff = person.page.get_by_test_id("diff")
    expect(diff).to_contain_text(r'"x\u202ey"')
    expect(diff).to_contain_text(r'"a\u200bb\u202ec"')
    person.shot("hidden-characters")
    person.button("Commit version 2").click()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    assert admin.content(project, "note") == {"note": "a\u200bb\u202ec"}


def test_text_from_right_to_left_does_not_change_places_with_its_name(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "greeting", {"שלום": "مرحبا"})
    person = ana(f"/p/{project}/configs/greeting")
    for place in (person.editor(), person.page.get_by_test_id("diff").first):
        name, value = place.get_by_text("שלום").last, place.get_by_text("مرحبا").last
        expect(name).to_be_visible()
        left, right = name.bounding_box(), value.bounding_box()
        assert left
        assert right
        assert left["x"] + left["width"] <= right["x"] + 1
        if person.page.get_by_role("dialog").count() == 0:
            person.type_document('{"שלום": "مرحبا", "a": 1}')
            person.button("Review version 2").click()


def test_the_form_keeps_what_a_field_cannot_show(admin: Api, project: str, ana: Open) -> None:
    # A text field of a browser drops carriage returns.
    admin.put(project, "lines", {"lines": "one\r\ntwo", "name": "a"})
    person = ana(f"/p/{project}/configs/lines?view=form")
    lines = person.page.get_by_role("textbox", name="lines")
    expect(lines).to_have_value(r'"one\r\ntwo"')
    lines.fill(r'"one\r\ntwo three"')
    name = person.page.get_by_role("textbox", name="name", exact=True)
    name.fill("a\u00a0b")
    expect(name).to_have_accessible_description(re.compile("characters that are not seen"))
    person.button("Review version 2").click()
    person.button("Commit version 2").click()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    assert admin.content(project, "lines") == {"lines": "one\r\ntwo three", "name": "a\u00a0b"}


@pytest.mark.parametrize("kind", ["config", "schema"])
def test_a_text_that_says_more_than_its_document_is_never_sent(
    admin: Api, project: str, ana: Open, kind: str
) -> None:
    # As part of a request's body it would be taken apart: this one would unbind the schema.
    text = '{"type": "object"}, "schema_id": null'
    schema = admin.make_schema(f"bound {project}", {"type": "object"}, project)
    admin.put(project, "limit", {"type": "array"}, schema_id=schema)
    where = "configs/limit" if kind == "config" else f"schemas/{schema}"
    person = ana(f"/p/{project}/{where}")
    person.type_document(text, "" if kind == "config" else f"Schema bound {project}")
    expect(person.button("Review version 2")).to_have_attribute("aria-disabled", "true")
    # Going forward in the browser, or a link, opens a review that the button would not.
    person.walk(f"/p/{project}/{where}?review")
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_contain_text("only one value is allowed")
    expect(dialog.get_by_role("button", name=re.compile("version 2$"))).to_be_disabled()


@pytest.mark.own_browser
def test_what_is_typed_while_a_change_set_is_on_its_way_stays(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 1})
    person = ana(f"/p/{project}/configs/limit")
    person.type_document('{"daily": 2}')
    person.page.get_by_role("link", name="Change set").click()
    commit = person.button("Commit 1 change")
    expect(commit).not_to_have_attribute("aria-disabled", "true")
    held: list[Route] = []
    person.page.route("**/changes", lambda route: held.append(route), times=1)
    commit.click()
    person.page.get_by_role("link", name="limit", exact=True).click()
    person.type_document('{"daily": 3}')
    for route in held:
        route.continue_()
    expect(person.page.get_by_text("1 config is committed")).to_be_visible()
    expect(person.editor()).to_contain_text('{"daily": 3}')
    assert admin.content(project, "limit") == {"daily": 2}


def test_what_was_discarded_comes_back_by_one_click(admin: Api, project: str, ana: Open) -> None:
    admin.put(project, "limit", {"daily": 1})
    person = ana(f"/p/{project}/configs/limit?view=form")
    field = person.page.get_by_role("textbox", name="daily")
    field.fill("2")
    person.button("Discard what I changed").click()
    expect(field).to_have_value("1")
    person.button("Undo").click()
    expect(field).to_have_value("2")
    person.page.get_by_role("link", name="Change set").click()
    person.button("Discard").click()
    expect(person.page.get_by_text("Nothing is waiting")).to_be_visible()
    person.shot("discarded")
    assert person.axe() == []
    person.button("Undo").click()
    expect(person.page.get_by_role("region", name="Edit of limit")).to_be_visible()
    # What was begun since is not written over.
    person.button("Discard").click()
    person.page.get_by_role("link", name="Go to the configs").click()
    person.page.get_by_role("treeitem", name=re.compile("^limit")).click()
    person.type_document('{"daily": 4}')
    person.button("Undo").click()
    expect(person.page.get_by_text("that is kept")).to_be_visible()
    expect(person.editor()).to_contain_text('{"daily": 4}')


def test_to_take_theirs_in_a_merge_can_be_taken_back(admin: Api, project: str, ana: Open) -> None:
    admin.put(project, "limit", {"daily": 1})
    person = ana(f"/p/{project}/configs/limit")
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    person.type_document('{"daily": 7}')
    admin.put(project, "limit", {"daily": 2}, 1)
    person.button("Merge").click()
    person.button("Take theirs, drop mine").click()
    expect(person.editor()).to_contain_text('"daily": 2')
    person.button("Undo").click()
    expect(person.editor()).to_contain_text('"daily": 7')
    expect(person.page.get_by_text("while you edited version 1")).to_be_visible()


def test_a_merge_asks_for_every_side_and_keeps_what_was_edited_then(
    admin: Api, project: str, ana: Open
) -> None:
    # An edit of the result once passed for all sides, and a side chosen later dropped the edit.
    admin.put(project, "limit", {"a": 1, "b": 1})
    person = ana(f"/p/{project}/configs/limit")
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    person.type_document('{"a": 2, "b": 2}')
    admin.put(project, "limit", {"a": 3, "b": 3}, 1)
    person.button("Merge").click()
    dialog = person.page.get_by_role("dialog")
    result = dialog.get_by_label("Result of the merge")
    go_on = dialog.get_by_role("button", name="Go on editing on version 2")
    expect(result).to_have_attribute("aria-readonly", "true")
    expect(go_on).to_have_accessible_description(re.compile("2 conflicts"))
    for name in ("/a", "/b"):
        expect(go_on).to_have_attribute("aria-disabled", "true")
        side = dialog.get_by_role("radiogroup", name=f"Which side for {name}")
        side.get_by_text("Theirs" if name == "/a" else "Mine").click()
    expect(result).to_contain_text('"a": 3')
    person.type_document('{"a": 3, "b": 5}', "Result of the merge")
    sides = dialog.get_by_role("radio", name="Mine")
    expect(sides.first).to_be_disabled()
    dialog.get_by_role("button", name="Undo my edit of the result").click()
    expect(result).to_contain_text('"b": 2')
    person.type_document('{"a": 3, "b": 6}', "Result of the merge")
    go_on.click()
    expect(person.editor()).to_contain_text('{"a": 3, "b": 6}')


def test_an_empty_project_says_what_to_do_first_on_a_phone(project: str, ana: Open) -> None:
    person = ana(f"/p/{project}/configs", viewport={"width": 390, "height": 800})
    person.button("Make the first config").click()
    key = person.page.get_by_role("textbox", name="Key", exact=True)
    expect(key).to_be_focused()
    key.fill("web")
    person.button("Write its content").click()
    person.button("Review the new config").click()
    # Nothing was there before, yet the difference began with an empty line that is taken away.
    diff = person.page.get_by_test_id("diff")
    expect(diff).to_contain_text("{")
    expect(diff.locator(".cm-deletedChunk")).to_be_hidden()


def test_a_name_that_is_there_twice_is_dropped_by_nothing(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 1})
    person = ana(f"/p/{project}/configs/limit")
    twice = '{"daily": 2, "daily": 3}'
    person.type_document(twice)
    expect(person.page.get_by_role("list", name="Problems")).to_contain_text("twice")
    person.button("Format").click()
    expect(person.editor()).to_have_text(twice)
    person.page.get_by_text("Form", exact=True).click()
    expect(person.page.get_by_text("has a name twice")).to_be_visible()
    expect(person.page.get_by_role("textbox", name="daily")).to_have_count(0)


@pytest.mark.parametrize("dialog", ["review", "merge"])
def test_an_address_of_a_dialog_opens_none_when_typing_begins(
    admin: Api, project: str, ana: Open, dialog: str
) -> None:
    # Two tabs share a draft: when one commits it, the other one's review has nothing to show.
    admin.put(project, "limit", {"daily": 1})
    person = ana(f"/p/{project}/configs/limit?{dialog}")
    expect(person.page).to_have_url(re.compile("limit$"))
    person.type_document('{"daily": 2}')
    expect(person.button("Review version 2")).not_to_have_attribute("aria-disabled", "true")
    expect(person.page.get_by_role("dialog")).to_have_count(0)


def test_the_keys_of_the_review_say_why_there_is_none(admin: Api, project: str, ana: Open) -> None:
    admin.put(project, "limit", {"daily": 1})
    person = ana(f"/p/{project}/configs/limit")
    expect(person.editor()).to_be_visible()
    person.page.keyboard.press("ControlOrMeta+s")
    expect(person.page.get_by_role("alert")).to_have_text("Nothing has changed")


def test_a_viewer_can_read_every_field_and_is_led_into_no_dead_end(
    admin: Api, project: str, someone: Callable[..., Person]
) -> None:
    admin.make_user(f"viewer-{project}@example.org", "a password that is long")
    users = admin("GET", "/v1/users?limit=500")["items"]
    user = next(each["id"] for each in users if each["email"].startswith(f"viewer-{project}"))
    admin("PUT", f"/v1/projects/{project}/roles/{user}", {"role_level": "viewer"})
    choices = {"currency": {"enum": ["EUR", "USD"]}, "on": {"type": "boolean"}}
    schema = admin.make_schema("c", {"properties": choices, "required": ["on"]}, project)
    admin.put(project, "limit", {"currency": "EUR", "on": True}, schema_id=schema)
    admin.put(project, "limit", {"currency": "USD", "on": True, "note": "x"}, 1)
    shared = admin.make_schema(f"shared {project}", {})
    person = someone()
    person.sign_in(
        f"/p/{project}/configs/limit?view=form",
        f"viewer-{project}@example.org",
        "a password that is long",
    )
    form = person.page.get_by_role("group", name="The document as a form")
    for name, value in (("currency", "USD"), ("on", "true"), ("note", "x")):
        field = form.get_by_role("textbox", name=name)
        expect(field).to_have_value(value)
        expect(field).to_be_enabled()
        expect(field).not_to_be_editable()
    expect(form.get_by_role("button")).to_have_count(0)
    person.shot("viewer-form")
    assert person.axe() == []
    person.walk(f"/p/{project}/configs?new=web")
    expect(person.page.get_by_text("No config is open")).to_be_visible()
    expect(person.page.get_by_role("textbox", name="Key", exact=True)).to_have_count(0)
    person.walk(f"/p/{project}/access")
    expect(person.page.get_by_text("Only admins and the owner see the other")).to_be_visible()
    for id_, reason in (
        (schema, "An editor of the project can"),
        (shared, "Only its creator or a"),
    ):
        person.walk(f"/p/{project}/schemas/{id_}")
        expect(person.page.get_by_text(reason).first).to_be_visible()
        expect(person.button("Delete schema…")).to_have_count(0)
    # Nothing is rolled back by who may only read.
    person.walk(f"/p/{project}/configs/limit?side=history&version=1")
    expect(person.page.get_by_text("Version 1; live is version 2.")).to_be_visible()
    expect(person.button("View version 1")).to_be_visible()
    expect(person.button(re.compile("Roll back"))).to_have_count(0)
    person.button("Compare with live").click()
    expect(person.page.get_by_test_id("diff")).to_contain_text("EUR")
    expect(person.button(re.compile("Roll back"))).to_have_count(0)
    at = admin("GET", f"/v1/projects/{project}/configs/limit")["position"]
    person.walk(f"/p/{project}/history?at={at}")
    expect(person.page.get_by_role("link", name="Look at its configs")).to_be_visible()
    expect(person.button(re.compile("^Roll"))).to_have_count(0)


def test_a_name_that_cannot_be_typed_is_confirmed_by_its_codes(admin: Api, ana: Open) -> None:
    project = admin.make_project("Shop\u202e  of\u200bana")
    person = ana(f"/p/{project}/settings")
    person.expected_statuses.add(404)
    person.button("Delete project…").click()
    dialog = person.page.get_by_role("dialog")
    asked = dialog.get_by_label(re.compile("^Type "))
    expect(dialog.locator("label code")).to_have_text(r"Shop\u202e  of\u200bana")
    asked.fill(r"Shop\u202e  of\u200bana")
    dialog.get_by_role("button", name="Delete this project").click()
    expect(person.page).to_have_url(re.compile("/projects$"))


@pytest.mark.parametrize("kind", ["config", "schema"])
def test_a_merge_that_is_put_off_is_there_again(
    admin: Api, project: str, ana: Open, kind: str
) -> None:
    # "Decide later", and a reload, once dropped the sides that were chosen and the edited result.
    schema = admin.make_schema(f"merged {project}", {"title": "a", "description": "a"}, project)
    admin.put(project, "limit", {"title": "a", "description": "a"})

    def commit(text: str, version: int) -> None:
        content = {"title": text, "description": text}
        if kind == "config":
            admin.put(project, "limit", content, version)
        else:
            condition = {"If-Match": f'"{version}"'}
            admin("PUT", f"/v1/schemas/{schema}", {"schema": content}, condition)

    where = "configs/limit" if kind == "config" else f"schemas/{schema}"
    label = re.compile("^Content of" if kind == "config" else "^Schema merged")
    person = ana(f"/p/{project}/{where}")
    expect(person.editor(label)).to_be_visible()
    if kind == "config":
        expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    person.type_document('{"title": "mine", "description": "mine"}', label)
    commit("theirs", 1)
    if kind == "schema":
        person.page.reload()
    person.button("Merge").click()
    dialog = person.page.get_by_role("dialog")
    for name in ("/title", "/description"):
        side = dialog.get_by_role("radiogroup", name=f"Which side for {name}")
        side.get_by_text("Theirs" if name == "/title" else "Mine").click()
    edited = '{"title": "both", "description": "mine"}'
    person.type_document(edited, "Result of the merge")
    dialog.get_by_role("button", name="Decide later").click()
    expect(dialog).to_have_count(0)
    again = person.button(re.compile("^(Merge|Go on with the merge)$"))
    # A version that comes in meanwhile waits for its turn.
    commit("newer", 2)
    person.page.reload()
    again.click()
    result = dialog.get_by_label("Result of the merge")
    expect(result).to_contain_text(edited)
    expect(dialog.get_by_role("radio", name="Theirs", checked=True)).to_have_count(1)
    expect(dialog).to_contain_text("Version 3 came in meanwhile")
    person.shot(f"merge-again-{kind}")
    assert person.axe() == []
    dialog.get_by_role("button", name="Close the merge").click()
    # What is typed into the edit itself after that is in no result: which one counts is asked.
    person.type_document('{"title": "mine", "description": "since"}', label)
    again.click()
    go_on = dialog.get_by_role("button", name="Go on editing on version 2")
    expect(go_on).to_have_accessible_description(re.compile("what becomes of the result"))
    expect(result).to_contain_text(edited)
    dialog.get_by_role("button", name="Keep the result as I edited it").click()
    go_on.click()
    expect(dialog).to_have_count(0)
    expect(person.editor(label)).to_contain_text(edited)
    again.click()
    expect(dialog.get_by_role("heading", name=re.compile("Merge version 3"))).to_be_visible()
    assert dialog.get_by_role("radio", checked=True).count() == 0
