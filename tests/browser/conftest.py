"""Chromium and the service for the browser tests. All are skipped where no Chromium is found.

TEST_SERVICE_URL, TEST_SERVICE_EMAIL and TEST_SERVICE_PASSWORD name a running service to use
instead of one that is started here.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.kept import CHANGES_ITS_BROWSER, KeptContext, enter
from tests.browser.running import RunningService, run_in_thread
from tests.browser.support import (
    CHROMIUM_ARGS,
    ROOT,
    TIMEOUT_MS,
    Api,
    Person,
    find_chromium,
    new_person,
)
from tests.support.servers import ask
from tests.support.service import EMAIL, PASSWORD, settings_for

expect.set_options(timeout=TIMEOUT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = ROOT / "tests" / "browser"
    missing = None if find_chromium() else pytest.mark.skip(reason="no Chromium on this machine")
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)
            _require_own_browser(item)
            if missing and item.path.name != "test_units.py":
                item.add_marker(missing)


def _require_own_browser(item: pytest.Item) -> None:
    if isinstance(item, pytest.Function) and "ana" in item.fixturenames:
        changes = CHANGES_ITS_BROWSER.search(inspect.getsource(item.function))
        if changes and item.get_closest_marker("own_browser") is None:
            pytest.exit(f"{item.nodeid} ({changes[0]}) must be marked own_browser", 4)


@pytest.fixture(scope="session")
def running(request: pytest.FixtureRequest) -> Iterator[RunningService]:
    """A service that tests can reach into; it lives in a thread's own event loop."""
    if os.environ.get("TEST_SERVICE_URL"):
        pytest.skip("needs a service of its own")
    if not (ROOT / "app" / "static" / "index.html").is_file():
        pytest.fail("the page is not built: run make ui")
    raft = ask("raft")
    database, stream = f"test_{uuid.uuid4().hex}", f"t_{uuid.uuid4().hex[:12]}_browser"
    settings = replace(
        settings_for(ask("create_database", database), raft["url"], stream),
        nats_monitor_urls=tuple(raft["monitor_urls"]),
    )
    try:
        with run_in_thread(settings) as service:
            yield service
    finally:
        with suppress(Exception):  # the run's servers may be gone before us
            ask("delete_streams", stream)
            ask("drop_database", database)


@pytest.fixture(scope="session")
def service_url(request: pytest.FixtureRequest) -> str:
    """A running service with its page."""
    if given := os.environ.get("TEST_SERVICE_URL"):
        return given
    running: RunningService = request.getfixturevalue("running")
    return running.url


@pytest.fixture(scope="session")
def admin(service_url: str) -> Api:
    """The first superuser."""
    return Api(
        service_url,
        os.environ.get("TEST_SERVICE_EMAIL", EMAIL),
        os.environ.get("TEST_SERVICE_PASSWORD", PASSWORD),
    )


@pytest.fixture(scope="session")
def chromium() -> Iterator[tuple[Browser, asyncio.AbstractEventLoop]]:
    """The worker's one Chromium, and Playwright's loop: both take a second to start (measured)."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGS)
        loop = asyncio.get_running_loop()
        yield launched, loop
        asyncio._set_running_loop(loop)
        launched.close()


# Playwright leaves its loop marked as the one that runs: no other module's async test could start.
@pytest.fixture(scope="module")
def browser(chromium: tuple[Browser, asyncio.AbstractEventLoop]) -> Iterator[Browser]:
    launched, loop = chromium
    asyncio._set_running_loop(loop)
    yield launched
    asyncio._set_running_loop(None)


@pytest.fixture(scope="session")
def kept(chromium: tuple[Browser, asyncio.AbstractEventLoop], service_url: str) -> KeptContext:
    """The context that the worker's tests use one after the other; it ends with its Chromium."""
    return KeptContext(chromium[0], service_url)


@pytest.fixture
def people() -> Iterator[list[Person]]:
    """All who are at the page; a console error of any of them fails the test."""
    people: list[Person] = []
    yield people
    assert [complaint for person in people for complaint in person.complaints] == []


@pytest.fixture
def someone(
    browser: Browser, service_url: str, people: list[Person]
) -> Iterator[Callable[..., Person]]:
    """Makes people with a browser of their own."""
    made: list[Person] = []

    def make(**options: object) -> Person:
        made.append(new_person(browser, service_url, **options))
        people.append(made[-1])
        return made[-1]

    yield make
    for person in made:
        person.hush()
        person.context.close()


@pytest.fixture
def project(admin: Api, request: pytest.FixtureRequest) -> str:
    """A project of this test alone."""
    return admin.make_project(f"{request.node.name[:40]} {uuid.uuid4().hex[:6]}")


@pytest.fixture
def ana(
    request: pytest.FixtureRequest,
    kept: KeptContext,
    people: list[Person],
    someone: Callable[..., Person],
    admin: Api,
) -> Iterator[Callable[..., Person]]:
    """Opens an address as the superuser, signed in."""
    has_own = request.node.get_closest_marker("own_browser") is not None
    lent: list[Person] = []

    def open_as_ana(path: str, **options: object) -> Person:
        if has_own or options:
            person = someone(**options)
            person.sign_in(path, admin.email, admin.password)
            return person
        lent.append(kept.take())
        people.append(lent[-1])
        enter(lent[-1], path, admin.email, admin.password)
        return lent[-1]

    yield open_as_ana
    for person in lent:
        kept.give_back(person)
