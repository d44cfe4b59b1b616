"""Goal: a browser's own EventSource follows the watch through restarts of the server, gap-free.

Method: a real Chromium on a page of the service's origin; the web process that it is connected to
is stopped and started again on the same port while changes go on through another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Page, async_playwright

from app.services import SERVICES
from app.settings import Settings
from app.web import create_app
from tests.app.api.test_watch import watch_of
from tests.app.api.test_watch_once import KEYS, commit
from tests.browser.support import CHROMIUM_ARGS, find_chromium
from tests.support.service import Client, Service

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine"),
]

FOLLOW = """
path => {
    window.got = [];
    window.opened = 0;
    const source = new EventSource(path);
    source.addEventListener("open", () => { window.opened += 1; });
    source.addEventListener("snapshot", event => { window.snapshot = JSON.parse(event.data); });
    source.addEventListener("change", event => {
        const data = JSON.parse(event.data);
        window.got.push([data.key, data.version, data.change_id]);
    });
}
"""


@asynccontextmanager
async def serve(settings: Settings, port: int) -> AsyncIterator[int]:
    """A web process on this port (0: a free one); its port."""
    runner = web.AppRunner(create_app(settings), shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def chromium_page(headers: dict[str, str]) -> AsyncIterator[Page]:
    """A page whose requests carry these headers."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_chromium(), args=CHROMIUM_ARGS
        )
        # A document of the API may run no script; the test's is run in it all the same.
        context = await browser.new_context(bypass_csp=True)
        await context.set_extra_http_headers(headers)
        yield await context.new_page()
        await browser.close()


async def test_event_source_follows_through_restarts_without_a_gap(
    service: Service, configs: str, admin: Client
) -> None:
    changes = 0

    async def change(count: int) -> None:
        nonlocal changes
        for number in range(count):
            keys = KEYS[number % 7 :: 20]
            await commit(service, configs, dict.fromkeys(keys, number))
            changes += len(keys)

    await change(3)
    before = changes
    async with chromium_page(dict(admin.headers)) as page:
        async with serve(service.settings, 0) as port:
            await page.goto(f"http://127.0.0.1:{port}/healthz")
            await page.evaluate(FOLLOW, watch_of(configs) + "?snapshot=true")
            await page.wait_for_function("window.snapshot !== undefined")
            await change(10)
            await received(page, changes - before)
        for restart in (1, 2):
            await change(10)
            async with serve(service.settings, port):
                await change(10)
                await page.wait_for_function(f"window.opened === {1 + restart}")
                # The second time it is cut while changes go on.
                going = asyncio.create_task(change(20))
                if restart == 1:
                    await going
                    await received(page, changes - before)
            await going
        async with serve(service.settings, port):
            await received(page, changes - before)
            snapshot = await page.evaluate("window.snapshot")
            got = await page.evaluate("window.got")
    recorded = await service_revisions(service, snapshot["position"])
    assert [tuple(change) for change in got] == recorded
    assert len(recorded) == changes - before
    assert len(snapshot["items"]) == len({key for number in range(3) for key in KEYS[number::20]})


async def received(page: Page, count: int) -> None:
    """Return when the browser has so many changes."""
    await page.wait_for_function(f"window.got.length >= {count}", timeout=30_000)


async def service_revisions(service: Service, behind: int) -> list[tuple[Any, ...]]:
    rows = await service.app[SERVICES].pool.fetch(
        "SELECT config_key, version, change_id FROM config_revisions WHERE position > $1"
        " ORDER BY sequence",
        behind,
    )
    return [tuple(row) for row in rows]
