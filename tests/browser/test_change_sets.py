"""Several edits, reviewed and committed together or not at all."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.support import Api, Person

Open = Callable[..., Person]


def test_edits_are_collected_and_committed_together(admin: Api, project: str, ana: Open) -> None:
    admin.put(project, "a", {"n": 1})
    admin.put(project, "b", {"n": 1})
    person = ana(f"/p/{project}/configs/a")
    person.type_document('{"n": 2}')
    person.page.get_by_role("treeitem", name="b").click()
    person.type_document('{"n": 2}', "Content of b")
    person.page.get_by_role("link", name="Change set").click()
    expect(person.page.get_by_role("region", name="Edit of a")).to_contain_text("version 2")
    expect(person.page.get_by_text("would accept these together")).to_be_visible()
    expect(person.page.get_by_test_id("diff")).to_have_count(2)
    person.page.get_by_label("Comment").fill("both at once")
    person.shot("change-set")
    assert person.axe() == []
    person.button("Commit 2 changes").click()
    expect(person.page.get_by_text("Nothing is waiting to be committed")).to_be_visible()
    revisions = [
        admin("GET", f"/v1/projects/{project}/configs/{key}/revisions")["items"][0] for key in "ab"
    ]
    assert {each["comment"] for each in revisions} == {"both at once"}
    assert len({each["change_id"] for each in revisions}) == 1


def test_one_conflict_holds_back_all_and_says_which(admin: Api, project: str, ana: Open) -> None:
    admin.put(project, "a", {"n": 1})
    admin.put(project, "b", {"n": 1})
    person = ana(f"/p/{project}/configs/a")
    person.type_document('{"n": 2}')
    person.page.get_by_role("treeitem", name="b").click()
    person.type_document('{"n": 2}', "Content of b")
    person.page.get_by_role("link", name="Change set").click()
    # A rehearsal that is under way at this moment is refused, rightly.
    person.expected_statuses.add(409)
    admin.put(project, "b", {"n": 3}, 1)
    edit = person.page.get_by_role("region", name="Edit of b")
    expect(edit).to_contain_text("version 2 came in: merge it first")
    expect(person.button("Commit 2 changes")).to_have_attribute("aria-disabled", "true")
    edit.get_by_label("Commit b with the others").uncheck()
    expect(person.button("Commit 1 change")).not_to_have_attribute("aria-disabled", "true")
    person.button("Commit 1 change").click()
    expect(person.page.get_by_role("region", name="Edit of a")).to_have_count(0)
    assert (admin.content(project, "a"), admin.content(project, "b")) == ({"n": 2}, {"n": 3})
