"""What is sent again after an act without an answer: the same act, or another one."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.browser.support import Api, Person

Open = Callable[..., Person]
KINDS = ["review", "deletion", "set", "roll back", "project roll back"]


def _ready(person: Person, admin: Api, project: str, kind: str) -> Locator:
    """The button of an act that would make version 3 of `limit`, ready to be pressed."""
    dialog = person.page.get_by_role("dialog")
    if kind == "project roll back":
        first = admin("GET", f"/v1/projects/{project}/configs/limit?version=1")["position"]
        person.walk(f"/p/{project}/history?at={first}")
        person.button("Roll the project back to this moment…").click()
        act = dialog.get_by_role("button", name="Roll back 1 config")
    elif kind == "roll back":
        person.walk(f"/p/{project}/configs/limit?rollback=1")
        act = person.button("Roll back as version 3")
    else:
        person.walk(f"/p/{project}/configs/limit")
        if kind == "deletion":
            person.button("Delete…").click()
            person.button("Review deletion as version 3").click()
            return person.button("Delete as version 3")
        person.type_document('{"daily": 3}')
        if kind == "set":
            person.page.get_by_role("link", name="Change set").click()
            return person.button("Commit 1 change")
        person.button("Review version 3").click()
        act = person.button("Commit version 3")
    return act


@pytest.mark.own_browser
@pytest.mark.parametrize("kind", KINDS)
def test_a_comment_that_is_edited_after_no_answer_makes_another_act(
    admin: Api, project: str, ana: Open, kind: str
) -> None:
    # It was once sent under the key of the first, which the service refuses (422).
    admin.put(project, "limit", {"daily": 1})
    admin.put(project, "limit", {"daily": 2}, 1)
    name = admin("GET", f"/v1/projects/{project}")["name"]
    person = ana("/projects")
    person.expected_statuses |= {404, 503}  # what is deleted is not found
    act = _ready(person, admin, project, kind)
    keys: list[str] = []

    def lose(route: Route) -> None:
        key = route.request.headers.get("idempotency-key")
        if key is not None:
            keys.append(key)
        if key is None or len(keys) == 3:
            route.fallback()
        else:
            route.fulfill(status=503)

    person.page.route("**/v1/projects/**", lose)
    typed = person.page.get_by_label(re.compile("^Type "))
    answer = person.page.get_by_role("alert")
    for comment in ("why", "why", "why, in other words"):
        person.page.get_by_role("textbox", name="Comment", exact=True).fill(comment)
        if kind == "project roll back":
            typed.fill(name)
        with person.page.expect_response(lambda each: "idempotency-key" in each.request.headers):
            act.click()
        if len(keys) < 3:
            expect(answer).to_be_visible()
    expect(act).to_have_count(0)
    assert keys[0] == keys[1] != keys[2]
    last = admin("GET", f"/v1/projects/{project}/configs/limit/revisions")["items"][0]
    assert (last["version"], last["comment"]) == (3, "why, in other words")
