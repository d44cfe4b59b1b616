"""Who changed what when, any two versions, any moment, and the way back."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.browser.support import Api, Person

Open = Callable[..., Person]


def _limits(admin: Api, project: str, versions: int = 4) -> None:
    for version in range(versions):
        comment = f"step {version + 1}"
        admin.put(project, "limit", {"daily": 1000 * (version + 1)}, version, comment=comment)


def test_the_timeline_tells_who_when_and_why_and_compares_any_two(
    admin: Api, project: str, ana: Open
) -> None:
    _limits(admin, project, 10)
    person = ana(f"/p/{project}/configs/limit")
    person.page.get_by_role("button", name="History", exact=True).click()
    timeline = person.page.get_by_role("complementary", name="History of this config")
    expect(timeline.get_by_role("listitem")).to_have_count(10)
    expect(timeline).to_contain_text("step 2")
    expect(timeline).to_contain_text(admin.email)
    expect(timeline.locator("time").first).to_have_attribute("title", re.compile("UTC"))
    timeline.get_by_label("Choose version 10 to compare").check()
    timeline.get_by_label("Choose version 9 to compare").check()
    timeline.get_by_role("button", name="Compare 9 and 10").click()
    expect(person.page).to_have_url(re.compile(r"diff=9\.\.10"))
    expect(person.page.get_by_test_id("diff")).to_contain_text("9000")
    expect(person.page.get_by_test_id("diff")).to_contain_text("10000")
    person.shot("history-diff")
    assert person.axe() == []
    person.page.go_back()
    expect(person.editor()).to_contain_text("10000")
    timeline.get_by_role("button", name="View version 10").click()
    expect(person.page.get_by_text("Version 10, which is live.")).to_be_visible()
    expect(person.button(re.compile("^Roll back to version"))).to_have_count(0)


def test_the_author_of_a_change_by_a_key_is_the_key(admin: Api, project: str, ana: Open) -> None:
    made = admin("POST", f"/v1/projects/{project}/keys", {"name": "ci", "role_level": "editor"})
    path = f"/v1/projects/{project}/configs/limit"
    credentials = {"X-API-Key": made["api_key"], "Content-Type": "application/json"}
    request = urllib.request.Request(
        admin.url + path, b'{"content":1,"version":0}', credentials, method="PUT"
    )
    urllib.request.urlopen(request).close()
    person = ana(f"/p/{project}/configs/limit")
    person.page.get_by_role("button", name="History", exact=True).click()
    timeline = person.page.get_by_role("complementary", name="History of this config")
    expect(timeline.get_by_role("listitem")).to_contain_text("API key ci")


def test_a_deleted_config_comes_back_as_the_dialog_showed_it(
    admin: Api, project: str, ana: Open
) -> None:
    # Its schema goes while somebody looks at the roll back that would bind it again.
    body = {"name": "numbers", "schema": {}, "project_id": project}
    schema = admin("POST", "/v1/schemas", body)["id"]
    admin.put(project, "limit", 1, schema_id=schema)
    admin("DELETE", f"/v1/projects/{project}/configs/limit", headers={"If-Match": '"1"'})
    person = ana(f"/p/{project}/configs/limit?rollback=1")
    person.expected_statuses.add(409)
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_contain_text("the service would accept it")
    admin("DELETE", f"/v1/schemas/{schema}")
    dialog.get_by_role("button", name="Roll back as version 3").click()
    expect(dialog).to_contain_text("which was deleted since; nothing was changed")
    expect(dialog).to_contain_text("the service would accept it")
    dialog.get_by_role("button", name="Roll back as version 3").click()
    expect(person.page.get_by_text("version 3", exact=True)).to_be_visible()
    assert admin.content(project, "limit") == 1


def test_a_roll_back_is_shown_and_checked_before_it_is_made(
    admin: Api, project: str, ana: Open
) -> None:
    _limits(admin, project)
    person = ana(f"/p/{project}/configs/limit?version=2")
    expect(person.page.get_by_text("Nothing can be changed here")).to_be_visible()
    person.button("Roll back to version 2…").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog.get_by_test_id("diff")).to_contain_text("2000")
    expect(dialog).to_contain_text("the service would accept it")
    person.shot("rollback")
    assert person.axe() == []
    dialog.get_by_role("button", name="Roll back as version 5").click()
    expect(person.page.get_by_text("version 5", exact=True)).to_be_visible()
    assert admin.content(project, "limit") == {"daily": 2000}


def test_the_audit_feed_has_filters_and_the_chain_its_state(
    admin: Api, project: str, ana: Open
) -> None:
    _limits(admin, project, 2)
    admin.put(project, "web.theme", {"dark": True}, comment="night")
    person = ana(f"/p/{project}/history")
    feed = person.page.get_by_role("region", name="Audit feed")
    expect(feed.get_by_role("listitem")).to_have_count(3)
    expect(feed.get_by_role("listitem").first).to_contain_text("web.theme")
    chain = person.page.get_by_role("region", name="Hash chain")
    expect(chain).to_contain_text("intact")
    expect(chain).to_contain_text("3 revisions")
    person.shot("project-history")
    assert person.axe() == []
    feed.get_by_label("Only this key").fill("limit")
    feed.get_by_label("Only this key").press("Enter")
    expect(feed.get_by_role("listitem")).to_have_count(2)
    assert "key=limit" in person.page.url


def test_the_audit_feed_of_one_person(admin: Api, project: str, ana: Open) -> None:
    _limits(admin, project, 2)
    email = f"{project}@example.org"
    user = admin.make_user(email, "a password that is long")
    admin("PUT", f"/v1/projects/{project}/roles/{user}", {"role_level": "editor"})
    admin.as_user(email, "a password that is long").put(project, "web.theme", {"dark": True})
    person = ana(f"/p/{project}/history")
    feed = person.page.get_by_role("region", name="Audit feed")
    rows = feed.get_by_role("listitem")
    expect(rows).to_have_count(3)
    feed.get_by_role("combobox", name="Changed by").click()
    person.page.get_by_role("option", name=email).click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("web.theme")
    assert f"user={user}" in person.page.url
    feed.get_by_role("combobox", name="Changed by").click()
    person.page.get_by_role("option", name="By anybody").click()
    expect(rows).to_have_count(3)


def test_any_moment_is_read_only_with_a_way_back(admin: Api, project: str, ana: Open) -> None:
    _limits(admin, project)
    person = ana(f"/p/{project}/history")
    person.button("The change before").click()
    expect(person.page.get_by_role("status").get_by_text("1 config then")).to_be_visible()
    person.page.get_by_role("link", name="Look at its configs as they were").click()
    expect(person.page.get_by_text("Nothing can be changed here")).to_be_visible()
    person.page.get_by_role("treeitem", name=re.compile("^limit")).click()
    expect(person.editor(re.compile("^limit, version"))).to_contain_text("3000")
    expect(person.button(re.compile("^Review"))).to_have_count(0)
    person.shot("past")
    assert person.axe() == []
    person.button("Back to now").click()
    expect(person.editor()).to_contain_text("4000")


def test_a_whole_project_goes_back_only_after_its_name_is_typed(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "a", 1)
    admin.put(project, "b", 1)
    moment = admin("GET", f"/v1/projects/{project}/configs/b")["position"]
    admin.put(project, "a", 2, 1)
    admin.put(project, "c", 3)
    name = admin("GET", f"/v1/projects/{project}")["name"]
    person = ana(f"/p/{project}/history?at={moment}")
    person.button("Roll the project back to this moment…").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog.get_by_role("list", name="What would change")).to_contain_text("c")
    act = dialog.get_by_role("button", name="Roll back 2 configs")
    expect(act).to_be_disabled()
    # Nothing is rolled back unseen: what it does to the content is one click away.
    dialog.get_by_role("button", name="What changes in a").click()
    diff = dialog.get_by_test_id("diff")
    expect(diff.locator(".cm-merge-a")).to_contain_text("2")
    expect(diff.locator(".cm-merge-b")).to_contain_text("1")
    dialog.get_by_label(re.compile("^Type ")).fill(name)
    person.shot("project-rollback")
    act.click()
    expect(dialog).to_have_count(0)
    configs = admin("GET", f"/v1/projects/{project}/configs")["items"]
    assert {each["key"]: each["content"] for each in configs} == {"a": 1, "b": 1}


@pytest.mark.own_browser
def test_now_is_the_end_of_the_slider_however_young_the_project(
    admin: Api, project: str, ana: Open
) -> None:
    _limits(admin, project, 1)
    person = ana("/projects")
    made = admin("GET", f"/v1/projects/{project}/configs/limit")["updated_at"]
    person.page.clock.set_fixed_time(datetime.fromisoformat(made) + timedelta(milliseconds=300))
    person.walk(f"/p/{project}/history")
    # The slider's ends are where the feed has them, once it has come.
    expect(person.page.get_by_role("group", name="Changes, newest first")).to_be_visible()
    expect(person.page.get_by_text("now", exact=True)).to_be_visible()
    thumb = person.page.get_by_role("slider", name="Moment")
    end = thumb.get_attribute("aria-valuemax")
    assert end is not None
    expect(thumb).to_have_attribute("aria-valuenow", end)


def test_the_slider_turns_the_project_read_only_as_it_was_and_back(
    admin: Api, project: str, ana: Open
) -> None:
    _limits(admin, project, 1)
    person = ana(f"/p/{project}/history")
    picker = person.page.get_by_role("region", name="The project at any moment")
    thumb = picker.get_by_role("slider", name="Moment")
    expect(picker.get_by_text("now", exact=True)).to_be_visible()
    admin.put(project, "later", {"made": "after the first"})
    expect(person.page.get_by_role("region", name="Audit feed")).to_contain_text("later")

    track = picker.locator(".mantine-Slider-track").bounding_box()
    held = thumb.bounding_box()
    assert track is not None
    assert held is not None
    middle = held["y"] + held["height"] / 2
    person.page.mouse.move(held["x"] + held["width"] / 2, middle)
    person.page.mouse.down()
    person.page.mouse.move(track["x"] + track["width"] / 2, middle, steps=4)
    person.page.mouse.move(track["x"], middle, steps=4)
    # Nothing is asked for while the thumb is still held.
    assert "at=" not in person.page.url
    person.page.mouse.up()
    expect(person.page).to_have_url(re.compile(r"at=20\d\d-"))
    expect(picker.get_by_role("status")).to_contain_text("1 config then")
    person.shot("slider")
    assert person.axe() == []
    person.page.get_by_role("link", name="Look at its configs as they were").click()
    expect(person.page.get_by_text("Nothing can be changed here")).to_be_visible()
    tree = person.page.get_by_role("tree")
    expect(tree.get_by_role("treeitem")).to_have_count(1)
    tree.get_by_role("treeitem", name=re.compile("^limit")).click()
    expect(person.editor(re.compile("^limit, version 1"))).to_contain_text("1000")
    expect(person.button(re.compile("^(Review|Delete|Discard|New config)"))).to_have_count(0)
    person.button("Choose another moment").click()
    # By keyboard, and all the way to the right is now again.
    thumb.press("End")
    expect(picker.get_by_text("now", exact=True)).to_be_visible()
    expect(person.page).not_to_have_url(re.compile("at="))


def test_a_moment_is_typed_in_full_before_it_counts(admin: Api, project: str, ana: Open) -> None:
    _limits(admin, project, 1)
    person = ana(f"/p/{project}/history")
    field = person.page.get_by_label("Date and time")
    field.focus()
    person.page.keyboard.type("01022003")
    assert "at=" not in person.page.url
    person.page.keyboard.press("Enter")
    expect(person.page).to_have_url(re.compile(r"at=2003-01-0"))
    expect(person.page.get_by_text("0 configs then")).to_be_visible()
    person.button("Back to now").click()
    expect(person.page).not_to_have_url(re.compile("at="))


def test_a_moment_that_is_none_is_said_and_breaks_nothing(
    admin: Api, project: str, ana: Open
) -> None:
    _limits(admin, project, 1)
    person = ana("/projects")
    person.expected_statuses.add(400)
    person.walk(f"/p/{project}/history?at=yesterday")
    expect(person.page.get_by_text("It cannot be shown")).to_contain_text("must be a time")
    person.walk(f"/p/{project}/configs/limit?at=yesterday")
    expect(person.page.get_by_text("must be a time").first).to_be_visible()
    person.button("Back to now").click()
    expect(person.editor()).to_contain_text("1000")


def test_a_change_that_comes_while_a_roll_back_is_looked_at_holds_it_back(
    admin: Api, project: str, ana: Open
) -> None:
    # What is rolled back over must be what was looked at.
    _limits(admin, project, 2)
    person = ana(f"/p/{project}/configs/limit?rollback=1")
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_contain_text("the service would accept it")
    expect(person.page.get_by_text("Live", exact=True)).to_be_attached()
    admin.put(project, "limit", {"daily": 77}, 2)
    expect(dialog).to_contain_text("Version 3 came in while you looked")
    expect(dialog.get_by_role("button", name=re.compile("^Roll back as"))).to_have_count(0)
    dialog.get_by_role("button", name="Look at the difference from version 3").click()
    expect(dialog.get_by_test_id("diff")).to_contain_text("77")
    dialog.get_by_role("button", name="Roll back as version 4").click()
    expect(dialog).to_have_count(0)
    assert admin.content(project, "limit") == {"daily": 1000}


def test_a_project_is_rolled_back_as_it_is_shown_or_not_at_all(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 1})
    admin.put(project, "limit", {"daily": 2}, 1)
    name = admin("GET", f"/v1/projects/{project}")["name"]
    at = admin("GET", f"/v1/projects/{project}/configs/limit?version=1")["position"]
    person = ana(f"/p/{project}/history?rollback=1&at={at}")
    dialog = person.page.get_by_role("dialog")
    dialog.get_by_label(re.compile("^Type")).fill(name)
    expect(dialog.get_by_role("button", name="Roll back 1 config")).to_be_enabled()
    # Somebody else's change would be taken back too: it is shown, and the name asked for again.
    admin.put(project, "another", {"n": 1})
    expect(dialog.get_by_role("button", name="Roll back 2 configs")).to_be_disabled()
    expect(dialog.get_by_label(re.compile("^Type"))).to_have_value("")


@pytest.mark.own_browser
def test_what_is_rolled_back_is_what_was_shown_even_where_nobody_told_of_a_change(
    admin: Api, project: str, ana: Open
) -> None:
    # Method: the watch is cut off, so that only the service's refusal can tell.
    admin.put(project, "limit", {"daily": 1})
    at = admin("GET", f"/v1/projects/{project}/configs/limit")["position"]
    admin.put(project, "limit", {"daily": 2}, 1)
    name = admin("GET", f"/v1/projects/{project}")["name"]
    person = ana("/projects")
    person.cut_off_watch()
    person.walk(f"/p/{project}/history?rollback=&at={at}")
    dialog = person.page.get_by_role("dialog")
    expect(dialog.get_by_role("list", name="What would change")).to_contain_text("limit")
    typed = dialog.get_by_label(re.compile("^Type"))
    typed.fill(name)
    act = dialog.get_by_role("button", name="Roll back 1 config")
    expect(act).to_be_enabled()
    admin.put(project, "another", {"n": 1})
    act.click()
    expect(dialog).to_contain_text("Nothing was rolled back")
    expect(dialog.get_by_role("list", name="What would change")).to_contain_text("another")
    expect(typed).to_have_value("")
    assert admin.content(project, "limit") == {"daily": 2}
    person.shot("project-rollback-overtaken")
    assert person.axe() == []
    typed.fill(name)
    dialog.get_by_role("button", name="Roll back 2 configs").click()
    expect(dialog).to_have_count(0)
    configs = admin("GET", f"/v1/projects/{project}/configs")["items"]
    assert [(each["key"], each["content"]) for each in configs] == [("limit", {"daily": 1})]


def test_two_versions_of_a_deleted_config_are_compared_under_its_true_head(
    admin: Api, project: str, ana: Open
) -> None:
    _limits(admin, project, 2)
    path = f"/v1/projects/{project}/configs/limit"
    person = ana(f"/p/{project}/configs/limit")
    person.expected_statuses.add(404)
    expect(person.editor()).to_contain_text("2000")
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    admin("DELETE", path, headers={"If-Match": '"2"'})
    expect(person.page.get_by_text("was deleted as version 3")).to_be_visible()
    for reloaded in (False, True):  # what was read before may still be held, or nothing is
        if reloaded:
            person.open(f"/p/{project}/configs/limit?diff=1..2")
        else:
            person.button("History").click()
            person.page.get_by_role("button", name="What changed").nth(1).click()
        head = person.page.locator(".doc-head")
        expect(person.page.get_by_test_id("diff")).to_contain_text("2000")
        expect(head).to_contain_text("deleted as version 3")
        expect(head.get_by_text("version 2", exact=True)).to_have_count(0)
        expect(head.get_by_text("new", exact=True)).to_have_count(0)
    person.shot("deleted-diff")
    assert person.axe() == []
    expect(person.button("Roll back to version 1…")).to_be_visible()
