"""Members, keys and users: the key shown once, roles, the owner's dangerous acts."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import datetime

import pytest
from playwright.sync_api import expect

from tests.browser.support import Api, ApiError, Person

Open = Callable[..., Person]


def _address() -> str:
    return f"bo-{uuid.uuid4().hex[:8]}@example.org"


def test_a_new_project_shows_its_key_once(admin: Api, ana: Open) -> None:
    person = ana("/projects")
    person.button("New project").click()
    name = f"made in the page {uuid.uuid4().hex[:6]}"
    person.page.get_by_role("textbox", name="Name").fill(name)
    person.button("Make project").click()
    secret = person.page.get_by_test_id("secret")
    key = secret.inner_text()
    assert len(key) > 20
    person.shot("key-shown-once")
    assert person.axe() == []
    # Going back in the browser once took the key for ever.
    person.page.go_back()
    person.page.keyboard.press("Escape")
    expect(secret).to_have_text(key)
    command = person.page.get_by_text('curl -H "X-API-Key: $KEY"').inner_text()
    person.button("I have stored the key").click()
    expect(person.page.get_by_text("No configs yet")).to_be_visible()
    made = re.search(r"/p/([^/]+)/configs", person.page.url)
    assert made is not None
    assert command.endswith(f"{admin.url}/v1/projects/{made[1]}/configs")
    assert key not in person.page.content()


def test_the_project_key_is_rotated_with_grace_or_at_once(admin: Api, ana: Open) -> None:
    name = f"rotated {uuid.uuid4().hex[:6]}"
    made = admin("POST", "/v1/projects", {"name": name})
    project, first = made["id"], made["api_key"]
    path = f"/v1/projects/{project}/configs"
    person = ana(f"/p/{project}/access")

    def rotate(ends: str) -> str:
        person.button("Replace the project key…").click()
        person.page.get_by_role("combobox", name="The old key ends").click()
        person.page.get_by_role("option", name=ends).click()
        person.button("Make a new project key").click()
        key = person.page.get_by_test_id("secret").inner_text()
        person.button("I have stored the key").click()
        return key

    second = rotate("in 1 hour")
    for key in (first, second):
        assert admin._send("GET", path, None, {"X-API-Key": key})["items"] == []
    third = rotate("at once")
    assert admin._send("GET", path, None, {"X-API-Key": third})["items"] == []
    with pytest.raises(ApiError, match="401"):
        admin._send("GET", path, None, {"X-API-Key": second})


def test_members_are_added_changed_and_removed(admin: Api, project: str, ana: Open) -> None:
    email, password = _address(), "a member's long password"
    admin.make_user(email, password)
    member = admin.as_user(email, password)
    person = ana(f"/p/{project}/access")
    members = person.page.get_by_role("region", name="Members")
    members.get_by_placeholder("Choose a person").fill(email[:11])
    person.page.get_by_role("option", name=email).click()
    members.get_by_role("button", name="Add member").click()
    expect(members.get_by_role("listitem").filter(has_text=email)).to_be_visible()
    assert member("GET", f"/v1/projects/{project}")["id"] == project
    person.shot("members")
    assert person.axe() == []
    members.get_by_label(f"Role of {email}").click()
    person.page.get_by_role("option", name=re.compile("^Editor")).click()
    expect(members.get_by_label(f"Role of {email}")).to_have_value(re.compile("^Editor"))
    members.get_by_role("button", name=f"Remove {email}").click()
    expect(members.get_by_role("listitem").filter(has_text=email)).to_have_count(0)
    with pytest.raises(ApiError, match="404"):
        member("GET", f"/v1/projects/{project}")


def test_a_named_key_is_made_and_ended(admin: Api, project: str, ana: Open) -> None:
    for config in ("web.theme", "pay.limit"):
        admin.put(project, config, {"dark": True})
    person = ana(f"/p/{project}/access")
    person.button("New key").click()
    person.page.get_by_role("textbox", name="Name").fill("pipeline")
    person.page.get_by_label("Only under").fill("web.")
    person.page.get_by_label("Ends").fill("2099-02-03T04:05")
    person.button("Make key").click()
    key = person.page.get_by_test_id("secret").inner_text()
    person.button("I have stored the key").click()
    # The second dialog was asked for in the first: the focus is where the first was asked for.
    expect(person.button("New key")).to_be_focused()
    path = f"/v1/projects/{project}/configs"
    seen = admin._send("GET", path, None, {"X-API-Key": key})["items"]
    assert [each["key"] for each in seen] == ["web.theme"]
    (listed,) = admin("GET", f"/v1/projects/{project}/keys")["items"]
    # What was typed is of the reader's zone, which is the machine's.
    ends = datetime.fromisoformat("2099-02-03T04:05").astimezone()
    assert datetime.fromisoformat(listed["expires_at"]) == ends
    assert admin._send("GET", "/v1/me", None, {"X-API-Key": key})["name"] == "pipeline"
    person.button("End the key pipeline").click()
    dialog = person.page.get_by_role("dialog")
    dialog.get_by_label(re.compile("^Type ")).fill("pipeline")
    dialog.get_by_role("button", name="End this key").click()
    expect(person.page.get_by_text("No named keys")).to_be_visible()
    with pytest.raises(ApiError, match="401"):
        admin._send("GET", path, None, {"X-API-Key": key})


def _end(person: Person, key: str) -> None:
    person.button(f"End the key {key}").click()
    dialog = person.page.get_by_role("dialog")
    dialog.get_by_label(re.compile("^Type ")).fill(key)
    dialog.get_by_role("button", name="End this key").click()
    expect(person.page.get_by_role("cell", name=key, exact=True)).to_have_count(0)


def test_the_focus_stays_among_the_keys_when_one_is_ended(
    admin: Api, project: str, ana: Open
) -> None:
    # The button that asked for it goes with its row, and the focus once with the button.
    for name in ("a", "b", "c"):
        admin("POST", f"/v1/projects/{project}/keys", {"name": name, "role_level": "viewer"})
    person = ana(f"/p/{project}/access")
    names = person.page.get_by_role("group", name="Keys").locator("tbody td:first-child")
    expect(names).to_have_count(3)
    first, second, third = names.all_inner_texts()
    _end(person, second)
    expect(person.button(f"End the key {third}")).to_be_focused()
    _end(person, third)
    expect(person.button(f"End the key {first}")).to_be_focused()
    _end(person, first)
    expect(person.button("New key")).to_be_focused()


def test_the_focus_stays_among_the_members_and_the_users_when_one_goes(
    admin: Api, project: str, ana: Open
) -> None:
    emails = sorted(_address() for _ in range(2))
    for email in emails:
        user = admin.make_user(email, "a member's long password")
        admin("PUT", f"/v1/projects/{project}/roles/{user}", {"role_level": "viewer"})
    person = ana(f"/p/{project}/access")
    members = person.page.get_by_role("region", name="Members")
    acts = members.get_by_role("button", name=re.compile("^Remove bo-"))
    expect(acts).to_have_count(2)
    acts.first.click()
    expect(acts).to_have_count(1)
    expect(acts).to_be_focused()
    acts.click()
    expect(acts).to_have_count(0)
    expect(members.get_by_role("heading", name="Members")).to_be_focused()
    person.walk("/users")
    acts = person.button(re.compile("^Delete "))
    expect(acts.first).to_be_visible()
    names = [str(each.get_attribute("aria-label")) for each in acts.all()]
    gone = names.index(f"Delete {emails[0]}")
    after = names[gone + 1] if gone + 1 < len(names) else names[gone - 1]
    person.button(names[gone]).click()
    dialog = person.page.get_by_role("dialog")
    dialog.get_by_label(re.compile("^Type ")).fill(emails[0])
    dialog.get_by_role("button", name="Delete this user").click()
    expect(person.button(names[gone])).to_have_count(0)
    expect(person.button(after)).to_be_focused()


def test_superusers_make_and_remove_users(admin: Api, ana: Open) -> None:
    email = _address()
    person = ana("/users")
    person.button("New user").click()
    person.page.get_by_label("Email").fill(email)
    person.page.get_by_role("textbox", name="First password").fill("a first long password")
    person.button("Make user").click()
    expect(person.page.get_by_role("listitem").filter(has_text=email)).to_be_visible()
    # Nobody locks themselves out.
    myself = person.page.get_by_role("listitem").filter(has_text=f"{admin.email} (you)")
    expect(myself).to_be_visible()
    expect(myself.get_by_role("button")).to_have_count(0)
    person.shot("users")
    assert person.axe() == []
    row = person.page.get_by_role("listitem").filter(has_text=email)
    may_sign_in = row.get_by_role("switch", name=f"{email} can sign in")
    for badges, disabled in ((1, True), (0, False)):
        may_sign_in.press("Space")
        expect(row.get_by_text("disabled", exact=True)).to_have_count(badges)
        (user,) = (
            each for each in admin("GET", "/v1/users?limit=500")["items"] if each["email"] == email
        )
        assert user["disabled"] is disabled
    person.button(f"Delete {email}").click()
    dialog = person.page.get_by_role("dialog")
    dialog.get_by_label(re.compile("^Type ")).fill(email)
    dialog.get_by_role("button", name="Delete this user").click()
    expect(row).to_have_count(0)


def test_superusers_set_a_password_and_end_the_sign_ins(
    admin: Api, someone: Open, ana: Open
) -> None:
    email, old, new = _address(), "the first long password", "the second long password"
    admin.make_user(email, old)
    them = someone()
    them.sign_in("/account", email, old)
    them.expected_statuses.add(401)
    person = ana("/users")
    person.expected_statuses.add(422)
    act = person.button(f"Set password of {email}")
    act.focus()
    person.page.keyboard.press("Enter")
    dialog = person.page.get_by_role("dialog", name=f"Set password of {email}")
    field = dialog.get_by_role("textbox", name="New password")
    expect(field).to_be_focused()
    expect(dialog.get_by_role("button", name="Set password")).to_be_disabled()
    person.page.keyboard.type("too short")
    person.page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("The password cannot be used")
    person.shot("set-password")
    assert person.axe() == []
    field.press("ControlOrMeta+a")
    person.page.keyboard.type(new)
    person.page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(act).to_be_focused()
    row = person.page.get_by_role("listitem").filter(has_text=email)
    expect(row).to_contain_text("new password set")
    assert admin.as_user(email, new)("GET", "/v1/me")["email"] == email
    them.open("/account")
    expect(them.button("Sign in")).to_be_visible()
    # One's own is changed with the old one, and the own sign-in goes on.
    expect(person.button(f"Set password of {admin.email}")).to_have_count(0)


def test_nobody_becomes_a_superuser_by_one_click(admin: Api, ana: Open) -> None:
    email = _address()
    user = admin.make_user(email, "a first long password")

    def is_superuser() -> bool:
        users = admin("GET", "/v1/users?limit=500")["items"]
        return bool(next(each["is_superuser"] for each in users if each["id"] == user))

    person = ana("/users")
    row = person.page.get_by_role("listitem").filter(has_text=email)
    act = row.locator("label, button", has_text="superuser").first
    for given in (True, False):
        act.click()
        dialog = person.page.get_by_role("dialog", name=re.compile(re.escape(email)))
        expect(dialog).to_contain_text(
            "may do everything" if given else "no longer see other projects"
        )
        confirm = dialog.get_by_role("button", name=re.compile("superuser$|right away$"))
        expect(confirm).to_be_disabled()
        assert is_superuser() is not given
        person.shot(f"superuser-{'given' if given else 'taken'}")
        assert person.axe() == []
        dialog.get_by_label(re.compile("^Type ")).fill(email)
        confirm.click()
        expect(dialog).to_have_count(0)
        expect(row.locator(".badge", has_text="superuser")).to_have_count(1 if given else 0)
        expect(row.get_by_role("button", name=re.compile("superuser"))).to_be_focused()
        assert is_superuser() is given


def test_who_is_no_superuser_is_told_whom_to_ask(admin: Api, someone: Open) -> None:
    email, password = _address(), "a member's long password"
    admin.make_user(email, password)
    person = someone()
    person.sign_in("/users", email, password)
    expect(person.page.get_by_text("add a person or to set a new password")).to_be_visible()


def test_the_users_fit_a_narrow_screen(admin: Api, ana: Open) -> None:
    emails = [_address(), f"{'a' * 60}-{uuid.uuid4().hex[:3]}@{'example.' * 6}org"]
    users = [admin.make_user(email, "a password that is long", True) for email in emails]
    person = ana("/users", viewport={"width": 390, "height": 800})
    rows = person.page.get_by_role("region", name="Users").get_by_role("listitem")
    for email in emails:
        expect(rows.filter(has_text=email)).to_be_visible()
    # A row that cannot wrap does not scroll: it cuts what stands at its end.
    cut = person.page.evaluate(
        """[...document.querySelectorAll("#main li :is(button, .badge, .mantine-Button-label)")]
            .filter(each => each.scrollWidth > each.clientWidth).map(each => each.innerText)"""
    )
    rows.filter(has_text=emails[1]).scroll_into_view_if_needed()
    person.shot("narrow-users")
    assert person.axe() == []
    assert cut == []
    for user in users:
        admin("DELETE", f"/v1/users/{user}")


def test_a_password_is_changed(admin: Api, someone: Open) -> None:
    email, old, new = _address(), "the first long password", "the second long password"
    admin.make_user(email, old)
    person = someone()
    person.sign_in("/account", email, old)
    person.page.get_by_role("textbox", name="Current password").fill(old)
    person.page.get_by_role("textbox", name="New password").first.fill(new)
    person.page.get_by_role("textbox", name="New password again").fill(new)
    person.shot("account")
    person.button("Change password").click()
    expect(person.page.get_by_text("The password is changed")).to_be_visible()
    assert admin.as_user(email, new)("GET", "/v1/me")["email"] == email


def test_a_project_is_deleted_only_after_its_name_is_typed(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "a", 1)
    name = admin("GET", f"/v1/projects/{project}")["name"]
    person = ana(f"/p/{project}/settings")
    expect(person.button("Delete project…")).to_be_visible()
    person.shot("settings")
    assert person.axe() == []
    person.button("Delete project…").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 config is")
    act = dialog.get_by_role("button", name="Delete this project")
    expect(act).to_be_disabled()
    dialog.get_by_label(re.compile("^Type ")).fill(name)
    person.expected_statuses.add(404)
    act.click()
    expect(person.page).to_have_url(re.compile("/projects$"))
    with pytest.raises(ApiError, match="404"):
        admin("GET", f"/v1/projects/{project}")
