"""Markup in everything that people write is text wherever it is shown; nothing leaves the host."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.support import Api, Person

Open = Callable[..., Person]
SCRIPT = "<script>window.hacked = 1</script>"
IMAGE = '<img src=x onerror="window.hacked=1">'
CONTENT = {SCRIPT: IMAGE, "html": "</pre><svg onload=window.hacked=1>", "n": 1}


@pytest.fixture
def hostile(admin: Api) -> dict[str, str]:
    """A project whose name, contents, comments, schema, keys and drafts are all markup."""
    name = f"{SCRIPT} {uuid.uuid4().hex[:6]}"
    project = admin.make_project(name)
    schema = {"title": IMAGE, "description": SCRIPT, "properties": {"n": {"description": IMAGE}}}
    bound = admin.make_schema(f"{IMAGE} {uuid.uuid4().hex[:6]}", schema, project)
    admin.put(project, "hostile", CONTENT, comment=SCRIPT, schema_id=bound)
    admin.put(project, "hostile", {**CONTENT, "n": 2}, 1, comment=IMAGE)
    key = {"name": IMAGE, "role_level": "viewer"}
    admin("POST", f"/v1/projects/{project}/keys", key)
    return {"project": project, "schema": bound, "name": name}


@pytest.mark.own_browser
def test_markup_is_text_wherever_it_is_shown(
    hostile: dict[str, str], admin: Api, ana: Open
) -> None:
    project = hostile["project"]
    person = ana("/projects")
    hosts: set[str] = set()
    person.page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    expect(person.page.get_by_role("link", name=hostile["name"])).to_be_visible()
    config = f"/p/{project}/configs/hostile"
    seen = {
        f"{config}?side=history": IMAGE,
        f"{config}?view=form": SCRIPT,
        f"{config}?diff=1..2": SCRIPT,
        f"{config}?version=1": SCRIPT,
        f"{config}?rollback=1": SCRIPT,
        f"/p/{project}/configs?q={SCRIPT}": hostile["name"],
        f"{config}?at={IMAGE}": IMAGE,
        f"/p/{project}/history": SCRIPT,
        f"/p/{project}/history?at={SCRIPT}": SCRIPT,
        f"/p/{project}/schemas": IMAGE,
        f"/p/{project}/schemas/{hostile['schema']}": IMAGE,
        f"/p/{project}/access": IMAGE,
        f"/p/{project}/settings": hostile["name"],
        f"/{SCRIPT}": "There is nothing at this address",
    }
    person.expected_statuses |= {400, 404}
    for path, text in seen.items():
        person.open(path)
        shown = person.page.get_by_text(text)
        valued = person.page.locator(f"input[value={_quoted(text)}], textarea")
        expect(shown.or_(valued).first).to_be_attached()
    person.open(config)
    person.page.get_by_label("Search keys and content").fill("hacked")
    expect(person.page.get_by_role("option")).to_contain_text(SCRIPT)
    person.page.keyboard.press("Escape")
    person.type_document('{"<script>window.hacked = 1</script>": "<img src=x onerror=hacked=1>"}')
    person.editor().get_by_text("window.hacked").hover()
    person.page.get_by_role("link", name="Change set").click()
    expect(person.page.get_by_test_id("diff")).to_contain_text("onerror")
    person.shot("hostile")
    person.page.get_by_role("combobox", name="Project").click()
    expect(person.page.get_by_role("option", name=re.compile("script"))).not_to_have_count(0)
    assert person.page.evaluate("window.hacked") is None
    assert hosts == {urlsplit(person.url).netloc}


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def test_the_policy_of_the_page_allows_no_script_but_its_own(ana: Open) -> None:
    person = ana("/projects")
    with person.page.expect_response("**/projects") as answer:
        person.page.reload()
    policy = answer.value.headers["content-security-policy"]
    directives = dict(each.strip().partition(" ")[::2] for each in policy.split(";"))
    assert directives["default-src"] == "'none'" or directives["default-src"] == "'self'"
    assert directives["script-src"] == "'self'"
    person.expected_texts.append("Content Security Policy")
    with pytest.raises(Exception, match="Content Security Policy"):
        person.page.add_script_tag(content="window.hacked = 1")
    assert person.page.evaluate("window.hacked") is None
