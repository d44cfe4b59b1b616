"""The service is away, or cannot say yet what became of a change."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.browser.running import RunningService
from tests.browser.support import Api, Person

pytestmark = pytest.mark.own_browser

Open = Callable[..., Person]
NOTE_OWN_NEWS = """() => {
    window.ownNews = [];
    const told = () => document.body.innerText.match(/.*came in.*/g) ?? [];
    const note = () => window.ownNews.push(...told());
    new MutationObserver(note).observe(document.body, {subtree: true, childList: true});
}"""


def test_a_service_that_cannot_be_reached_is_told_and_reading_goes_on(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 5000})
    admin.put(project, "web.theme", {"dark": "at night"})
    person = ana(f"/p/{project}/configs/limit")
    person.expected_texts.append("net::ERR_INTERNET_DISCONNECTED")
    expect(person.editor()).to_contain_text("5000")
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    banner = person.page.get_by_text("Config Guardian cannot be reached.")
    person.context.set_offline(True)
    expect(banner).to_be_visible()
    person.type_document('{"daily": 6000}')
    person.page.get_by_role("treeitem", name=re.compile("^theme")).click()
    expect(person.editor("Content of web.theme")).to_contain_text("at night")
    person.shot("cut-off")
    assert person.axe() == []
    person.context.set_offline(False)
    expect(banner).to_have_count(0)
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    person.page.get_by_role("treeitem", name=re.compile("^limit")).click()
    expect(person.editor()).to_contain_text("6000")
    person.button("Review version 2").click()
    person.button("Commit version 2").click()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    assert admin.content(project, "limit") == {"daily": 6000}


def test_a_dependency_that_is_away_is_named_and_reading_goes_on(
    running: RunningService, admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 5000})
    person = ana("/projects")
    person.expected_statuses.add(503)
    person.page.clock.install()
    with running.nobody_applies():
        person.walk(f"/p/{project}/configs/limit")
        banner = person.page.get_by_role("status").filter(has_text="The service is cut off")
        person.page.clock.run_for(20_000)
        expect(banner).to_contain_text("projector")
        expect(person.editor()).to_contain_text("5000")
        person.shot("dependency-away")
        assert person.axe() == []
    expect(banner).to_have_count(0)
    # A process that is frozen ends no connection: only its silence tells (10 s of the page's time).
    is_live = person.page.get_by_text("Live", exact=True)
    expect(is_live).to_be_visible()
    with running.frozen():
        person.page.clock.run_for(12_500)
        expect(person.page.get_by_text("Not live", exact=True)).to_be_visible()
        person.page.clock.run_for(10_000)
        expect(person.page.get_by_text("Config Guardian cannot be reached.")).to_be_visible()
    expect(is_live).to_be_visible()


def test_a_commit_without_an_outcome_is_asked_for_until_it_is_applied(
    running: RunningService, admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 1})
    person = ana(f"/p/{project}/configs/limit")
    person.expected_statuses.add(503)
    person.type_document('{"daily": 2}')
    person.button("Review version 2").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_contain_text("The service would accept this")
    with running.nobody_applies():
        person.button("Commit version 2").click()
        expect(dialog).to_contain_text("cannot say yet whether it is committed")
        person.shot("outcome-not-known")
        assert person.axe() == []
    expect(dialog).to_have_count(0)
    expect(person.page.get_by_text("version 2", exact=True)).to_be_visible()
    expect(person.page.get_by_text("Nothing changed")).to_be_visible()
    assert admin.content(project, "limit") == {"daily": 2}


def test_a_commit_without_an_outcome_that_is_rejected_opens_the_merge(
    running: RunningService, admin: Api, project: str, ana: Open
) -> None:
    # Method: while nobody applies, another's change goes into the log before ours.
    admin.put(project, "limit", {"daily": 1, "monthly": 1})
    person = ana(f"/p/{project}/configs/limit")
    person.expected_statuses.add(503)
    person.type_document('{"daily": 1, "monthly": 7}')
    person.button("Review version 2").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_contain_text("The service would accept this")
    path = f"/v1/projects/{project}/configs/limit"
    with running.nobody_applies():
        other = {"content": {"daily": 3, "monthly": 1}}
        assert admin("PUT", path, other, {"If-Match": '"1"'})["change"] == "pending"
        person.button("Commit version 2").click()
        expect(dialog).to_contain_text("cannot say yet whether it is committed")
    merge = person.page.get_by_role("dialog", name=re.compile("^Merge version 2"))
    result = merge.get_by_label("Result of the merge")
    expect(result).to_contain_text('"daily": 3')
    expect(result).to_contain_text('"monthly": 7')
    assert admin.content(project, "limit") == {"daily": 3, "monthly": 1}


@pytest.mark.parametrize("kind", ["rollback", "set"])
def test_roll_backs_and_change_sets_wait_for_their_outcome_too(
    running: RunningService, admin: Api, project: str, ana: Open, kind: str
) -> None:
    admin.put(project, "limit", {"daily": 1})
    admin.put(project, "limit", {"daily": 2}, 1)
    person = ana(f"/p/{project}/configs/limit" + ("?rollback=1" if kind == "rollback" else ""))
    person.expected_statuses.add(503)
    if kind == "rollback":
        expect(person.page.get_by_text("the service would accept it")).to_be_visible()
        act = person.button("Roll back as version 3")
    else:
        person.type_document('{"daily": 1}')
        person.page.get_by_role("link", name="Change set").click()
        expect(person.page.get_by_text("would accept these together")).to_be_visible()
        act = person.button("Commit 1 change")
    person.page.evaluate(NOTE_OWN_NEWS)
    with running.nobody_applies():
        act.click()
        expect(person.page.get_by_text("cannot say yet whether it is committed")).to_be_visible()
    expect(person.page.get_by_text("cannot say yet whether it is committed")).to_have_count(0)
    # Not the toast of a roll back: it is gone before a busy machine looks.
    told = "version 3" if kind == "rollback" else "1 config is committed"
    expect(person.page.get_by_role("main").get_by_text(told, exact=True)).to_be_visible()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    assert admin.content(project, "limit") == {"daily": 1}
    # The watch tells of our own version before the answer does: that is nobody else's.
    assert person.page.evaluate("window.ownNews") == []


def test_a_project_that_goes_back_waits_for_its_outcome_too(
    running: RunningService, admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", 1)
    moment = admin("GET", f"/v1/projects/{project}/configs/limit")["position"]
    admin.put(project, "limit", 2, 1)
    name = admin("GET", f"/v1/projects/{project}")["name"]
    person = ana(f"/p/{project}/history?at={moment}")
    person.expected_statuses.add(503)
    person.button("Roll the project back to this moment…").click()
    dialog = person.page.get_by_role("dialog")
    dialog.get_by_role("textbox").last.fill(name)
    act = dialog.get_by_role("button", name="Roll back 1 config")
    expect(act).to_be_enabled()  # nobody could work out the plan any more
    with running.nobody_applies():
        act.click()
        expect(dialog).to_contain_text("cannot say yet whether it is committed")
    expect(dialog).to_have_count(0)
    assert admin.content(project, "limit") == 1


def test_a_review_that_was_opened_while_the_service_is_away_goes_on_when_it_is_back(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 1})
    person = ana(f"/p/{project}/configs/limit")
    person.expected_texts.append("net::ERR_INTERNET_DISCONNECTED")
    person.type_document('{"daily": 2}')
    expect(person.button("Review version 2")).not_to_have_attribute("aria-disabled", "true")
    person.context.set_offline(True)
    person.button("Review version 2").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_contain_text("The service cannot be reached")
    expect(dialog.get_by_role("button", name="Commit version 2")).to_be_disabled()
    expect(dialog.get_by_role("button", name="Try again")).to_be_visible()
    person.shot("review-away")
    assert person.axe() == []
    person.context.set_offline(False)
    expect(dialog).to_contain_text("The service would accept this")
    person.button("Commit version 2").click()
    expect(dialog).to_have_count(0)
    assert admin.content(project, "limit") == {"daily": 2}


@pytest.mark.parametrize("answers_lost", [1, 5])
def test_a_commit_whose_answer_is_lost_is_sent_again_and_done_once(
    admin: Api, project: str, ana: Open, answers_lost: int
) -> None:
    # Its own version, told by the watch, was once said to be somebody else's: nothing committed.
    admin.put(project, "limit", {"daily": 1})
    person = ana(f"/p/{project}/configs/limit")
    person.expected_texts.append("net::ERR_FAILED")
    person.type_document('{"daily": 2}')
    person.button("Review version 2").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_contain_text("The service would accept this")

    sent: list[str] = []

    def lose(route: Route) -> None:
        if route.request.method != "PUT" or len(sent) == answers_lost:
            route.continue_()
        else:
            sent.append(route.fetch().text())
            route.abort()

    person.page.route("**/configs/limit", lose)
    person.button("Commit version 2").click()
    expect(dialog).to_contain_text("cannot say yet whether it is committed")
    expect(dialog).not_to_contain_text("came in")
    if answers_lost == 1:
        expect(dialog).to_have_count(0)
        expect(person.page.get_by_text("Nothing changed")).to_be_visible()
    else:
        expect(dialog).to_contain_text("Whether it was done is not known")
        expect(dialog).to_contain_text("It may be your own commit")
    assert admin("GET", f"/v1/projects/{project}/configs/limit")["version"] == 2
