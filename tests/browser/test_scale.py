"""Much of everything: only what is in sight is in the page. How long it takes, `make bench-page`
measures.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Request, expect

from bench.long_history import commit_versions
from tests.browser.running import RunningService
from tests.browser.support import Api, Person

Open = Callable[..., Person]
KEYS = 5_000
VERSIONS = 10_000
MOST_ROWS = 100


@pytest.fixture
def crowded(admin: Api, project: str) -> str:
    """A project with 5,000 keys and 10,000 revisions."""
    keys = [f"team{n % 40}.service{n % 200}.key{n}" for n in range(KEYS)]
    for version in (0, 1):
        for start in range(0, KEYS, 500):
            changes = [
                {"op": "put", "key": key, "content": {"n": version}, "version": version}
                for key in keys[start : start + 500]
            ]
            admin("POST", f"/v1/projects/{project}/changes", {"changes": changes})
    return project


def test_5000_keys_and_10000_revisions(crowded: str, ana: Open) -> None:
    person = ana(f"/p/{crowded}/configs")
    expect(person.page.get_by_text("5,000 configs")).to_be_visible()
    rows = person.page.get_by_role("treeitem")
    expect(rows.first).to_be_visible()
    assert rows.count() < MOST_ROWS
    person.page.get_by_label("Filter keys").fill("key4711")
    found = person.page.get_by_role("treeitem", name=re.compile("^key4711"))
    expect(found).to_be_visible()
    expect(rows).to_have_count(3)
    person.page.get_by_label("Filter keys").fill("service")
    expect(rows.nth(20)).to_be_visible()
    assert rows.count() < MOST_ROWS
    person.page.get_by_label("Filter keys").press("Escape")
    person.page.get_by_label("Search keys and content").fill("key48")
    expect(person.page.get_by_role("option")).to_have_count(30)
    # The open config's row is shown, and stays the one that the tree names wherever it is scrolled.
    person.page.get_by_label("Search keys and content").fill("key4711")
    person.page.keyboard.press("Enter")
    open_row = person.page.get_by_role("treeitem", selected=True)
    expect(open_row).to_be_in_viewport()
    person.page.get_by_role("tree").evaluate("tree => tree.scrollTo(0, 0)")
    expect(open_row).not_to_be_in_viewport()
    assert person.axe("aria-valid-attr-value") == []
    person.walk(f"/p/{crowded}/history")
    feed = person.page.get_by_role("group", name="Changes, newest first")
    expect(feed.get_by_role("listitem").first).to_be_visible()
    assert feed.get_by_role("listitem").count() < MOST_ROWS


@pytest.fixture
def long_lived(running: RunningService, admin: Api, project: str) -> str:
    """A project with one config of 10,000 versions."""

    async def version_of() -> int:
        path = f"/v1/projects/{project}/configs/long?consistency=linearizable"
        answer = await signed_in("GET", path)
        assert answer.status == 200, answer.body
        return int(answer.json["version"])

    signed_in = running.do(running.service.anonymous.sign_in())
    running.do(commit_versions(running.service.log, project, "long", VERSIONS, version_of))
    return project


def _scroll_down_to(box: Locator, text: str) -> None:
    # One scroll goes to the end of what is loaded at that moment, and the list grows after it: so
    # this scrolls on, frame by frame, as a person does. It looks before it scrolls.
    box.page.wait_for_function(
        """([box, text]) =>
            box.innerText.includes(text) || void box.scrollTo(0, box.scrollHeight)""",
        arg=[box.element_handle(), text],
    )


@pytest.mark.own_browser
def test_10000_versions_of_one_config_come_a_page_at_a_time(
    long_lived: str, admin: Api, ana: Open
) -> None:
    # Goal: the timeline asks for what comes into sight, and draws no more than that.
    person = ana("/projects")
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/revisions?" in request.url:
            asked.append(request.url)

    person.page.on("request", note)
    person.walk(f"/p/{long_lived}/configs/long?side=history")
    timeline = person.page.get_by_role("complementary", name="History of this config")
    rows = timeline.get_by_role("listitem")
    expect(rows.first).to_contain_text("Version 10000")
    assert len(asked) == 1
    assert rows.count() < MOST_ROWS
    versions = timeline.get_by_role("group", name="Versions")
    for oldest in (9_901, 9_801, 9_701):
        _scroll_down_to(versions, f"Version {oldest}")
        assert rows.count() < MOST_ROWS
    person.shot("timeline-long")
    assert 3 <= len(asked) <= 5
    # Any version has its address, far below what is loaded.
    person.walk(f"/p/{long_lived}/configs/long?side=history&version=17")
    expect(person.editor(re.compile("^long, version 17"))).to_contain_text('"n": 17')
    person.walk(f"/p/{long_lived}/configs/long?diff=1..10000")
    expect(person.page.get_by_test_id("diff")).to_contain_text("10000")
    answer = admin("GET", f"/v1/projects/{long_lived}/audit/verify")
    assert (answer["intact"], answer["revisions"]) == (True, VERSIONS)


def test_a_document_of_256_kib_is_edited_and_drawn_only_where_it_is_in_sight(
    admin: Api, project: str, ana: Open
) -> None:
    content = {f"field_{n}": "x" * 80 for n in range(2_500)}
    admin.put(project, "large", content)
    person = ana(f"/p/{project}/configs/large")
    expect(person.editor()).to_contain_text("field_0")
    assert person.page.locator(".cm-line").count() < 200
    person.editor().click()
    person.page.keyboard.press("ControlOrMeta+Home")
    person.page.keyboard.press("ArrowRight")
    person.page.keyboard.insert_text('\n  "typed": true,')
    expect(person.editor()).to_contain_text('"typed": true')
    person.button("Review version 2").click()
    expect(person.page.get_by_test_id("diff")).to_contain_text("typed")
    person.button("Commit version 2").click()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    assert admin.content(project, "large") == {"typed": True, **content}
