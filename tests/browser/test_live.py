"""Somebody else's change appears at once, and never over what is being typed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import APIResponse, Route, expect

from tests.browser.support import Api, Person

Open = Callable[..., Person]
NOTE_NEWS = """() => {
    window.news = [];
    const told = () => document.body.innerText.match(/.*(came in|just come in).*/g) ?? [];
    const note = () => window.news.push(...told());
    new MutationObserver(note).observe(document.body, {subtree: true, childList: true});
}"""


def test_a_change_by_somebody_else_is_shown_without_a_reload(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 5000})
    person = ana(f"/p/{project}/configs/limit?side=history")
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    timeline = person.page.get_by_role("group", name="Versions").get_by_role("list")
    # A history that is asked for only now would hold what comes next anyway.
    expect(timeline.get_by_text("Version 1")).to_be_visible()
    admin.put(project, "limit", {"daily": 5100}, 1)
    expect(person.editor()).to_contain_text("5100")
    expect(timeline.get_by_text("Version 2")).to_be_visible()
    admin.put(project, "web.theme", {"dark": True})
    expect(person.page.get_by_role("treeitem", name=re.compile("^theme"))).to_be_visible()


def test_a_change_that_comes_while_typing_is_told_and_merged_and_nothing_is_lost(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 1, "monthly": 1, "currency": "EUR"})
    person = ana(f"/p/{project}/configs/limit")
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    person.type_document('{"daily": 2, "monthly": 20, "currency": "EUR"}')
    admin.put(project, "limit", {"daily": 9, "monthly": 1, "currency": "USD"}, 1)
    bar = person.page.get_by_role("status").filter(has_text="while you edited version 1")
    expect(bar).to_contain_text(admin.email)
    expect(person.editor()).to_contain_text('"monthly": 20')
    expect(person.button("Review version 3")).to_have_attribute("aria-disabled", "true")
    person.shot("somebody-elses-change")

    bar.get_by_role("button", name="Merge").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 changed by both")
    expect(dialog.get_by_role("list", name="Changed by both")).to_contain_text("/daily")
    person.shot("merge")
    assert person.axe() == []
    dialog.get_by_text("Theirs", exact=True).click()
    dialog.get_by_role("button", name="Go on editing on version 2").click()
    expect(person.editor()).to_contain_text('"daily": 9')
    person.button("Review version 3").click()
    person.button("Commit version 3").click()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    assert admin.content(project, "limit") == {"daily": 9, "monthly": 20, "currency": "USD"}


def test_a_change_that_comes_during_the_review_holds_the_commit_back(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 1, "monthly": 1})
    person = ana(f"/p/{project}/configs/limit")
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    person.type_document('{"daily": 1, "monthly": 7}')
    person.button("Review version 2").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_contain_text("The service would accept this")
    admin.put(project, "limit", {"daily": 3, "monthly": 1}, 1)
    expect(dialog).to_contain_text("Version 2 came in while you reviewed")
    expect(dialog).to_contain_text("yours, made on version 1")
    expect(person.button(re.compile("^Commit"))).to_have_count(0)
    person.page.keyboard.press("ControlOrMeta+Enter")
    person.shot("review-overtaken")
    assert person.axe() == []
    person.button("Merge version 2 first").click()
    expect(dialog.get_by_label("Result of the merge")).to_contain_text('"daily": 3')
    assert admin.content(project, "limit") == {"daily": 3, "monthly": 1}


@pytest.mark.own_browser
def test_our_own_version_is_no_news_while_its_answer_is_awaited(
    admin: Api, project: str, ana: Open
) -> None:
    # Goal: the watch may tell of our commit before its answer comes; nobody came in between.
    # Method: the answer of the PUT is held until the tree shows what the watch told.
    admin.put(project, "limit", {"daily": 1})
    person = ana(f"/p/{project}/configs/limit")
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        if route.request.method == "PUT" and "dry_run" not in route.request.url:
            held.append((route, route.fetch()))
            person.page.evaluate("window.held = true")
        else:
            route.continue_()

    person.page.route("**/configs/limit*", hold)
    person.type_document('{"daily": 2}')
    person.button("Review version 2").click()
    person.button("Commit version 2").click()
    expect(person.page.locator(".tree-row", has_text="limit")).to_contain_text("v2")
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_contain_text("live, version 1")
    expect(dialog).not_to_contain_text("came in")
    assert person.page.get_by_text("while you edited").count() == 0
    # The watch may have told it before the answer was here to be held.
    person.page.wait_for_function("window.held")
    [(route, answer)] = held
    route.fulfill(response=answer)
    expect(dialog).to_have_count(0)
    expect(person.editor()).to_contain_text('"daily": 2')


def test_a_merge_that_is_under_way_stays_what_it_was_when_a_third_version_comes(
    admin: Api, project: str, ana: Open
) -> None:
    # Goal: a result that was edited for version 2 must never pass for one made on version 3.
    admin.put(project, "limit", {"daily": 1, "monthly": 1})
    person = ana(f"/p/{project}/configs/limit")
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    person.type_document('{"daily": 1, "monthly": 7}')
    admin.put(project, "limit", {"daily": 2, "monthly": 1}, 1)
    person.button("Merge").click()
    dialog = person.page.get_by_role("dialog", name=re.compile("^Merge version 2"))
    expect(dialog.get_by_label("Result of the merge")).to_contain_text('"daily": 2')
    person.type_document('{"daily": 2, "monthly": 8}', "Result of the merge")
    admin.put(project, "limit", {"daily": 3, "monthly": 1}, 2)
    expect(dialog).to_contain_text("Version 3 came in meanwhile")
    dialog.get_by_role("button", name="Go on editing on version 2").click()
    expect(person.page.get_by_text("while you edited version 2")).to_be_visible()
    expect(dialog).to_be_hidden()  # it takes a moment to go, with its "Close the merge"
    person.button("Merge").click()
    dialog = person.page.get_by_role("dialog", name=re.compile("^Merge version 3"))
    result = dialog.get_by_label("Result of the merge")
    expect(result).to_contain_text('"daily": 3')
    expect(result).to_contain_text('"monthly": 8')


@pytest.mark.own_browser
def test_a_conflict_at_the_commit_itself_opens_the_merge(
    admin: Api, project: str, ana: Open
) -> None:
    # Method: the watch is cut off, so that only the commit's 409 can tell of the other's change.
    admin.put(project, "limit", {"daily": 1, "monthly": 1})
    person = ana("/projects")
    person.cut_off_watch()
    person.walk(f"/p/{project}/configs/limit")
    person.type_document('{"daily": 1, "monthly": 7}')
    person.button("Review version 2").click()
    expect(person.page.get_by_role("dialog")).to_contain_text("The service would accept this")
    admin.put(project, "limit", {"daily": 3, "monthly": 1}, 1)
    person.button("Commit version 2").click()
    dialog = person.page.get_by_role("dialog", name=re.compile("^Merge version 2"))
    expect(dialog.get_by_label("Result of the merge")).to_contain_text('"monthly": 7')
    expect(dialog.get_by_label("Result of the merge")).to_contain_text('"daily": 3')
    dialog.get_by_role("button", name="Decide later").click()
    expect(person.editor()).to_contain_text('"monthly": 7')


def test_undo_does_not_reach_over_a_version_that_came_in(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 1})
    person = ana(f"/p/{project}/configs/limit")
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    person.type_document('{"daily": 11}')
    person.page.keyboard.press("ControlOrMeta+z")
    expect(person.page.get_by_text("Nothing changed")).to_be_visible()
    admin.put(project, "limit", {"daily": 2}, 1)
    expect(person.editor()).to_contain_text('"daily": 2')
    undo = person.page.keyboard.press
    for _ in range(3):
        undo("ControlOrMeta+z")
    expect(person.editor()).to_contain_text('"daily": 2')
    expect(person.page.get_by_text("Nothing changed")).to_be_visible()
    # What was typed since is undone, and no more.
    person.type_document('{"daily": 3}')
    for _ in range(3):
        undo("ControlOrMeta+z")
    expect(person.editor()).to_contain_text('"daily": 2')
    expect(person.page.get_by_text("Nothing changed")).to_be_visible()
    # Nor does it take a merge back: that would undo the other's change with it.
    person.type_document('{"daily": 2, "monthly": 4}')
    admin.put(project, "limit", {"daily": 5}, 2)
    person.button("Merge").click()
    dialog = person.page.get_by_role("dialog", name=re.compile("^Merge version 3"))
    dialog.get_by_role("button", name="Go on editing on version 3").click()
    expect(dialog).to_be_hidden()
    person.editor().click()
    undo("ControlOrMeta+z")
    expect(person.editor()).to_contain_text('"daily": 5')
    expect(person.editor()).to_contain_text('"monthly": 4')


@pytest.mark.parametrize("by", ["commit", "rollback"])
def test_our_own_version_is_not_told_as_somebody_elses(
    admin: Api, project: str, ana: Open, by: str
) -> None:
    admin.put(project, "limit", {"daily": 1})
    admin.put(project, "limit", {"daily": 2}, 1)
    person = ana(f"/p/{project}/configs/limit")
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    person.page.evaluate(NOTE_NEWS)
    if by == "commit":
        person.type_document('{"daily": 3}')
        person.button("Review version 3").click()
        person.button("Commit version 3").click()
    else:
        person.walk(f"/p/{project}/configs/limit?rollback=1")
        person.button("Roll back as version 3").click()
    expect(person.page.locator(".tree-row", has_text="limit")).to_contain_text("v3")
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    assert person.page.evaluate("window.news") == []
    admin.put(project, "limit", {"daily": 4}, 3)
    expect(person.page.get_by_text("Version 4 has just come in")).to_be_visible()
    person.shot("somebody-elses-version")


def test_a_version_that_comes_after_a_mark_to_delete_is_shown_and_decided_on(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 1})
    person = ana(f"/p/{project}/configs/limit")
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    person.button("Delete…").click()
    admin.put(project, "limit", {"daily": 2}, 1)
    bar = person.page.get_by_role("status").filter(has_text="marked version 1 to be deleted")
    expect(bar).to_contain_text("Nothing is deleted")
    review = person.button("Review deletion as version 3")
    expect(review).to_have_attribute("aria-disabled", "true")
    person.shot("mark-overtaken")
    bar.get_by_role("button", name="Look at it and decide").click()
    dialog = person.page.get_by_role("dialog", name="Delete limit, or keep it")
    expect(dialog.get_by_test_id("diff")).to_contain_text('"daily": 2')
    person.shot("mark-merge")
    assert person.axe() == []
    dialog.get_by_role("button", name="Keep the mark: delete version 2").click()
    expect(dialog).to_be_hidden()
    # What is kept beside the mark is the version that came in, not the one before it.
    person.button("Undo the mark").click()
    expect(person.editor()).to_contain_text('"daily": 2')
    expect(person.page.get_by_text("Nothing changed")).to_be_visible()
    person.button("Delete…").click()
    review.click()
    dialog = person.page.get_by_role("dialog", name="Review limit")
    expect(dialog).to_contain_text("The service would accept this")
    admin.put(project, "limit", {"daily": 3}, 2)
    expect(dialog).to_contain_text("Version 3 came in while you reviewed")
    person.button("Look at version 3 first").click()
    person.button("Drop the mark: keep the config").click()
    expect(person.editor()).to_contain_text('"daily": 3')
    expect(person.page.get_by_text("Nothing changed")).to_be_visible()
    assert admin.content(project, "limit") == {"daily": 3}


def test_what_was_typed_before_a_mark_to_delete_is_merged_when_the_mark_is_dropped(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 1, "monthly": 1})
    person = ana(f"/p/{project}/configs/limit")
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    person.type_document('{"daily": 1, "monthly": 7}')
    person.button("Delete…").click()
    admin.put(project, "limit", {"daily": 2, "monthly": 1}, 1)
    person.button("Look at it and decide").click()
    person.button("Drop the mark and merge what I typed").click()
    result = person.page.get_by_label("Result of the merge")
    expect(result).to_contain_text('"daily": 2')
    expect(result).to_contain_text('"monthly": 7')
    person.button("Go on editing on version 2").click()
    expect(person.button("Review version 3")).not_to_have_attribute("aria-disabled", "true")


def test_a_config_that_was_deleted_while_it_was_reviewed_is_no_dead_end(
    admin: Api, project: str, ana: Open
) -> None:
    schema = admin.make_schema("any", {"type": "object"}, project)
    admin.put(project, "limit", {"daily": 1}, schema_id=schema)
    person = ana(f"/p/{project}/configs/limit")
    person.expected_statuses.add(404)
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    person.type_document('{"daily": 2}')
    person.button("Review version 2").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_contain_text("The service would accept this")
    path = f"/v1/projects/{project}/configs/limit"
    admin("DELETE", path, headers={"If-Match": '"1"'})
    expect(dialog).to_contain_text("The config was deleted while you reviewed")
    expect(person.button(re.compile("^Commit"))).to_have_count(0)
    person.button("Go on editing").click()
    expect(person.page.get_by_text("deleted as version 2")).to_be_visible()
    person.shot("deleted-while-edited")
    assert person.axe() == []
    person.button("Keep mine as a new config").click()
    person.button("Review the new config").click()
    person.button("Commit version 3").click()
    expect(dialog).to_have_count(0)
    kept = admin("GET", path)
    assert (kept["content"], kept["schema_id"]) == ({"daily": 2}, schema)


def test_a_project_that_goes_while_somebody_works_in_it_is_told(
    admin: Api, project: str, someone: Callable[..., Person]
) -> None:
    # The page once showed it as if nothing were, and never asked for the watch again.
    email, password = f"gone-{project}@example.org", "a password that is long"
    user = admin.make_user(email, password)
    role = f"/v1/projects/{project}/roles/{user}"
    admin("PUT", role, {"role_level": "editor"})
    admin.put(project, "limit", {"daily": 1})
    person = someone()
    person.expected_statuses.update({403, 404})
    person.sign_in(f"/p/{project}/configs/limit", email, password)
    is_live = person.page.get_by_text("Live", exact=True)
    expect(is_live).to_be_visible()
    person.type_document('{"daily": 2}')
    told = person.page.get_by_role("status").filter(has_text="not a member of it any more")
    admin("DELETE", role)
    expect(told).to_be_visible()
    expect(person.editor()).to_contain_text('{"daily": 2}')
    person.shot("project-gone")
    assert person.axe() == []
    admin("PUT", role, {"role_level": "viewer"})
    expect(told).to_have_count(0)
    expect(is_live).to_be_visible()
    expect(person.page.get_by_text("You are a viewer of this project")).to_be_visible()
    admin("DELETE", f"/v1/projects/{project}")
    expect(told).to_be_visible()
    expect(person.editor()).to_contain_text('{"daily": 2}')
