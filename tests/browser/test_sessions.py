"""Sign-in, sign-out, and a session that ends in the middle of work."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.support import Api, Person, step

pytestmark = pytest.mark.own_browser

Open = Callable[..., Person]


def test_a_wrong_password_is_said_and_the_right_one_leads_where_one_wanted_to_go(
    admin: Api, project: str, someone: Open
) -> None:
    person = someone()
    person.expected_statuses.add(401)
    person.open(f"/p/{project}/settings")
    person.page.get_by_label("Email").fill(admin.email)
    person.page.get_by_role("textbox", name="Password").fill("not the password")
    person.button("Sign in").click()
    expect(person.page.get_by_text("The email or the password is not right")).to_be_visible()
    person.shot("sign-in")
    assert person.axe() == []
    person.page.get_by_role("textbox", name="Password").fill(admin.password)
    person.button("Sign in").click()
    expect(person.page.get_by_role("heading", name="Settings")).to_be_visible()
    assert person.page.url.endswith(f"/p/{project}/settings")


def test_a_session_goes_on_until_it_is_signed_out(ana: Open) -> None:
    person = ana("/projects")
    signed_in = person.page.get_by_role("navigation", name="Main")
    with step("after a reload, without any token in storage"):
        person.page.reload()
        expect(signed_in).to_be_visible()
        stored = person.page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
        assert not re.search(r"eyJ|refresh", stored)
        assert person.page.evaluate("document.cookie") == ""
        assert any(cookie["httpOnly"] for cookie in person.context.cookies())
    with step("a sign-out that failed is told"):
        # Nobody leaves a machine that they only believe to be signed out of.
        person.expected_statuses |= {503}
        person.page.route("**/v1/auth/logout", lambda route: route.fulfill(status=503, body="{}"))
        person.button(re.compile("^Account of")).click()
        person.page.get_by_role("menuitem", name="Sign out").click()
        expect(person.page.get_by_text("You are still signed in")).to_be_visible()
        person.page.unroute("**/v1/auth/logout")
    with step("a sign-out ends the session for good"):
        person.button(re.compile("^Account of")).click()
        person.page.get_by_role("menuitem", name="Sign out").click()
        expect(person.button("Sign in")).to_be_visible()
        person.page.reload()
        expect(person.button("Sign in")).to_be_visible()


def test_who_signs_in_next_finds_nothing_of_who_was_there(
    admin: Api, project: str, ana: Open
) -> None:
    email, password = f"next-{project}@example.org", "the next one's password"
    admin.make_user(email, password)
    person = ana("/projects")
    mine = person.page.get_by_role("link", name=admin("GET", f"/v1/projects/{project}")["name"])
    expect(mine).to_be_visible()
    person.button(re.compile("^Account of")).click()
    person.page.get_by_role("menuitem", name="Sign out").click()
    # Without loading the page anew, which would forget everything by itself.
    person.page.get_by_label("Email").fill(email)
    person.page.get_by_role("textbox", name="Password").fill(password)
    person.button("Sign in").click()
    expect(person.button(f"Account of {email}")).to_be_visible()
    expect(person.page.get_by_text("No projects yet")).to_be_visible()
    expect(mine).to_have_count(0)


def test_the_session_is_renewed_in_silence_before_it_runs_out(
    admin: Api, project: str, someone: Open
) -> None:
    # Method: the page's clock jumps; the renewal that this makes due is the service's own.
    admin.put(project, "limit", {"daily": 5000})
    person = someone()
    person.page.clock.install()
    person.sign_in(f"/p/{project}/configs/limit", admin.email, admin.password)
    person.type_document('{"daily": 4242}')
    with person.page.expect_response("**/v1/auth/refresh") as answer:
        person.page.clock.fast_forward("01:00:00")
    assert answer.value.status == 200
    expect(person.editor()).to_contain_text("4242")
    person.button("Review version 2").click()
    person.button("Commit version 2").click()
    expect(person.page.get_by_role("dialog")).to_have_count(0)
    assert admin.content(project, "limit") == {"daily": 4242}


def test_two_tabs_renew_one_after_the_other(ana: Open) -> None:
    # A refresh token that is used twice ends its whole family: tabs must take turns.
    person = ana("/projects")
    tabs = [person.context.new_page() for _ in range(3)]
    for tab in tabs:
        tab.goto(person.url + "/projects", wait_until="commit")
    for tab in tabs:
        expect(tab.get_by_role("navigation", name="Main")).to_be_visible()


def test_a_session_that_ended_keeps_the_place_and_what_was_typed(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", {"daily": 5000})
    person = ana(f"/p/{project}/configs/limit")
    person.expected_statuses |= {401, 403}
    person.type_document('{"daily": 4242}')
    expect(person.button("Review version 2")).not_to_have_attribute("aria-disabled", "true")
    # The session is ended elsewhere: its cookie and its access token are worth nothing now.
    person.page.evaluate(
        """() => fetch('/v1/auth/logout', {
            method: 'POST', body: '{}', headers: {'Content-Type': 'application/json'}})"""
    )
    person.context.clear_cookies()
    dialog = person.page.get_by_role("dialog", name="Your session has ended")
    expect(dialog).to_be_visible()
    person.shot("session-ended")
    dialog.get_by_role("textbox", name="Password").fill(admin.password)
    dialog.get_by_role("button", name="Sign in and go on").click()
    expect(dialog).to_have_count(0)
    assert f"/p/{project}/configs/limit" in person.page.url
    expect(person.editor()).to_contain_text("4242")
    # What others do is seen again, too.
    expect(person.page.get_by_text("Live", exact=True).first).to_be_visible()
    admin.put(project, "another", {"n": 1})
    expect(person.page.get_by_text("another").first).to_be_visible()
    # A tab beside it that signs out ends it here, too; one that signs in again lets it go on.
    beside = Person(person.context, person.context.new_page(), person.url, {401})
    beside.open("/projects")
    beside.button("Account of").click()
    beside.page.get_by_role("menuitem", name="Sign out").click()
    expect(dialog).to_be_visible()
    beside.page.get_by_role("textbox", name="Password").fill(admin.password)
    beside.button("Sign in").click()
    expect(dialog).to_have_count(0)
    expect(person.page.get_by_text("Live", exact=True).first).to_be_visible()
    expect(person.editor()).to_contain_text("4242")
    # Somebody else who signs in over the work gets none of it.
    admin.make_user("eve@example.org", "eves long password")
    person.expected_statuses.add(404)
    beside.button("Account of").click()
    beside.page.get_by_role("menuitem", name="Sign out").click()
    beside.page.get_by_label("Email").fill("eve@example.org")
    beside.page.get_by_role("textbox", name="Password").fill("eves long password")
    beside.button("Sign in").click()
    expect(person.button("Account of eve@example.org")).to_be_visible()
    expect(person.editor()).to_have_count(0)


def test_a_tab_goes_over_to_whoever_signed_in_beside_it(
    admin: Api, project: str, someone: Open
) -> None:
    """The cookie is one for all tabs: when it is renewed, nobody acts under another's name."""
    admin.make_user("bob@example.org", "bobs long password")
    person = someone()
    person.page.clock.install()
    person.sign_in("/projects", admin.email, admin.password)
    with person.page.expect_response("**/v1/auth/login"):
        person.page.evaluate(
            """() => fetch('/v1/auth/login', {
                method: 'POST', headers: {'Content-Type': 'application/json'},
                body: JSON.stringify({
                    email: 'bob@example.org', password: 'bobs long password', cookie: true})})"""
        )
    person.page.clock.fast_forward("00:14:00")
    expect(person.button("Account of bob@example.org")).to_be_visible()
