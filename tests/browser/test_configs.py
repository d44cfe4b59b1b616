"""Find a config, edit it, review it, commit it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

from playwright.sync_api import expect

from app.services import SERVICES
from tests.browser.running import RunningService
from tests.browser.support import Api, Person

Open = Callable[..., Person]


def test_the_tree_filters_at_once_and_the_search_finds_content(
    admin: Api, project: str, ana: Open
) -> None:
    for key in ("payments.limits.eu", "payments.limits.us", "web.theme"):
        admin.put(project, key, {"where": key, "needle": key == "web.theme" and "haystack-42"})
    person = ana(f"/p/{project}/configs")
    tree = person.page.get_by_role("tree")
    expect(tree.get_by_role("treeitem", name=re.compile("^eu"))).to_be_visible()
    person.page.get_by_label("Filter keys").fill("limits.us")
    expect(tree.get_by_role("treeitem", name=re.compile("^us"))).to_be_visible()
    expect(tree.get_by_role("treeitem", name=re.compile("^eu"))).to_have_count(0)
    expect(person.page).to_have_url(re.compile(r"q=limits\.us$"))
    person.button("Clear the filter").click()
    person.page.keyboard.press("Escape")
    person.page.get_by_label("Search keys and content").fill("haystack-42")
    person.page.get_by_role("option", name=re.compile("web.theme")).click()
    expect(person.page).to_have_url(re.compile(r"/configs/web\.theme$"))
    expect(person.editor()).to_contain_text("haystack-42")


def test_the_search_finds_a_line_as_the_editor_shows_it(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "a", {"min": 1, "max": 500})
    admin.put(project, "b", {"min": 1, "max": 501})
    person = ana(f"/p/{project}/configs")
    search = person.page.get_by_label("Search keys and content")
    for words in ('"max": 500', '"max":500', '"min": 1, "max": 500'):
        search.fill(words)
        expect(person.page.get_by_role("option")).to_have_count(1)
        expect(person.page.get_by_role("option")).to_contain_text("500")
        expect(person.page.get_by_role("option").locator("mark")).to_have_text(words)


def test_review_shows_the_difference_before_anything_is_committed(
    admin: Api, project: str, ana: Open
) -> None:
    big = 9_007_199_254_740_993
    admin.put(project, "limit", {"daily": 5000, "big": big, "exact": 1.0})
    person = ana(f"/p/{project}/configs/limit")
    expect(person.button("Review version 2")).to_have_attribute("aria-disabled", "true")
    person.type_document('{\n  "daily": 6000,\n  "big": 9007199254740993,\n  "exact": 1.0\n}')
    person.button("Review version 2").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog.get_by_test_id("diff")).to_contain_text("6000")
    expect(dialog).to_contain_text("The service would accept this")
    assert admin.content(project, "limit")["daily"] == 5000
    dialog.get_by_label("Comment").fill("because of Black Friday")
    person.shot("review")
    assert person.axe() == []
    # The keys of the view behind it do nothing there.
    dialog.get_by_role("button", name="Go on editing").focus()
    for key in "hn":
        person.page.keyboard.press(key)
    dialog.get_by_role("button", name="Commit version 2").click()
    expect(dialog).to_have_count(0)
    expect(person.page.get_by_text("version 2", exact=True)).to_be_visible()
    expect(person.page).to_have_url(re.compile(r"/limit$"))
    assert admin.content(project, "limit") == {"daily": 6000, "big": big, "exact": 1.0}
    [newest, _] = admin("GET", f"/v1/projects/{project}/configs/limit/revisions")["items"]
    assert newest["comment"] == "because of Black Friday"


def test_a_new_config_is_stored_only_when_it_was_reviewed(
    admin: Api, project: str, ana: Open
) -> None:
    admin.make_schema("limits", {"type": "object"}, project)
    person = ana(f"/p/{project}/configs")
    person.shot("configs-empty")
    person.button("Make the first config").click()
    person.page.get_by_role("textbox", name="Key", exact=True).fill("not a key")
    person.button("Write its content").click()
    expect(person.page.get_by_text("Letters, digits")).to_be_visible()
    person.page.get_by_role("textbox", name="Key", exact=True).fill("flags.basket")
    person.page.get_by_role("combobox", name="Schema").click()
    person.page.get_by_role("option", name=re.compile("limits")).click()
    person.button("Write its content").click()
    # Who named it goes on with its content, between the braces that are there.
    expect(person.editor()).to_be_focused()
    person.page.keyboard.insert_text('"new": true')
    person.button("Review the new config").click()
    expect(person.page.get_by_text("checked against limits")).to_be_visible()
    expect(person.page.get_by_text("the schema binding changes")).to_have_count(0)
    person.button("Commit version 1").click()
    expect(person.page.get_by_role("treeitem", name=re.compile("^basket"))).to_contain_text("v1")
    assert admin.content(project, "flags.basket") == {"new": True}


def test_what_is_wrong_stands_at_its_place_and_the_button_says_why(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 5000})
    person = ana(f"/p/{project}/configs/limit")
    person.type_document('{\n  "daily": 5000,\n  "daily": 1\n}')
    problems = person.page.get_by_role("list", name="Problems")
    expect(problems).to_contain_text('The name "daily" is here twice')
    expect(person.button("Review version 2")).to_have_attribute("aria-disabled", "true")
    expect(person.button("Review version 2")).to_have_accessible_description(re.compile("twice"))
    person.shot("editor-problem")
    assert person.axe() == []
    problems.get_by_role("button").click()
    expect(person.editor()).to_be_focused()


def test_the_page_knows_how_large_a_content_may_be(
    running: RunningService, admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", 1)
    services = running.service.app[SERVICES]
    usual = services.settings
    services.settings = replace(usual, max_content_bytes=2_000)
    try:
        person = ana(f"/p/{project}/configs/limit")
    finally:
        services.settings = usual
    person.type_document(json.dumps("x" * 2_000))
    problems = person.page.get_by_role("list", name="Problems")
    expect(problems).to_contain_text("2,002 bytes; the service takes 2,000 bytes at most")
    person.type_document(json.dumps("x" * 1_998))
    expect(problems).to_have_count(0)


def test_a_document_is_formatted_without_changing_what_it_says(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 5000})
    person = ana(f"/p/{project}/configs/limit")
    person.type_document('{"daily":9007199254740993,"exact":1.0}')
    person.page.keyboard.press("Shift+Alt+KeyF")
    expect(person.editor().locator(".cm-line")).to_have_count(4)
    expect(person.editor()).to_contain_text('"daily": 9007199254740993')
    person.type_document('{"daily":   5000}')
    person.button("Format").click()
    # Only white space was different: there is nothing left to commit.
    expect(person.page.get_by_text("Nothing changed")).to_be_visible()


def test_what_was_typed_survives_a_reload(admin: Api, project: str, ana: Open) -> None:
    admin.put(project, "limit", {"daily": 5000})
    person = ana(f"/p/{project}/configs/limit")
    person.type_document('{"daily": 7777}')
    expect(person.button("Review version 2")).not_to_have_attribute("aria-disabled", "true")
    person.page.reload()
    expect(person.editor()).to_contain_text("7777")
    person.button("Discard what I changed").click()
    expect(person.editor()).to_contain_text("5000")


def test_a_viewer_reads_and_is_told_why_nothing_more(
    admin: Api, project: str, someone: Open
) -> None:
    admin.put(project, "limit", {"daily": 5000})
    email, password = f"viewer-{project}@example.org", "a viewer's long password"
    user = admin.make_user(email, password)
    admin("PUT", f"/v1/projects/{project}/roles/{user}", {"role_level": "viewer"})
    person = someone()
    person.sign_in(f"/p/{project}/configs/limit", email, password)
    expect(person.page.get_by_text("You are a viewer of this project")).to_be_visible()
    expect(person.button(re.compile("^Review"))).to_have_count(0)
    person.editor().click()
    for keys in ("ArrowRight", "ControlOrMeta+a"):
        person.page.keyboard.press(keys)
        person.page.keyboard.type("x")
        expect(person.editor()).not_to_contain_text("x")
    expect(person.editor()).to_contain_text("5000")
    person.shot("viewer")


def test_form_and_text_are_two_views_of_one_document(admin: Api, project: str, ana: Open) -> None:
    text = {"daily": 5000, "big": 9_007_199_254_740_993, "deep": {"list": [1, {"a": None}]}}
    admin.put(project, "limit", text)
    person = ana(f"/p/{project}/configs/limit?view=form")
    form = person.page.get_by_role("group", name="The document as a form")
    form.get_by_role("textbox", name="daily").fill("6500")
    person.shot("form")
    assert person.axe() == []
    person.page.get_by_text("JSON", exact=True).click()
    expect(person.editor()).to_contain_text("9007199254740993")
    expect(person.editor()).to_contain_text("6500")
    person.button("Review version 2").click()
    person.button("Commit version 2").click()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    assert admin.content(project, "limit") == {**text, "daily": 6500}


def test_a_deleted_config_says_so_and_can_come_back(admin: Api, project: str, ana: Open) -> None:
    admin.put(project, "limit", {"daily": 5000})
    person = ana(f"/p/{project}/configs/limit")
    person.button("Delete…").click()
    person.button("Review deletion as version 2").click()
    person.expected_statuses.add(404)
    person.button("Delete as version 2").click()
    expect(person.page.get_by_text("This config was deleted as version 2")).to_be_visible()
    person.button("Bring back version 1").click()
    person.button("Roll back as version 3").click()
    expect(person.editor()).to_contain_text("5000")
    assert json.dumps(admin.content(project, "limit")) == '{"daily": 5000}'


def test_a_mark_to_delete_keeps_what_was_typed(admin: Api, project: str, ana: Open) -> None:
    admin.put(project, "limit", {"daily": 5000})
    person = ana(f"/p/{project}/configs/limit")
    person.type_document('{"daily": 4242}')
    person.button("Delete…").click()
    expect(person.page.get_by_text("is marked to be deleted")).to_be_visible()
    person.button("Undo the mark").click()
    expect(person.editor()).to_contain_text("4242")
    # A mark on what was not changed leaves nothing behind.
    person.button("Discard what I changed").click()
    person.button("Delete…").click()
    person.button("Undo the mark").click()
    expect(person.editor()).to_contain_text("5000")
    expect(person.button("Discard what I changed")).to_have_count(0)


def test_a_new_config_that_was_begun_is_gone_on_with(project: str, ana: Open) -> None:
    person = ana(f"/p/{project}/configs?new=fresh.key")
    key = person.page.get_by_role("textbox", name="Key", exact=True)
    key.press("Enter")
    person.type_document('{"a": 1}')
    person.open(f"/p/{project}/configs?new=fresh.key")
    key.press("Enter")
    expect(person.editor()).to_contain_text('"a"')


def test_a_version_of_a_deleted_config_is_not_called_live(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 1})
    path = f"/v1/projects/{project}/configs/limit"
    admin("DELETE", path, headers={"If-Match": '"1"'})
    person = ana(f"/p/{project}/configs/limit?version=1&side=history")
    person.expected_statuses.add(404)
    expect(person.page.get_by_text("the config is deleted now")).to_be_visible()
    expect(person.page.get_by_text("which is live")).to_have_count(0)
