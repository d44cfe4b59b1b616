"""Several edits, reviewed and committed together or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.support import Api, Person, step

Open = Callable[..., Person]
DRAFTS_OF_ANOTHER_TAB = """drafts => {
    for (const [key, draft] of Object.entries(drafts)) {
        localStorage.setItem(key, JSON.stringify(draft));
        dispatchEvent(new StorageEvent('storage', {key}));
    }
}"""


def test_edits_are_collected_and_committed_together(admin: Api, project: str, ana: Open) -> None:
    for key in "abcd":
        admin.put(project, key, {"n": 1})
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
    expect(person.page.locator(":focus")).to_have_text("2 configs are committed together")
    revisions = [
        admin("GET", f"/v1/projects/{project}/configs/{key}/revisions")["items"][0] for key in "ab"
    ]
    assert {each["comment"] for each in revisions} == {"both at once"}
    assert len({each["change_id"] for each in revisions}) == 1
    with step("of many, one sees what there is and goes to one"):
        person.walk(f"/p/{project}/configs")
        page, diffs = person.page, person.page.get_by_test_id("diff")
        put = {"op": "put", "text": '{"n": 3}', "comment": "", "savedAt": "2026-01-01T00:00:00Z"}
        drafts: dict[str, dict[str, object]] = {
            **{f"new.n{n:02}": {**put, "baseVersion": 0} for n in range(38)},
            "c": {**put, "baseVersion": 1},
            "d": {**put, "baseVersion": 1, "op": "delete"},
        }
        of = f"guardian:draft:{admin('GET', '/v1/me')['id']}:{project}:"
        page.evaluate(DRAFTS_OF_ANOTHER_TAB, {of + key: each for key, each in drafts.items()})
        page.get_by_role("link", name="Change set").click()
        overview = page.get_by_role("region", name="Overview")
        expect(overview).to_contain_text("40 edits: 38 new, 1 changed, 1 to be deleted")
        expect(diffs).to_have_count(0)
        overview.get_by_role("button", name="new.n30").press("Enter")
        expect(page.locator(":focus")).to_have_text("new.n30")
        expect(page.get_by_role("region", name="Edit of new.n30")).to_be_in_viewport()
        expect(diffs).to_have_count(1)
        person.button("Expand all").click()
        expect(diffs.first).to_be_visible()
        assert diffs.count() < 20  # the others are drawn when they come near
        person.shot("change-set-many")
        assert person.axe() == []
        person.button("Collapse all").click()
        expect(diffs).to_have_count(0)
        person.button("Go to the commit").click()
        expect(page.locator(":focus")).to_have_attribute("maxlength", "2000")


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


def test_an_edit_of_a_config_that_was_deleted_meanwhile_goes_on_as_a_new_one(
    admin: Api, project: str, ana: Open
) -> None:
    schema = admin.make_schema("any", {"type": "object"}, project)
    for key in "abc":
        admin.put(project, key, {"n": 1}, schema_id=schema)
    person = ana(f"/p/{project}/configs/a")
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    person.type_document('{"n": 2}')
    person.page.get_by_role("treeitem", name="b").click()
    person.type_document('{"n": 2}', "Content of b")
    person.page.get_by_role("treeitem", name=re.compile("^c")).click()
    person.button("Delete…").click()
    person.page.get_by_role("link", name="Change set").click()
    # A rehearsal that is under way at this moment is refused, rightly; what is gone is not found.
    person.expected_statuses |= {404, 409}
    for key in "bc":
        path = f"/v1/projects/{project}/configs/{key}"
        admin("DELETE", path, headers={"If-Match": '"1"'})
    edit = person.page.get_by_role("region", name="Edit of b")
    mark = person.page.get_by_role("region", name="Edit of c")
    expect(edit).to_contain_text("was deleted while you edited version 1")
    expect(mark).to_contain_text("is deleted already")
    commit = person.button(re.compile("^Commit 3"))
    expect(commit).to_have_attribute("aria-disabled", "true")
    expect(commit).to_have_accessible_description(re.compile("deleted meanwhile"))
    person.shot("change-set-deleted-meanwhile")
    assert person.axe() == []
    edit.get_by_role("button", name="Keep mine as a new config").click()
    expect(edit).to_contain_text("new")
    mark.get_by_role("button", name="Discard").click()
    person.button("Commit 2 changes").click()
    expect(person.page.get_by_text("Nothing is waiting to be committed")).to_be_visible()
    kept = admin("GET", f"/v1/projects/{project}/configs/b")
    assert (kept["content"], kept["schema_id"], kept["version"]) == ({"n": 2}, schema, 3)
    assert admin.content(project, "a") == {"n": 2}


@pytest.mark.own_browser
def test_what_is_committed_after_a_refusal_is_not_taken_for_what_was_refused(
    admin: Api, project: str, ana: Open
) -> None:
    # Method: the watch is cut off, so that only the refusal tells of the other's change.
    admin.put(project, "a", {"n": 1})
    admin.put(project, "b", {"n": 1})
    person = ana("/projects")
    person.cut_off_watch()
    person.walk(f"/p/{project}/configs/a")
    person.type_document('{"n": 2}')
    person.page.get_by_role("treeitem", name="b").click()
    person.type_document('{"n": 2}', "Content of b")
    person.page.get_by_role("link", name="Change set").click()
    expect(person.page.get_by_text("would accept these together")).to_be_visible()
    admin.put(project, "b", {"n": 3}, 1)
    person.button("Commit 2 changes").click()
    edit = person.page.get_by_role("region", name="Edit of b")
    expect(edit).to_contain_text("version 2 came in")
    edit.get_by_label("Commit b with the others").uncheck()
    person.button("Commit 1 change").click()
    expect(person.page.get_by_role("region", name="Edit of a")).to_have_count(0)
    assert (admin.content(project, "a"), admin.content(project, "b")) == ({"n": 2}, {"n": 3})


@pytest.mark.own_browser
def test_a_change_set_learns_of_a_conflict_from_the_refusal_too(
    admin: Api, project: str, ana: Open
) -> None:
    # Method: the watch is cut off.
    admin.put(project, "a", {"n": 1})
    person = ana("/projects")
    person.cut_off_watch()
    person.walk(f"/p/{project}/configs/a")
    person.type_document('{"n": 2}')
    person.page.get_by_role("link", name="Change set").click()
    expect(person.page.get_by_text("would accept these together")).to_be_visible()
    admin.put(project, "a", {"n": 1, "m": 3}, 1)
    person.button("Commit 1 change").click()
    edit = person.page.get_by_role("region", name="Edit of a")
    expect(edit).to_contain_text("version 2 came in")
    edit.get_by_role("link", name="Merge").click()
    person.button("Go on editing on version 2").click()
    expect(person.editor()).to_contain_text('"m": 3')


def test_from_what_is_refused_it_is_one_step_to_the_edit(
    admin: Api, project: str, ana: Open
) -> None:
    # Method: the page's own check has no word in a change set; the service refuses.
    schema = admin.make_schema("limit", {"properties": {"n": {"minimum": 0}}}, project)
    admin.put(project, "a", {"n": 1}, schema_id=schema)
    person = ana(f"/p/{project}/configs/a")
    person.expected_statuses.add(422)
    person.type_document('{"n": -5}')
    person.page.get_by_role("link", name="Change set").click()
    told = person.page.get_by_role("region", name="Commit").get_by_role("listitem")
    expect(told).to_have_text(re.compile("^a /n: -5"))
    told.get_by_role("link", name="a", exact=True).click()
    expect(person.editor()).to_contain_text("-5")
