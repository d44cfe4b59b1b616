"""What browser tests share: a person at the page, and the API to prepare what they find.

Must never answer for the service: everything that the page shows comes from the real one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
    ViewportSize,
    expect,
)

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "test-output" / "screenshots"
TAKES_SCREENSHOTS = bool(os.environ.get("TEST_SCREENSHOTS"))
"""They are for people to look at, no test does; they took a sixth of the tests' processor time."""
AXE = ROOT / "app" / "ui" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MS = 15_000
VIEWPORT: ViewportSize = {"width": 1360, "height": 860}
TOO_WIDE = """() => {
    const own = '.ellipsis, .visually-hidden, .cm-editor, svg, [class*=Slider], [class*=Switch]';
    const inside = [...document.querySelectorAll('header *, main, main *, [role=dialog] *')];
    const wide = [document.scrollingElement, ...inside].filter(each =>
        each.clientWidth > 0 && each.scrollWidth > each.clientWidth + 1 && !each.closest(own)
        && (each.localName !== 'input' || each.value === ''));
    const words = document.createElement('canvas').getContext('2d');
    const cut = inside.filter(each => {
        if (!each.placeholder || each.value !== '' || each.clientWidth === 0) return false;
        const style = getComputedStyle(each);
        words.font = style.font;
        const padding = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
        return words.measureText(each.placeholder).width > each.clientWidth - padding + 1;
    });
    return [...wide, ...cut].map(each =>
        `${each.localName}.${each.className} ${each.scrollWidth} in ${each.clientWidth}: `
        + (each.innerText ?? each.placeholder ?? '').slice(0, 40));
}"""
"""Not what is meant to be cut (its whole text is elsewhere), to wrap or to scroll by itself."""
_NETWORK_ERROR = re.compile(r"Failed to load resource: .* status of (\d{3})")


def find_chromium() -> str | None:
    """The system's Chromium, if there is one; rather the one without a window.

    It is the same engine and takes two thirds of the time for these tests (measured).
    """
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM_PATH") or next(filter(None, map(shutil.which, names)), None)
    return found if found and Path(found).exists() else None


class ApiError(Exception):
    """The service refused what a test prepared."""


@dataclass
class Api:
    """The service's HTTP interface, as one signed-in user."""

    url: str
    email: str
    password: str
    _token: str = ""
    _token_ends: float = 0.0

    def __call__(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """The parsed answer; raises ApiError on a refusal."""
        # A slow machine needs longer for a worker's tests than an access token lives.
        if time.monotonic() > self._token_ends - 60:
            body_of_login = {"email": self.email, "password": self.password}
            answer = self._send("POST", "/v1/auth/login", body_of_login, {})
            self._token = answer["access_token"]
            self._token_ends = time.monotonic() + answer["expires_in"]
        return self._send(
            method, path, body, {"Authorization": f"Bearer {self._token}", **(headers or {})}
        )

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise ApiError(f"{method} {path}: {error.code} {error.read().decode()}") from error
        return json.loads(text) if text else None

    def make_project(self, name: str) -> str:
        """A new project's id."""
        return str(self("POST", "/v1/projects", {"name": name})["id"])

    def put(self, project: str, key: str, content: Any, version: int = 0, **more: Any) -> int:
        """Commit a config that is at `version` (0: not there); its new version."""
        condition = {"If-Match": f'"{version}"'} if version else {"If-None-Match": "*"}
        path = f"/v1/projects/{project}/configs/{key}"
        return int(self("PUT", path, {"content": content, **more}, condition)["version"])

    def content(self, project: str, key: str) -> Any:
        """What is live under a key."""
        return self("GET", f"/v1/projects/{project}/configs/{key}")["content"]

    def make_user(self, email: str, password: str, superuser: bool = False) -> str:
        """A new user's id."""
        body = {"email": email, "password": password, "is_superuser": superuser}
        return str(self("POST", "/v1/users", body)["id"])

    def as_user(self, email: str, password: str) -> Api:
        """The same service as somebody else."""
        return Api(self.url, email, password)

    def make_schema(self, name: str, schema: Any, project: str | None = None) -> str:
        """A new schema's id."""
        body = {"name": name, "schema": schema, **({"project_id": project} if project else {})}
        return str(self("POST", "/v1/schemas", body)["id"])


@contextmanager
def step(name: str) -> Iterator[None]:
    """A step of a longer walk; what fails in it names it."""
    try:
        yield
    except Exception as error:
        error.add_note(f"at the step {name!r}")
        raise


@dataclass
class Person:
    """Somebody at the page: a browser context with its one tab."""

    context: BrowserContext
    page: Page
    url: str
    expected_statuses: set[int] = field(default_factory=set)
    """Refusals that the test provokes; the browser reports each as a console error."""
    expected_texts: list[str] = field(default_factory=list)
    """Parts of other console errors that the test provokes."""
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", self._on_error)
        self.context.on("request", self._on_request)

    def hush(self) -> None:
        """From now on nothing is complained of."""
        self.page.remove_listener("console", self._on_console)
        self.page.remove_listener("pageerror", self._on_error)
        self.context.remove_listener("request", self._on_request)

    def _on_error(self, error: Error) -> None:
        self.complaints.append(f"page error: {error}")

    def _on_request(self, request: Request) -> None:
        # The page works without any other host. What has no host (data:, blob:) asks nobody.
        asked, ours = urlsplit(request.url), urlsplit(self.url)
        if asked.netloc not in ("", ours.netloc):
            self.complaints.append(f"another host was asked: {request.url}")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        refused = _NETWORK_ERROR.search(message.text)
        if refused and int(refused.group(1)) in self.expected_statuses:
            return
        if any(text in message.text for text in self.expected_texts):
            return
        self.complaints.append(f"{message.text} ({message.location.get('url', '')})")

    def open(self, path: str) -> None:
        """Go to an address of the page."""
        self.page.goto(self.url + path)

    def walk(self, path: str) -> None:
        """Go to an address as a link in the page does: for a fifth of what it takes to load it."""
        self.page.evaluate(
            """path => {
                history.pushState(null, '', path);
                dispatchEvent(new PopStateEvent('popstate'));
            }""",
            path,
        )

    def is_loaded(self) -> None:
        """Wait until nothing stands in for what is still to come."""
        stand_ins = self.page.get_by_role("status", name="Loading", include_hidden=True)
        expect(stand_ins).to_have_count(0)

    def too_wide(self) -> list[str]:
        """What has no room on the screen: the page itself, what is in it, hints in empty fields."""
        return [str(each) for each in self.page.evaluate(TOO_WIDE)]

    def sign_in(self, path: str, email: str, password: str) -> None:
        """Open an address and sign in there."""
        self.open(path)
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_role("textbox", name="Password").fill(password)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.is_inside()

    def is_inside(self) -> None:
        """Wait until the page is there, as for somebody who is signed in."""
        expect(self.page.get_by_role("status", name="Connection")).to_be_attached()

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("button", name=name)

    def editor(self, label: str | re.Pattern[str] = re.compile("^Content of")) -> Locator:
        """The editable text of a document."""
        return self.page.get_by_label(label)

    def type_document(self, text: str, label: str | re.Pattern[str] = "") -> None:
        """Replace the whole text, as a paste would (brackets do not close themselves)."""
        place = self.editor(label) if label else self.editor()
        place.click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(text)

    def slow_down(self, times: int) -> None:
        """Let the page run on a machine that is so many times slower."""
        debugger = self.context.new_cdp_session(self.page)
        debugger.send("Emulation.setCPUThrottlingRate", {"rate": times})

    def cut_off_watch(self) -> None:
        """Let only a refusal (409) tell of others' changes, on every page that is opened next."""
        self.page.route("**/watch*", lambda route: route.abort())
        self.expected_texts.append("net::ERR_FAILED")
        self.expected_statuses.add(409)

    def shot(self, name: str) -> None:
        """Keep what is seen now in both themes, as test output; only if TEST_SCREENSHOTS is set."""
        if not TAKES_SCREENSHOTS:
            return
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        now = self.page.locator("html").get_attribute("data-mantine-color-scheme")
        for scheme in ("dark", "light") if now == "light" else ("light", "dark"):
            self.theme("light" if scheme == "light" else "dark")
            self.page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}.png", animations="disabled")

    def theme(self, scheme: Literal["light", "dark"]) -> None:
        """What the machine's theme is from now on."""
        self.page.emulate_media(color_scheme=scheme)
        expect(self.page.locator("html")).to_have_attribute("data-mantine-color-scheme", scheme)

    def axe(self, *only: str) -> list[str]:
        """Accessibility violations of what is seen now, each in one line; of some rules alone."""
        # Through the debugger's protocol: the page's CSP rightly forbids a script tag.
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        # No rule that runs looks at the style sheets' text: to parse it took a third of the time.
        found = self.page.evaluate(
            """async only => {
                const rules = {preload: false, ...(only.length ? {runOnly: only} : {})};
                const found = await axe.run(document, {resultTypes: ['violations'], ...rules});
                return found.violations.flatMap(rule => rule.nodes.map(node =>
                    `${rule.id}: ${node.target.join(' ')}: ${node.failureSummary}`));
            }""",
            only,
        )
        return [str(each) for each in found]


def new_person(browser: Browser, url: str, **options: Any) -> Person:
    """A person with a browser of their own."""
    context = browser.new_context(
        **{
            "viewport": VIEWPORT,
            "color_scheme": "light",
            "reduced_motion": "reduce",
            **options,
        }
    )
    context.set_default_timeout(TIMEOUT_MS)
    return Person(context, context.new_page(), url)
