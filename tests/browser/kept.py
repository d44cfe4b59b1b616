"""One browser context for many tests: to start the process behind a new one and to type a password
into it took half of what most of the tests take.

A test that changes its browser (its clock, what it is answered, its speed) marks itself
`own_browser`, and so leaves nothing here. All else that a test leaves is wiped: the document,
cookies, storage, size, theme.
"""

from __future__ import annotations

import re
from typing import Final

from playwright.sync_api import Browser, Error

from tests.browser.support import VIEWPORT, Person, new_person

CHANGES_ITS_BROWSER: Final = re.compile(
    r"[.]route[(]|add_init_script|expose_|[.]clock[.]|set_offline|grant_|new_page|new_cdp|slow_down"
    r"|cut_off_watch|[.]context[.]|(page|context)[.]on[(]"
)
"""In the source of a test: what is not wiped."""
_LIGHT: Final = "/healthz"
"""A document of the same origin, so that the browser keeps the process, and with no script."""
_SIGNED_IN: Final = "guardian:signed-in"
"""By this the page knows that there is a cookie to ask with (app/ui/src/api/session.ts)."""


class KeptContext:
    """Lends its context to one test after the other."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self._free: Person | None = None

    def take(self) -> Person:
        """Somebody with a blank browser; from another one while this one is lent."""
        person, self._free = self._free, None
        if person is None:
            person = new_person(self._browser, self._url)
            person.open(_LIGHT)
            return person
        return Person(person.context, person.page, self._url)

    def give_back(self, person: Person) -> None:
        """Wipe all that a test may have left; what cannot be wiped is not kept."""
        person.hush()
        try:
            if self._free is not None or len(person.context.pages) > 1:
                raise Error("one context with one tab is kept")
            _wipe(person)
        except Error:
            person.context.close()
        else:
            self._free = person


def _wipe(person: Person) -> None:
    person.open(_LIGHT)  # first: a document that goes writes its drafts down
    person.page.evaluate("localStorage.clear(); sessionStorage.clear()")
    person.context.clear_cookies()
    person.page.set_viewport_size(VIEWPORT)
    person.page.emulate_media(
        color_scheme="light", reduced_motion="reduce", forced_colors="null", contrast="null"
    )


def enter(person: Person, path: str, email: str, password: str) -> None:
    """Open an address as somebody who signed in earlier. The form itself is for `test_sessions`."""
    answer = person.context.request.post(
        person.url + "/v1/auth/login", data={"email": email, "password": password, "cookie": True}
    )
    assert answer.ok, answer.text()
    person.page.evaluate("name => localStorage.setItem(name, '1')", _SIGNED_IN)
    person.open(path)
    person.is_inside()
