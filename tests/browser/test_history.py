"""Who changed what when, any two versions, any moment, and the way back."""

from __future__ import annotations

import re
from collections.abc import Callable

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
    _limits(admin, project)
    person = ana(f"/p/{project}/configs/limit")
    person.page.get_by_role("button", name="History", exact=True).click()
    timeline = person.page.get_by_role("complementary", name="History of this config")
    expect(timeline.get_by_role("listitem")).to_have_count(4)
    expect(timeline).to_contain_text("step 2")
    expect(timeline).to_contain_text(admin.email)
    expect(timeline.locator("time").first).to_have_attribute("title", re.compile("UTC"))
    timeline.get_by_label("Choose version 1 to compare").check()
    timeline.get_by_label("Choose version 3 to compare").check()
    timeline.get_by_role("button", name="Compare 1 and 3").click()
    expect(person.page).to_have_url(re.compile(r"diff=1\.\.3"))
    expect(person.page.get_by_test_id("diff")).to_contain_text("1000")
    expect(person.page.get_by_test_id("diff")).to_contain_text("3000")
    person.shot("history-diff")
    assert person.axe() == []
    person.page.go_back()
    expect(person.editor()).to_contain_text("4000")


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


def test_any_moment_is_read_only_with_a_way_back(admin: Api, project: str, ana: Open) -> None:
    _limits(admin, project)
    person = ana(f"/p/{project}/history")
    person.button("The change before").click()
    expect(person.page.get_by_role("status").get_by_text("1 configs then")).to_be_visible()
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
    dialog.get_by_label(re.compile("^Type ")).fill(name)
    person.shot("project-rollback")
    act.click()
    expect(dialog).to_have_count(0)
    configs = admin("GET", f"/v1/projects/{project}/configs")["items"]
    assert {each["key"]: each["content"] for each in configs} == {"a": 1, "b": 1}
