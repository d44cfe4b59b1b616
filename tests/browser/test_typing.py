"""Whoever types faster than the page can draw loses nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.browser.support import Api, Person

Open = Callable[..., Person]
SLOWER = 8
LETTERS = 20

COUNT_READ_LETTERS = """
    const charCodeAt = String.prototype.charCodeAt;
    window.readOfLarge = 0;
    String.prototype.charCodeAt = function (index) {
        if (this.length > 100_000) window.readOfLarge += 1;
        return charCodeAt.call(this, index);
    };
"""
"""Counts the letters of large texts that the page's own thread reads; a worker is another."""


def _large() -> dict[str, object]:
    return {f"service_{n}": {"enabled": True, "limit": n, "name": "x" * 60} for n in range(1_500)}


@pytest.mark.own_browser
def test_letters_typed_fast_into_the_filter_all_arrive(admin: Api, project: str, ana: Open) -> None:
    # The field once waited for the address, which follows later, and dropped what came meanwhile.
    keys = [f"team{n % 40}.service{n % 200}.key{n}" for n in range(400)]
    changes = [{"op": "put", "key": key, "content": 1, "version": 0} for key in keys]
    admin("POST", f"/v1/projects/{project}/changes", {"changes": changes})
    person = ana(f"/p/{project}/configs")
    expect(person.page.get_by_text("400 configs")).to_be_visible()
    person.slow_down(SLOWER)
    field = person.page.get_by_label("Filter keys")
    field.click()
    person.page.keyboard.type("service150.key")
    expect(field).to_have_value("service150.key")
    expect(person.page).to_have_url(re.compile(r"q=service150\.key$"))
    person.slow_down(1)
    expect(person.page.get_by_role("treeitem", name=re.compile("^key150"))).to_be_visible()
    # The address may be the newer one too: somebody goes back to before the filter.
    person.page.get_by_role("treeitem", name=re.compile("^key150")).click()
    expect(person.page.get_by_role("heading", name="team30.service150.key150")).to_be_visible()
    field.fill("")
    expect(person.page).to_have_url(re.compile(r"key150$"))
    person.page.go_back()
    expect(field).to_have_value("service150.key")


def test_what_was_typed_last_does_not_call_back_who_goes_on(
    admin: Api, project: str, someone: Open
) -> None:
    # Method: the address follows the field while the code of the next view is on its way.
    admin.put(project, "web", 1)
    person = someone()
    person.page.clock.install()
    person.sign_in(f"/p/{project}/configs", admin.email, admin.password)
    expect(person.page.get_by_text("1 config", exact=True)).to_be_visible()
    held: list[Route] = []
    person.page.route("**/assets/HistoryPage*", lambda route: held.append(route))
    person.page.get_by_label("Filter keys").fill("w")
    with person.page.expect_request("**/assets/HistoryPage*"):
        person.page.get_by_role("link", name="History").evaluate("link => link.click()")
    person.page.clock.run_for(1000)
    for route in held:
        route.continue_()
    expect(person.page.get_by_role("heading", name="History", exact=True)).to_be_visible()
    expect(person.page).to_have_url(re.compile(r"/history$"))


@pytest.mark.own_browser
def test_enter_right_after_the_last_letter_opens_the_first_hit(
    admin: Api, project: str, ana: Open
) -> None:
    for key in ("payments.limits.eu", "payments.limits.us", "web"):
        admin.put(project, key, 1)
    person = ana(f"/p/{project}/configs")
    expect(person.page.get_by_text("3 configs")).to_be_visible()
    person.slow_down(SLOWER)
    person.page.keyboard.press("/")
    # After "limits" the first hit is another one than after all of it.
    person.page.keyboard.type("limits.us")
    person.page.keyboard.press("Enter")
    expect(person.page).to_have_url(re.compile(r"/configs/payments\.limits\.us$"))


@pytest.mark.own_browser
def test_enter_before_the_configs_are_loaded_opens_the_hit_when_they_are(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "payments.limits.us", 1)
    person = ana("/projects")
    held: list[Route] = []
    person.page.route("**/configs?limit=*", lambda route: held.append(route))
    person.walk(f"/p/{project}/configs")
    person.page.get_by_label("Search keys and content").fill("limits")
    expect(person.page.get_by_role("listbox", name="Found")).to_contain_text("Still loading")
    person.page.keyboard.press("Enter")
    for route in held:
        route.continue_()
    expect(person.page).to_have_url(re.compile(r"/configs/payments\.limits\.us$"))


def test_two_keys_at_once_change_the_address_both(admin: Api, project: str, ana: Open) -> None:
    # `h` opens the history; a review that is asked for before that is drawn must not undo it.
    admin.put(project, "limit", {"daily": 1})
    person = ana(f"/p/{project}/configs/limit")
    person.type_document('{"daily": 2}')
    expect(person.button("Review version 2")).not_to_have_attribute("aria-disabled", "true")
    person.page.get_by_role("heading", name="limit").click()
    person.page.evaluate(
        """() => {
            const press = init => window.dispatchEvent(new KeyboardEvent('keydown', init));
            press({key: 'h'});
            press({key: 's', ctrlKey: true});
        }"""
    )
    expect(person.page.get_by_role("dialog")).to_be_visible()
    expect(person.page).to_have_url(re.compile(r"side=history&review="))


@pytest.mark.own_browser
def test_a_name_that_is_typed_before_the_plan_is_shown_is_kept(
    admin: Api, project: str, ana: Open
) -> None:
    admin.put(project, "limit", 1)
    moment = admin("GET", f"/v1/projects/{project}/configs/limit")["position"]
    admin.put(project, "limit", 2, 1)
    name = admin("GET", f"/v1/projects/{project}")["name"]
    person = ana(f"/p/{project}/history?at={moment}")
    held: list[Route] = []
    person.page.route("**/rollback?dry_run=true", lambda route: held.append(route), times=1)
    person.button("Roll the project back to this moment…").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Roll back 0 configs")).to_be_visible()
    dialog.get_by_label(re.compile("^Type ")).fill(name)
    for route in held:
        route.continue_()
    dialog.get_by_role("button", name="Roll back 1 config").click()
    expect(dialog).to_have_count(0)
    assert admin.content(project, "limit") == 1


@pytest.mark.parametrize("where", ["config", "schema", "merge"])
def test_no_letter_makes_the_page_read_a_large_text(
    admin: Api, project: str, someone: Open, where: str
) -> None:
    # Goal: typing into 200 KB stays quick. Method: not time, but how much of the text the thread
    # that draws the page reads; it once was all of it, several times after each letter.
    schema = admin.make_schema(f"large {project}", {"$defs": _large()}, project)
    admin.put(project, "large", _large())
    person = someone()
    person.page.add_init_script(COUNT_READ_LETTERS)
    path = f"/p/{project}/{f'schemas/{schema}' if where == 'schema' else 'configs/large'}"
    person.sign_in(path, admin.email, admin.password)
    label = f"Schema large {project}" if where == "schema" else re.compile("^Content of")
    place = person.editor(label)
    expect(place).to_contain_text("service_0")
    if where == "merge":
        expect(person.page.get_by_text("Live", exact=True)).to_be_visible()
        place.click()
        person.page.keyboard.press("ControlOrMeta+Home")
        person.page.keyboard.insert_text(" ")
        admin.put(project, "large", {**_large(), "theirs": 1}, 1)
        person.button("Merge").click()
        place = person.editor("Result of the merge")
        expect(place).to_contain_text("service_0")
    place.click()
    person.page.keyboard.press("ControlOrMeta+Home")
    person.page.keyboard.press("ArrowRight")
    before = person.page.evaluate("window.readOfLarge")
    for _ in range(LETTERS):
        person.page.keyboard.insert_text(" ")
    read = person.page.evaluate("window.readOfLarge") - before
    size = len(json.dumps(_large(), indent=2))
    assert read < size, f"{read} letters were read for {LETTERS} typed, of {size}"
    if where == "merge":
        return
    # What cannot be committed is still said, and no unchecked letter can be reviewed.
    person.page.keyboard.insert_text("x")
    review = person.button("Review version 2")
    expect(review).to_have_attribute("aria-disabled", "true")
    expect(review).to_have_accessible_description(re.compile("double quotes|[Ss]till checking"))
    expect(person.page.get_by_text(re.compile("^[0-9]+ (problems? )?to fix"))).to_be_visible()
    person.page.keyboard.press("Backspace")
    expect(review).not_to_have_attribute("aria-disabled", "true")


def test_a_machine_that_slept_while_a_text_was_checked_goes_on(
    admin: Api, project: str, someone: Open
) -> None:
    # The check was given up at waking, and there was no verdict until the next letter.
    # Method: the page's clock jumps while the script of its worker is on its way.
    admin.put(project, "limit", {"daily": 1})
    person = someone()
    person.page.clock.install()
    person.sign_in(f"/p/{project}/configs", admin.email, admin.password)
    held: list[Route] = []
    person.page.route("**/assets/checks.worker*", lambda route: held.append(route))
    with person.page.expect_request("**/assets/checks.worker*"):
        person.page.get_by_role("treeitem", name=re.compile("^limit")).click()
        person.type_document('{"daily": 2}')
    with person.page.expect_response("**/v1/auth/refresh"):
        person.page.clock.fast_forward("01:00:00")
    for route in held:
        route.continue_()
    expect(person.button("Review version 2")).not_to_have_attribute("aria-disabled", "true")


@pytest.mark.own_browser
def test_a_large_text_is_checked_where_no_worker_can_be_had(
    admin: Api, project: str, ana: Open
) -> None:
    # A page that was opened before a deployment asks for a script that is gone.
    admin.put(project, "limit", {"daily": 1})
    person = ana("/projects")
    person.expected_statuses.add(404)
    person.page.route("**/assets/checks.worker*", lambda route: route.fulfill(status=404))
    person.walk(f"/p/{project}/configs/limit")
    person.type_document('{"daily": }')
    expect(person.page.get_by_role("list", name="Problems")).to_contain_text("A value is expected")
    person.type_document('{"daily": 2}')
    expect(person.button("Review version 2")).not_to_have_attribute("aria-disabled", "true")


def test_suggestions_do_not_make_the_page_read_a_large_text(
    admin: Api, project: str, someone: Open
) -> None:
    # Method: as above. What is suggested is worked out from all of the text.
    latest = {"type": "integer", "description": "The newest that is served"}
    schema = admin.make_schema(
        f"large {project}", {"type": "object", "properties": {"latest": latest}}, project
    )
    admin.put(project, "large", {"latest": 7, **_large()}, schema_id=schema)
    # Somebody else's; their answer once came while the letters were counted.
    admin.make_schema(f"others {project}", {"$defs": _large()})
    person = someone()
    person.page.add_init_script(COUNT_READ_LETTERS)
    asked: list[str] = []
    person.page.on("request", lambda request: asked.append(request.url))
    person.sign_in(f"/p/{project}/configs/large", admin.email, admin.password)
    expect(person.editor()).to_contain_text("latest")
    before = person.page.evaluate("window.readOfLarge")
    person.page.get_by_text('"latest"').hover()
    expect(person.page.get_by_text("The newest that is served")).to_be_visible()
    person.editor().click()
    person.page.keyboard.press("ControlOrMeta+Home")
    person.page.keyboard.press("ArrowDown")
    person.page.keyboard.press("End")
    # Selecting the whole name, so that it is suggested again.
    person.page.keyboard.press("Home")
    person.page.keyboard.press("Shift+End")
    person.page.keyboard.type('"lat')
    expect(person.page.get_by_role("option", name="latest")).to_be_visible()
    read = person.page.evaluate("window.readOfLarge") - before
    size = len(json.dumps(_large(), indent=2))
    assert read < size, f"{read} letters were read, of {size}"
    # All schemas are many megabytes, and the list had brought the config already.
    late = re.compile(r"/v1/schemas\?|/configs/large$")
    assert [url for url in asked if "/v1/" in url and late.search(url)] == []


STUCK = json.dumps({"name": "a" * 40 + "!"})
"""With the pattern below its check ends in none of our lives."""


@pytest.fixture
def patterned(admin: Api, project: str) -> str:
    """A project with a config whose schema has a pattern that backtracks without end."""
    name = {"type": "string", "pattern": "^(a+)+$"}
    schema = admin.make_schema(f"stuck {project}", {"properties": {"name": name}}, project)
    admin.put(project, "limit", {"name": "a"}, schema_id=schema)
    return project


@pytest.mark.own_browser
def test_a_check_that_does_not_end_holds_up_neither_the_page_nor_the_next_check(
    patterned: str, ana: Open
) -> None:
    # Method: the service's own word is kept away, so that only the page's is heard.
    person = ana("/projects")
    person.expected_texts.append("net::ERR_FAILED")
    person.page.route("**/validate", lambda route: route.abort())
    person.walk(f"/p/{patterned}/configs/limit")
    status = person.page.locator("footer").get_by_role("status")
    person.type_document(STUCK)
    expect(status).to_have_text("Checking…")
    person.page.keyboard.press("Control+Space")
    # Less than the patience with a check that is wanted: it would end by itself.
    with person.page.expect_event("worker", timeout=5_000):
        person.type_document('{"name": }')
    expect(person.page.get_by_role("list", name="Problems")).to_contain_text("A value is expected")


def test_a_check_that_was_given_up_is_told(patterned: str, admin: Api, someone: Open) -> None:
    person = someone()
    person.page.clock.install()
    person.expected_texts.append("net::ERR_FAILED")
    person.page.route("**/validate", lambda route: route.abort())
    person.sign_in(f"/p/{patterned}/configs/limit", admin.email, admin.password)
    status = person.page.locator("footer").get_by_role("status")
    person.type_document(STUCK)
    expect(status).to_have_text("Checking…")
    expect(person.button("Review version 2")).to_have_accessible_description(
        "Still checking what you typed"
    )
    person.page.clock.fast_forward("00:20")
    expect(status).to_contain_text("takes too long to check here")
    expect(person.button("Review version 2")).not_to_have_attribute("aria-disabled", "true")
