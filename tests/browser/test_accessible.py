"""Every dialog, by keyboard and as a screen reader hears of it: named, entered, left, returned."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Locator, expect

from tests.browser.support import Api, Person, step

Open = Callable[..., Person]


@dataclass(frozen=True)
class Asked:
    """A dialog, where it is asked for, and how."""

    path: str
    button: str | re.Pattern[str]
    name: str | re.Pattern[str]
    draft: str = ""
    """What is typed into the config first."""
    about: str | re.Pattern[str] = ""
    """The one sentence that it is described with."""


DIALOGS = {
    "project": Asked("/projects", "New project", "New project"),
    "user": Asked("/users", "New user", "New user"),
    "password": Asked(
        "/users",
        "Set password of {other}",
        "Set password of {other}",
        about="Their old password ends, and every sign-in of theirs.",
    ),
    "superuser": Asked(
        "/users",
        "Make superuser: {other}",
        "Make {other} a superuser",
        about=re.compile("^A superuser may do everything.* superusers.$"),
    ),
    "delete user": Asked(
        "/users",
        "Delete {other}",
        "Delete a user",
        about=re.compile("^They can no longer sign in.* nothing else goes.$"),
    ),
    "delete project": Asked(
        "/p/{project}/settings",
        "Delete project…",
        "Delete {name}",
        about=re.compile("^1 config is removed.* back here.$"),
    ),
    "project key": Asked(
        "/p/{project}/access",
        "Replace the project key…",
        "Replace the project key",
        about=re.compile("^Programs that still send.* ends.$"),
    ),
    "key": Asked("/p/{project}/access", "New key", "New key"),
    "end key": Asked(
        "/p/{project}/access",
        "End the key pipeline",
        "End a key",
        about=re.compile("^Whatever still sends it.* now on.$"),
    ),
    "schema": Asked("/p/{project}/schemas", "New schema", "New schema"),
    "delete schema": Asked(
        "/p/{project}/schemas/{schema}",
        "Delete schema…",
        "Delete the schema",
        about=re.compile("^A schema that live configs are bound to.* are.$"),
    ),
    "roll back": Asked(
        "/p/{project}/configs/limit?side=history",
        "Roll back… to version 1",
        re.compile("Roll back"),
    ),
    "project roll back": Asked(
        "/p/{project}/history?at={moment}",
        "Roll the project back to this moment…",
        re.compile("Roll"),
        about=re.compile("^Together, or not at all.* version.$"),
    ),
    # Its draft stays behind.
    "review": Asked(
        "/p/{project}/configs/limit", "Review version 3", re.compile("limit"), '{"daily": 3}'
    ),
}


def test_what_the_search_finds_is_told_to_who_does_not_see_it(
    admin: Api, project: str, ana: Open
) -> None:
    for key in ("limit.eu", "limit.us", "web"):
        admin.put(project, key, 1)
    person = ana(f"/p/{project}/configs")
    expect(person.page.get_by_text("3 configs")).to_be_visible()
    person.page.keyboard.press("/")
    field = person.page.get_by_role("combobox", name="Search keys and content")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-expanded", "false")
    person.page.keyboard.type("limit")
    told = person.page.get_by_role("status", name="Search")
    expect(told).to_have_text("2 found")
    expect(field).to_have_attribute("aria-expanded", "true")
    person.page.keyboard.press("ArrowDown")
    marked = person.page.locator("[role=option][data-combobox-selected]")
    expect(field).to_have_attribute("aria-activedescendant", str(marked.get_attribute("id")))
    person.shot("search-found")
    assert person.axe() == []
    person.page.keyboard.type("less")
    expect(told).to_have_text("Nothing found")


def test_the_focus_is_seen_in_every_text(admin: Api, project: str, ana: Open) -> None:
    # A text that is only read has no other sign of it than a caret.
    admin.put(project, "limit", {"daily": 1})
    admin.put(project, "limit", {"daily": 2}, 1)
    for address, label in (("?version=1", "limit, version 1"), ("?diff=1..2", "version 2")):
        person = ana(f"/p/{project}/configs/limit{address}")
        text = person.editor(re.compile(label)).last
        text.focus()
        expect(text).to_be_focused()
        ring = text.evaluate("each => getComputedStyle(each.closest('.cm-editor')).outlineStyle")
        assert ring == "solid"


def _focus_is_in(dialog: Locator) -> bool:
    return bool(dialog.evaluate("dialog => dialog.contains(document.activeElement)"))


def test_each_dialog_is_named_entered_and_left_by_keyboard_and_by_back(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 1})
    moment = admin("GET", f"/v1/projects/{project}/configs/limit")["position"]
    admin.put(project, "limit", {"daily": 2}, 1)
    admin("POST", f"/v1/projects/{project}/keys", {"name": "pipeline", "role_level": "viewer"})
    other = f"dialog-{project}@example.org"
    known = {
        "project": project,
        "moment": moment,
        "name": admin("GET", f"/v1/projects/{project}")["name"],
        "other": other,
        "user": admin.make_user(other, "a password that is long"),
        "schema": admin.make_schema(f"s {project}", {"type": "object"}, project),
    }
    person = ana("/projects")
    for which, asked in DIALOGS.items():
        with step(which):
            _goes_through(person, which, asked, known)
    admin("DELETE", f"/v1/users/{known['user']}")


def _goes_through(person: Person, which: str, asked: Asked, known: dict[str, str]) -> None:
    def said(text: str | re.Pattern[str]) -> str | re.Pattern[str]:
        return text.format(**known) if isinstance(text, str) else text

    person.walk(asked.path.format(**known))
    if asked.draft:
        person.type_document(asked.draft)
    act = person.button(said(asked.button)).first
    expect(act).not_to_have_attribute("aria-disabled", "true")
    act.focus()
    person.page.keyboard.press("Enter")
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_have_accessible_name(said(asked.name))
    expect(dialog).to_have_attribute("aria-modal", "true")
    # Not all that is in it: that is read out before anybody can do anything.
    expect(dialog).to_have_accessible_description(asked.about)
    expect(dialog.get_by_role("status", name=re.compile("Asking|Loading"))).to_have_count(0)
    person.shot(f"dialog-{which.replace(' ', '-')}")
    assert person.axe() == []
    # Once round: nothing behind the dialog is reached, and each stop is named.
    for _ in range(15):
        person.page.keyboard.press("Tab")
        assert _focus_is_in(dialog)
    person.page.keyboard.press("Escape")
    if which == "review":
        # The first Escape may leave the diff.
        person.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(act).to_be_focused()
    # Back in the browser left the whole page with the dialog.
    before = person.page.url
    person.page.keyboard.press("Enter")
    expect(dialog).to_have_accessible_name(said(asked.name))
    person.page.go_back()
    expect(dialog).to_have_count(0)
    expect(person.page).to_have_url(before)
    expect(act).to_be_visible()


def test_the_focus_goes_on_when_what_had_it_is_gone(admin: Api, project: str, ana: Open) -> None:
    # It fell on nothing after nearly every act on a config: a screen reader told nothing of it.
    admin.put(project, "limit", {"daily": 1})
    person = ana(f"/p/{project}/configs/limit")
    expect(person.editor()).to_be_visible()

    def act(name: str) -> None:
        expect(person.button(name)).not_to_have_attribute("aria-disabled", "true")
        expect(person.button(name)).to_be_enabled()
        person.button(name).focus()
        person.page.keyboard.press("Enter")

    act("Delete…")
    expect(person.button("Undo the mark")).to_be_visible()
    expect(person.page.locator("#main :focus")).to_have_count(1)
    act("Undo the mark")
    expect(person.editor()).to_be_focused()
    person.type_document('{"daily": 2}')
    act("Discard what I changed")
    expect(person.button("Review version 2")).to_be_focused()
    person.type_document('{"daily": 2}')
    act("Review version 2")
    act("Commit version 2")
    # It is the same button, which cannot be pressed now.
    expect(person.button("Review version 3")).to_be_focused()
    act("Delete…")
    act("Review deletion as version 3")
    person.expected_statuses.add(404)
    act("Delete as version 3")
    expect(person.page.get_by_text("This config was deleted as version 3")).to_be_visible()
    expect(person.page.get_by_role("heading", level=1, name="limit")).to_be_focused()
    # In a list one goes on with the next.
    for key in ("a", "b"):
        admin.put(project, key, 1)
        person.walk(f"/p/{project}/configs/{key}")
        expect(person.editor(f"Content of {key}")).to_be_visible()
        person.type_document("2", f"Content of {key}")
    person.walk(f"/p/{project}/changes")
    edit = person.page.get_by_role("region", name="Edit of a")
    edit.get_by_role("button", name="Discard").press("Enter")
    expect(person.page.get_by_label("Commit b with the others")).to_be_focused()


def test_the_focus_goes_to_the_heading_of_the_view_that_is_opened(
    admin: Api, project: str, ana: Open
) -> None:
    # It stayed on the link, or was on nothing: a screen reader told nothing of the new view.
    admin.put(project, "limit", {"daily": 1})
    admin.put(project, "web.theme", {"dark": True})
    name = admin("GET", f"/v1/projects/{project}")["name"]
    admin.make_schema("money", {"type": "object"}, project)
    person = ana(f"/p/{project}/configs")
    page = person.page
    heading = page.get_by_role("heading", level=1)
    where = f" · {name} · Config Guardian"
    expect(page).to_have_title(f"Configs{where}")

    def told(text: str, title: str) -> None:
        expect(heading).to_have_text(text)
        expect(heading).to_be_focused()
        expect(page).to_have_title(title)

    rail = page.get_by_role("navigation", name="Main")
    for link, text, title in (
        ("Change set", "Change set", f"Change set{where}"),
        ("Schemas", "Schemas", f"Schemas{where}"),
        ("Members & keys", "Members & keys", f"Members and keys{where}"),
        ("Settings", "Settings", f"Settings{where}"),
        ("Cluster", "Cluster", "Cluster · Config Guardian"),
        ("Projects", "Projects", "Projects · Config Guardian"),
    ):
        rail.get_by_role("link", name=link).press("Enter")
        told(text, title)
    page.go_back()
    told("Cluster", "Cluster · Config Guardian")
    page.go_back()
    told("Settings", f"Settings{where}")
    page.keyboard.press("g")
    page.keyboard.press("h")
    told("History", f"History{where}")
    page.keyboard.press("/")
    page.keyboard.type("limit")
    page.keyboard.press("Enter")
    told("limit", f"limit{where}")
    ring = "each => getComputedStyle(each).outlineStyle"
    assert heading.evaluate(ring) == "solid"
    # In the tree one goes on to the next.
    tree = page.get_by_role("tree", name="Configs by key")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(heading).to_have_text("web.theme")
    expect(tree).to_be_focused()
    # A field that waits for the first letter keeps the focus.
    page.keyboard.press("n")
    expect(page.get_by_role("textbox", name="Key", exact=True)).to_be_focused()
    expect(page).to_have_title(f"New config{where}")
    # Who goes by mouse sees no line round it.
    rail.get_by_role("link", name="Schemas").click()
    told("Schemas", f"Schemas{where}")
    page.get_by_role("link", name="money").click()
    told("money", "money · Schema · Config Guardian")
    assert heading.evaluate(ring) == "none"
