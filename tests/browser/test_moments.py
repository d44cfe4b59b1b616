"""The moment that was chosen is kept on every way, until somebody goes back to now."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.support import Api, Person, step

Open = Callable[..., Person]
AT = re.compile(r"[?&]at=\d+")


@pytest.fixture
def moment(admin: Api, project: str) -> int:
    """When `limit` was at its second version of four, and `later` was not there yet."""
    for version in range(4):
        admin.put(project, "limit", {"daily": 1000 * (version + 1)}, version)
    admin.put(project, "later", {"daily": 1})
    return int(admin("GET", f"/v1/projects/{project}/configs/limit?version=2")["position"])


def test_the_timeline_is_that_of_the_moment(
    admin: Api, project: str, moment: int, ana: Open
) -> None:
    person = ana(f"/p/{project}/configs/limit?at={moment}")
    person.button("History").click()
    timeline = person.page.get_by_role("complementary", name="History of this config")
    expect(timeline.get_by_role("listitem")).to_have_count(2)
    expect(timeline).to_contain_text("later versions are left out")
    expect(timeline.get_by_role("listitem").first).to_contain_text("then")
    expect(timeline.get_by_text("live", exact=True)).to_have_count(0)
    expect(timeline.get_by_role("button", name="Roll back…")).to_have_count(0)
    timeline.get_by_role("button", name="View").last.click()
    expect(person.editor(re.compile("^limit, version 1"))).to_contain_text("1000")
    expect(person.page).to_have_url(AT)
    expect(person.page.get_by_text("Version 1, from before this moment")).to_be_visible()
    person.shot("moment-version")
    assert person.axe() == []
    person.button("Back to version 2").click()
    expect(person.editor(re.compile("^limit, version 2"))).to_contain_text("2000")
    timeline.get_by_role("button", name="What changed").first.click()
    expect(person.page.get_by_test_id("diff")).to_contain_text("2000")
    expect(person.page).to_have_url(AT)
    expect(person.button(re.compile("^Roll back"))).to_have_count(0)
    head = person.page.locator(".doc-head")
    expect(head.get_by_text("version 2", exact=True)).to_be_visible()
    person.button("Back to now").click()
    expect(timeline.get_by_role("listitem")).to_have_count(4)
    expect(person.page).not_to_have_url(AT)


def test_the_moment_is_kept_on_every_way(project: str, moment: int, ana: Open) -> None:
    person = ana(f"/p/{project}/configs/limit?at={moment}&version=4")
    with step("a version that came after it is called so"):
        _calls_a_later_version_so(person)
    person.walk(f"/p/{project}/configs?at={moment}")
    with step("search and keys stay at it"):
        _stays_in_search_and_keys(person, moment)
    person.walk(f"/p/{project}/history?at={moment}")
    with step("the feed says which changes came after it"):
        _is_said_in_the_feed(person)


def _calls_a_later_version_so(person: Person) -> None:
    expect(person.page.get_by_text("Version 4, made after this moment")).to_be_visible()
    expect(person.page.get_by_text("when version 2 was live")).to_be_visible()
    person.shot("moment-later-version")
    person.button("Back to version 2").click()
    expect(person.editor(re.compile("^limit, version 2"))).to_contain_text("2000")
    expect(person.page).to_have_url(AT)


def _stays_in_search_and_keys(person: Person, moment: int) -> None:
    expect(person.page.get_by_role("treeitem", name=re.compile("^limit"))).to_be_visible()
    # What was not there yet is not found, and the contents are those of then.
    person.page.keyboard.press("/")
    search = person.page.get_by_label("Search keys and content")
    search.fill("later")
    expect(person.page.get_by_role("status", name="Search")).to_have_text("Nothing found")
    search.fill("2000")
    person.page.get_by_role("option", name=re.compile("limit")).click()
    expect(person.editor(re.compile("^limit, version 2"))).to_contain_text("2000")
    expect(person.page).to_have_url(AT)
    for keys, view in (("gh", "history"), ("gc", "configs")):
        for key in keys:
            person.page.keyboard.press(key)
        expect(person.page).to_have_url(re.compile(rf"/{view}\?at={moment}$"))
    expect(person.page.get_by_text("Nothing can be changed here")).to_be_visible()


def _is_said_in_the_feed(person: Person) -> None:
    rows = person.page.get_by_role("region", name="Audit feed").get_by_role("listitem")
    expect(rows).to_have_count(5)
    expect(rows.filter(has_text="after the chosen moment")).to_have_count(3)
    person.shot("moment-feed")
    assert person.axe() == []
    rows.nth(2).get_by_role("link").click()
    expect(person.page.get_by_test_id("diff")).to_contain_text("3000")
    expect(person.page).not_to_have_url(AT)
    person.page.go_back()
    rows.nth(3).get_by_role("link").click()
    expect(person.page.get_by_test_id("diff")).to_contain_text("2000")
    expect(person.page).to_have_url(AT)


def test_a_search_at_no_moment_says_that_nothing_could_be_read(project: str, ana: Open) -> None:
    person = ana("/projects")
    person.expected_statuses.add(400)
    person.walk(f"/p/{project}/configs?at=yesterday")
    person.page.get_by_label("Search keys and content").fill("limit")
    told = person.page.get_by_role("status", name="Search")
    expect(told).to_have_text("What there is could not be read")


@pytest.mark.own_browser
def test_the_time_of_a_moment_is_shown_once_it_is_known_and_tabbing_past_changes_nothing(
    admin: Api, project: str, ana: Open
) -> None:
    # The feed tells the time of a position, and comes later: the field once kept now for it.
    admin.put(project, "limit", 1)
    at = admin("GET", f"/v1/projects/{project}/configs/limit")["position"]
    admin.put(project, "limit", 2, 1)
    person = ana("/projects")
    person.page.clock.install(time="2040-01-01T00:00:00Z")
    person.walk(f"/p/{project}/history?at={at}")
    field = person.page.get_by_label("Date and time")
    expect(person.page.get_by_text("1 config then")).to_be_visible()
    expect(field).not_to_have_value(re.compile("^20(39|40)"))
    field.focus()
    person.page.get_by_role("link", name="Look at its configs as they were").focus()
    expect(person.page).to_have_url(re.compile(rf"at={at}$"))
