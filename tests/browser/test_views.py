"""Every view: by keyboard, without accessibility violations, narrow, at 200 %, in both themes."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.support import Api, Person, step

Open = Callable[..., Person]


@pytest.fixture
def filled(admin: Api, project: str) -> str:
    """A project with something in each view."""
    for key in ("checkout.flags", "payments.limits.eu", "payments.limits.us", "web"):
        admin.put(project, key, {"daily": 5000, "currency": "EUR", "on": True}, comment="first")
    admin.put(project, "payments.limits.eu", {"daily": 6000, "currency": "EUR"}, 1, comment="more")
    return project


def test_the_cluster_page_draws_the_raft_group(ana: Open) -> None:
    person = ana("/cluster")
    members = person.page.get_by_role("region", name="Members of the Raft group")
    expect(members.get_by_role("row")).to_have_count(4)
    expect(members).to_contain_text("leader")
    term = person.page.get_by_text("Term", exact=True).locator("..")
    expect(term).to_have_text(re.compile(r"^Term\s*[1-9][0-9]*$"))
    expect(person.page.get_by_role("img", name=re.compile("Log growth"))).to_be_visible()
    # `lag` counts the log's messages; positions go by hundreds from one to the next.
    unapplied = person.page.get_by_role("img", name=re.compile("not yet applied"))
    expect(unapplied).to_have_accessible_name(re.compile(r"^Messages .* messages now"))
    expect(person.page.get_by_role("main")).not_to_contain_text("entries")
    person.shot("cluster")
    assert person.axe() == []


def test_what_the_machine_asks_for_is_followed_at_once(filled: str, ana: Open) -> None:
    person = ana("/projects")
    with step("less motion: no colour is on its way"):
        # A shortest time for all transitions once made one of each change, and where a colour is
        # inherited one after the other, frame by frame, from the page down to each letter.
        on_their_way = person.page.evaluate(
            """() => {
                document.documentElement.setAttribute('data-mantine-color-scheme', 'dark');
                const moving = document.getAnimations();
                return moving.filter(each => each instanceof CSSTransition).length;
            }"""
        )
        assert on_their_way == 0
    with step("another theme"):
        person.theme("dark")
        person.theme("light")
        person.theme("dark")
        person.theme("light")
    with step("colours of their own: what changed and what is chosen is seen"):
        # They take the place of every background, which alone told it: a diff showed nothing.
        person.page.emulate_media(forced_colors="active")
        person.walk(f"/p/{filled}/configs/payments.limits.eu?diff=1..2")
        diff = person.page.get_by_test_id("diff")
        chosen = person.page.get_by_role("treeitem", name=re.compile("^eu"))
        plain = diff.locator(".cm-line:not(.cm-changedLine)").first
        background = "each => getComputedStyle(each).backgroundColor"
        changed = diff.locator(".cm-changedText").first
        assert changed.evaluate(background) != plain.evaluate(background)
        line = diff.locator(".cm-changedLine").first
        assert line.evaluate("each => getComputedStyle(each).outlineStyle") == "solid"
        other = person.page.get_by_role("treeitem", name=re.compile("^us"))
        assert chosen.evaluate(background) != other.evaluate(background)
        person.shot("forced-colours")


def test_no_view_has_accessibility_violations(filled: str, ana: Open) -> None:
    person = ana("/projects")
    found: list[str] = []
    heads = {
        "/projects": "Projects",
        f"/p/{filled}/configs": "No config is open",
        f"/p/{filled}/configs/payments.limits.eu?side=history": "payments.limits.eu",
        f"/p/{filled}/configs?new": "New config",
        f"/p/{filled}/configs/payments.limits.eu?diff=1..2": "payments.limits.eu",
        f"/p/{filled}/changes": "Change set",
        f"/p/{filled}/history": "History",
        f"/p/{filled}/schemas": "Schemas",
        f"/p/{filled}/access": "Members & keys",
        f"/p/{filled}/settings": "Settings",
        "/cluster": "Cluster",
        "/users": "Users",
        "/account": "Your account",
        "/nowhere": "There is nothing at this address",
    }
    for path, head in heads.items():
        person.walk(path)
        expect(person.page.get_by_role("heading", name=head, exact=True).first).to_be_visible()
        person.is_loaded()
        found += [f"{path} {violation}" for violation in person.axe()]
        name = re.sub(r"[^a-z]+", "-", head.lower()).strip("-")
        person.shot(f"view-{name}{'-diff' if 'diff' in path else ''}")
        # A theme changes colours and nothing else.
        person.theme("dark")
        found += [f"dark {path} {violation}" for violation in person.axe("color-contrast")]
        person.theme("light")
    assert found == []


def test_the_whole_way_goes_by_keyboard(admin: Api, filled: str, ana: Open) -> None:
    # Goal: open, edit, review and commit without a mouse; `?` lists the keys.
    person = ana(f"/p/{filled}/configs")
    keyboard = person.page.keyboard
    expect(person.page.get_by_role("treeitem", name=re.compile("^web"))).to_be_visible()
    keyboard.press("?")
    expect(person.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    person.shot("shortcuts")
    keyboard.press("Escape")
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    keyboard.press("?")
    expect(person.page.get_by_role("dialog")).to_be_visible()
    person.page.go_back()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    keyboard.press("k")
    keyboard.press("Enter")
    expect(person.page.get_by_role("heading", name="web", exact=True)).to_be_visible()
    expect(person.editor()).to_be_visible()
    keyboard.press("h")
    expect(person.page.get_by_role("complementary")).to_be_visible()
    keyboard.press("e")
    expect(person.editor()).to_be_focused()
    keyboard.press("ControlOrMeta+a")
    keyboard.insert_text('{"by": "keyboard"}')
    expect(person.button("Review version 2")).not_to_have_attribute("aria-disabled", "true")
    keyboard.press("ControlOrMeta+s")
    expect(person.page.get_by_role("dialog")).to_contain_text("The service would accept this")
    keyboard.press("ControlOrMeta+Enter")
    expect(person.page.get_by_text("version 2", exact=True)).to_be_visible()
    assert admin.content(filled, "web") == {"by": "keyboard"}
    # The watch may show the new version before the answer to the commit has closed the dialog.
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    expect(person.editor()).to_be_focused()
    keyboard.press("Escape")
    keyboard.press("/")
    expect(person.page.get_by_label("Search keys and content")).to_be_focused()
    keyboard.type("limits.us")
    expect(person.page.get_by_role("option", name=re.compile("limits.us"))).to_be_visible()
    keyboard.press("Enter")
    expect(person.page).to_have_url(re.compile(r"payments\.limits\.us"))


@pytest.mark.parametrize(
    ("name", "width", "height", "scale"), [("narrow", 390, 800, 1), ("zoomed", 680, 430, 2)]
)
def test_narrow_screens_and_200_percent_lose_nothing(
    filled: str, ana: Open, name: str, width: int, height: int, scale: int
) -> None:
    # 1360 by 860 at 200 % is what a page of 680 by 430 is laid out as.
    size = {"width": width, "height": height}
    person = ana(f"/p/{filled}/configs", viewport=size, device_scale_factor=scale)
    person.page.get_by_role("treeitem", name=re.compile("^web")).click()
    expect(person.editor()).to_be_visible()
    person.shot(f"{name}-config")
    assert person.axe() == []
    heads = {
        f"/p/{filled}/history": "History",
        f"/p/{filled}/access": "Members & keys",
        f"/p/{filled}/schemas": "Schemas",
        f"/p/{filled}/changes": "Change set",
        "/cluster": "Cluster",
        "/users": "Users",
        f"/p/{filled}/configs": "Configs",
    }
    for path, head in heads.items():
        person.walk(path)
        expect(person.page.get_by_role("heading", name=head, exact=True).first).to_be_attached()
        person.is_loaded()
        assert person.too_wide() == [], path
    if width < 600:
        person.button("Open the menu").click()
        expect(person.page.get_by_role("link", name="Cluster")).to_be_visible()
        person.shot(f"{name}-menu")


@pytest.mark.parametrize(("name", "width"), [("narrow", 390), ("wide", 1360)])
def test_the_longest_names_break_nothing(admin: Api, ana: Open, name: str, width: int) -> None:
    # A key, an email, a comment and a project's name as long as the service takes them.
    email = f"{'a' * 64}@{name}.{'example.' * 12}org"
    user = admin.make_user(email, "a password that is long")
    project = admin.make_project("a project with a name that does not end " * 4)
    key = ".".join(["payments"] * 20) + ".limits"
    admin.put(project, key, {"x" * 200: "y" * 2_000}, comment="because " * 100)
    admin("PUT", f"/v1/projects/{project}/roles/{user}", {"role_level": "editor"})
    schema = admin.make_schema("s" * 200, {"type": "object"}, project)
    theirs = {"schema_id": schema, "comment": "w" * 500}
    them = admin.as_user(email, "a password that is long")
    them.put(project, key, {"x" * 200: "z" * 2_000}, 1, **theirs)
    named = {"name": "k" * 100, "role_level": "editor", "prefix": key[:170].rstrip(".")}
    admin("POST", f"/v1/projects/{project}/keys", named)
    person = ana(f"/p/{project}/configs", viewport={"width": width, "height": 860})
    page = person.page
    page.mouse.move(0, 0)  # over nothing that shows a hint
    config = f"configs/{key}"
    # What only that view has, so that nobody looks at the one before.
    marks = {
        "configs": page.get_by_role("heading", name="Configs", exact=True),
        config: page.get_by_role("heading", name=key, exact=True),
        f"{config}?side=history": page.get_by_role("complementary"),
        f"{config}?view=form": page.get_by_role("group", name="The document as a form"),
        f"{config}?diff=1..2": page.get_by_test_id("diff"),
        "history": page.get_by_role("heading", name="History", exact=True),
        "access": page.get_by_role("heading", name="Members & keys", exact=True),
        "schemas": page.get_by_role("heading", name="Schemas", exact=True),
        f"schemas/{schema}": page.get_by_role("heading", name="s" * 200),
        "settings": page.get_by_role("heading", name="Settings", exact=True),
    }
    for number, (path, mark) in enumerate(marks.items()):
        person.walk(f"/p/{project}/{path}")
        expect(mark.first).to_be_attached()
        person.is_loaded()
        for other in (768, 1920, width) if name == "wide" else (width,):
            page.set_viewport_size({"width": other, "height": 860})
            assert person.too_wide() == [], (path, other)
        assert person.axe() == [], path
        person.shot(f"long-{name}-{number}")
    person.expected_statuses.add(404)  # of the page, which goes on to watch
    admin("DELETE", f"/v1/users/{user}")
    admin("DELETE", f"/v1/projects/{project}")


PACKED = """() => performance.getEntriesByType('resource')
    .filter(each => /[.](js|css)$/.test(each.name) && each.decodedBodySize > 10_000)
    .map(each => [each.encodedBodySize, each.decodedBodySize])"""
"""The sizes of the page's larger files on the line, and of what is in them."""


def test_reload_back_and_forward_keep_the_place(filled: str, ana: Open) -> None:
    person = ana(f"/p/{filled}/configs/web")
    person.page.get_by_role("treeitem", name=re.compile("^eu")).click()
    expect(person.page.get_by_role("heading", name="payments.limits.eu")).to_be_visible()
    person.button("History").click()
    expect(person.page.get_by_role("complementary")).to_be_visible()
    sizes = person.page.evaluate(PACKED)
    assert sizes
    assert all(packed < whole for packed, whole in sizes), sizes
    person.page.reload()
    expect(person.page.get_by_role("complementary")).to_be_visible()
    person.page.go_back()
    expect(person.page.get_by_role("complementary")).to_have_count(0)
    person.page.go_back()
    expect(person.page.get_by_role("heading", name="web", exact=True)).to_be_visible()
    person.page.go_forward()
    expect(person.page.get_by_role("heading", name="payments.limits.eu")).to_be_visible()


def test_from_the_cluster_one_goes_back_to_the_project_by_one_step(
    admin: Api, project: str, ana: Open
) -> None:
    # The way back was lost: the project had to be looked for again.
    admin.put(project, "limit", 1)
    person = ana(f"/p/{project}/configs/limit")
    rail = person.page.get_by_role("navigation", name="Main")
    rail.get_by_role("link", name="Cluster").click()
    expect(person.page.get_by_role("heading", level=1, name="Cluster")).to_be_visible()
    rail.get_by_role("link", name="History").click()
    expect(person.page).to_have_url(re.compile(f"/p/{project}/history$"))
    rail.get_by_role("link", name="Cluster").click()
    expect(person.page.get_by_role("heading", level=1, name="Cluster")).to_be_focused()
    person.page.keyboard.press("g")
    person.page.keyboard.press("c")
    expect(person.page).to_have_url(re.compile(f"/p/{project}/configs$"))
    # What is gone leads nowhere.
    rail.get_by_role("link", name="Settings").click()
    person.button("Delete project…").click()
    name = admin("GET", f"/v1/projects/{project}")["name"]
    dialog = person.page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill(name)
    person.expected_statuses.add(404)
    dialog.get_by_role("button", name="Delete this project").click()
    expect(person.page.get_by_role("heading", level=1, name="Projects")).to_be_visible()
    expect(rail.get_by_role("link", name="History")).to_have_count(0)
