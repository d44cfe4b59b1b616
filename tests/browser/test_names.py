"""Names stand where the document has them, also those that JavaScript would put first."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, expect

from tests.browser.support import Api, Person

Open = Callable[..., Person]
CONTENT = {"region": "eu", "10": {"limit": 3, "2": 1}, "2": {"limit": 5}, "1": 2**63 - 1}


def _in_order(text: str) -> re.Pattern[str]:
    """The document as the page shows it, whatever stands between its tokens."""
    tokens = re.findall(r'"[^"]*"|[\w.]+|\S', text)
    return re.compile(r"\s*".join(map(re.escape, tokens)))


def _said(content: Any) -> str:
    """Unlike `==`, this also tells in which order the names are."""
    return json.dumps(content)


def _shown(place: Locator, content: Any) -> None:
    expect(place).to_have_text(_in_order(_said(content)))


def test_one_value_is_changed_and_every_name_stays_in_its_place(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limits", CONTENT)
    person = ana(f"/p/{project}/configs/limits")
    _shown(person.editor(), CONTENT)
    person.editor().get_by_text('"eu"').dblclick()
    person.page.keyboard.type("us")
    person.button("Format").click()
    changed = {**CONTENT, "region": "us"}
    _shown(person.editor(), changed)
    person.shot("names-editor")
    person.button("Review version 2").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog.locator(".cm-merge-a .cm-changedLine")).to_have_count(1)
    person.shot("names-review")
    person.button("Commit version 2").click()
    expect(dialog).to_have_count(0)
    assert _said(admin.content(project, "limits")) == _said(changed)
    # What is typed in another order is formatted in that order.
    typed = '{"z": 1, "3": {"b": 1, "0": 2}, "1": 1.50}'
    person.type_document(typed)
    person.button("Format").click()
    expect(person.editor()).to_have_text(_in_order(typed))
    expect(person.editor().locator(".cm-line")).to_have_count(8)


def test_the_form_and_the_history_show_names_in_the_documents_order(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limits", {**CONTENT, "region": "us"})
    admin.put(project, "limits", CONTENT, 1)
    person = ana(f"/p/{project}/configs/limits?view=form")
    form = person.page.get_by_role("group", name="The document as a form")
    expect(form.get_by_role("textbox", name="region")).to_be_visible()
    labels = form.locator("label, .group-head").all_inner_texts()
    assert labels == ["region", "10", "limit", "2", "2", "limit", "1"]
    person.shot("names-form")
    form.get_by_role("textbox", name="region").fill("asia")
    person.button("Review version 3").click()
    person.button("Commit version 3").click()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    changed = {**CONTENT, "region": "asia"}
    assert _said(admin.content(project, "limits")) == _said(changed)
    person.walk(f"/p/{project}/configs/limits?version=2")
    _shown(person.page.get_by_role("textbox", name="limits, version 2"), CONTENT)


def test_a_merge_leaves_names_in_their_place(admin: Api, project: str, ana: Open) -> None:
    admin.put(project, "limits", CONTENT)
    person = ana(f"/p/{project}/configs/limits")
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    person.type_document(json.dumps({**CONTENT, "2": {"limit": 6}}))
    theirs = {"region": "us", "7": True, **{k: v for k, v in CONTENT.items() if k != "region"}}
    admin.put(project, "limits", theirs, 1)
    person.button("Merge").click()
    merged = {**theirs, "2": {"limit": 6}}
    _shown(person.page.get_by_label("Result of the merge"), merged)
    person.shot("names-merge")
    person.button("Go on editing on version 2").click()
    person.button("Review version 3").click()
    person.button("Commit version 3").click()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    assert _said(admin.content(project, "limits")) == _said(merged)


def test_a_new_version_that_comes_is_shown_as_it_is(admin: Api, project: str, ana: Open) -> None:
    # What the page held before must not lend it the order of names, nor spoil a large number.
    admin.put(project, "limits", CONTENT)
    person = ana(f"/p/{project}/configs/limits")
    _shown(person.editor(), CONTENT)
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    turned = dict(reversed(CONTENT.items()))
    for version, newer in enumerate((turned, {**turned, "1": 2**63 - 3}), start=1):
        admin.put(project, "limits", newer, version)
        _shown(person.editor(), newer)


def test_a_new_order_of_names_is_an_edit_that_a_mark_to_delete_does_not_lose(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limits", {"a": 1, "b": 1})
    person = ana(f"/p/{project}/configs/limits")
    expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
    person.type_document('{"b": 1, "a": 1}')
    person.button("Delete…").click()
    admin.put(project, "limits", {"a": 1, "b": 2}, 1)
    person.button("Look at it and decide").click()
    person.button("Drop the mark and merge what I typed").click()
    _shown(person.page.get_by_label("Result of the merge"), {"b": 2, "a": 1})
