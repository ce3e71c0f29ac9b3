"""The dashboard, as a person uses it: in a real Chromium, of a real server, and of one with a thousand workers."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyworkerd.admin.auth import COOKIE
from pyworkerd.admin.site import Site
from pyworkerd.admin.tokens import Token, TokenFile, digest_of
from pyworkerd.observe.feed import Feed
from pyworkerd.observe.logs import LogEntry
from pyworkerd.observe.snapshot import label
from pyworkerd.server import bind

from tests.runtime.admin.test_routes import Fixed
from tests.runtime.admin.test_status import counted
from tests.runtime.cli.command import ask, project, run, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.browser.chromium import Browser, Page

TOKEN = "a-token-of-the-test-that-is-long"
ODD = "<b>&amp;</b> \u202e/?#%"
CONFIG = """\
admin = "127.0.0.1:0"
[[sockets]]
name = "http"
address = "127.0.0.1:0"
service = "shop"

[[services]]
name = "shop"
[services.worker]
main = "w.py"

[[services]]
name = "resting"
[services.worker]
main = "resting.py"
"""
WORKER = """\
from workers import Response, WorkerEntrypoint

HOSTILE = "<img src=x onerror=document.title='owned'> \\x1b[31m \\u202eevil"

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/fail"):
            raise ValueError("no tea: " + HOSTILE)
        if request.url.endswith("/cookie"):
            return Response(request.headers.get("cookie") or "none")
        print("sold tea", HOSTILE)
        return Response("tea")
"""
WIDE = "document.scrollingElement.scrollWidth > innerWidth"


def log_in(page: Page, token: str = TOKEN) -> None:
    page.until("document.activeElement.id === 'token'")
    page.type(token)


def shows(page: Page, selector: str, text: str) -> None:
    page.until(f"document.querySelector({json.dumps(selector)})?.innerText.includes({json.dumps(text)})")


def logs(page: Page, text: str) -> None:
    """Also of lines that are not drawn, because they are out of sight."""
    page.until(f"document.querySelector('#logs-list').textContent.includes({json.dumps(text)})")


def key(page: Page, name: str) -> None:
    code = {"Tab": 9, "Enter": 13, "Escape": 27}[name]
    text = {"text": "\r"} if name == "Enter" else {}
    for kind in ("keyDown", "keyUp"):
        more = text if kind == "keyDown" else {}
        page.ask("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, **more)


def unexpected(page: Page) -> list[str]:
    """What the page complained about, besides that it was not let in at first."""
    return [each for each in page.complaints if "401 (Unauthorized)" not in each]


def seen_as(page: Page, width: int, scheme: str) -> str:
    """The colour of its background on such a screen."""
    page.ask(
        "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
    )
    page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    colour: str = page.run("getComputedStyle(document.body).backgroundColor")
    return colour


def test_from_the_log_in_to_the_end_of_the_server(browser: Browser, tmp_path: Path) -> None:
    config = project(tmp_path, CONFIG, w=WORKER, resting=WORKER)
    with serve(config, PYWORKERD_ADMIN_TOKEN=TOKEN) as served:
        address = served.address()
        site = served.errors.until("admin: ").removeprefix("admin: ")
        served.errors.until("serving with")
        page = browser.page(f"{site}/")
        log_in(page, "a-wrong-token")
        shows(page, "#login-problem", "the token is wrong")
        page.run("document.querySelector('#token').focus()")
        page.type(TOKEN)
        shows(page, "#state", "Serving, 1 of 1")
        shows(page, "#workers-body", "resting")
        page.run("location.reload()")
        shows(page, "#workers-body", "resting")
        for path in ("/tea", "/fail"):
            ask(address, path)
        shows(page, "#tiles", "2 in all")
        logs(page, "sold tea <img src=x onerror=")
        logs(page, "\\u001b[31m \\u202eevil")
        assert page.run("document.querySelectorAll('#logs-list img, #workers-body b').length") == 0
        assert page.run("document.title") == "pyworkerd"
        _search(page)
        _one_worker(page)
        _versions(page, tmp_path, site)
        assert ask(address, "/tea").body == "tea"
        _what_a_worker_is_sent(browser, address, site)
        _on_any_screen(page)
        served.stop(15)
        shows(page, "#stale", "does not answer")
        assert [each for each in unexpected(page) if "ERR_" not in each] == []
        page.close()


def _search(page: Page) -> None:
    page.run("document.querySelector('#logs-text').focus()")
    page.type("NO TEA")
    page.until("document.querySelectorAll('#logs-list li').length === 1")
    logs(page, "ValueError: no tea: <img")
    page.run("document.querySelector('#logs-text').value = 'nobody said this'")
    page.run("document.querySelector('#logs-form').requestSubmit()")
    shows(page, "#logs-none", "Nothing that was logged lately matches.")
    page.run("document.querySelector('#logs-text').value = ''")
    page.run("document.querySelector('#logs-pause').click()")
    assert page.run("document.querySelector('#logs-pause').getAttribute('aria-pressed')") == "true"
    page.run("document.querySelector('#logs-pause').click()")
    shows(page, "#logs-state", "live")
    assert page.run("document.querySelector('#logs-list').textContent.split('sold tea').length") == 2


def _one_worker(page: Page) -> None:
    """By the keyboard alone."""
    page.run("document.querySelector('#workers-sort').focus()")
    key(page, "Tab")  # the frame of the table, which can be scrolled
    key(page, "Tab")
    assert page.run("document.activeElement.textContent") == "shop"
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    key(page, "Enter")
    page.until("!document.querySelector('#worker').hidden")
    assert page.text("#worker-title") == "shop"
    assert page.run("document.activeElement.id") == "worker-title"
    shows(page, "#figures", "Requests\n2")
    shows(page, "#figures", "1 (50 %)")
    assert page.run("document.querySelectorAll('#charts svg path[d^=M]').length") > 0
    logs(page, "sold tea")
    page.run("history.back()")
    page.until("document.querySelector('#worker').hidden")


def _versions(page: Page, folder: Path, site: str) -> None:
    page.run("location.hash = '#/worker/shop'")
    shows(page, "#versions-none", "Nothing was deployed yet")
    (folder / "w.py").write_text(WORKER.replace('Response("tea")', 'Response("coffee")'))
    told = ("--to", site, "--service", "shop", "-m", "<b>coffee</b>")
    done = run("deploy", "-c", folder / "config.toml", *told, PYWORKERD_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    (folder / "w.py").write_text(WORKER)
    page.run("location.hash = '#/'")
    page.until("document.querySelector('#worker').hidden")
    page.run("location.hash = '#/worker/shop'")
    shows(page, "#versions-list", "<b>coffee</b>")
    shows(page, "#versions-list .badge", "answers 100 %")
    press = "document.querySelector('#versions-list li:last-child button').click()"
    page.run(press)
    shows(page, "#ask-text", "All requests to shop will be answered by the configuration's files.")
    assert page.run("document.activeElement.id") == "ask-no"
    key(page, "Escape")
    page.until("!document.querySelector('#ask').open")
    page.run(press)
    page.run("document.querySelector('#ask-yes').click()")
    shows(page, "#versions-list li:last-child .badge", "answers 100 %")
    assert page.text("#said") == "What answers now: the configuration's files"
    page.run("location.hash = '#/'")


def _what_a_worker_is_sent(browser: Browser, address: tuple[str, int], site: str) -> None:
    """For a browser all ports of a host are one when it sends cookies: what a worker gets so opens nothing."""
    page = browser.page(f"http://{address[0]}:{address[1]}/cookie")
    cookie = page.text()
    page.close()
    assert COOKIE in cookie
    host, _, port = site.removeprefix("http://").partition(":")
    for path in ("/session", "/status", "/logs"):
        answer = ask((host, int(port)), f"/api/v1{path}", cookie=cookie)
        assert (answer.status, answer.headers.get("set-cookie")) == (401, None), answer.body


def _on_any_screen(page: Page) -> None:
    light, dark = seen_as(page, 1280, "light"), seen_as(page, 390, "dark")
    assert light != dark
    assert page.run(WIDE) is False
    page.run("location.hash = '#/worker/resting'")
    shows(page, "#worker-title", "resting")
    assert page.run(WIDE) is False
    seen_as(page, 1280, "light")


@contextmanager
def site(server: Fixed, tokens: TokenFile | None) -> Iterator[str]:
    """A real admin address of this server, on a thread of its own."""
    loop, ended = asyncio.new_event_loop(), asyncio.Event()
    listener = bind("127.0.0.1:0")

    async def main() -> None:
        served = Site(server, tokens=tokens)
        await served.start(listener)
        await ended.wait()
        await server.live.aclose()
        await served.aclose()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    try:
        yield f"http://{listener.address}"
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()


class Described(Fixed):
    """As the supervisor does it."""

    def describe(self) -> dict[str, Any]:
        return {"uptime_s": 90_000.0, "stopping": False}


def test_a_thousand_workers_and_a_flood(browser: Browser) -> None:
    server = Described(1)
    names = [ODD, *(f"w{number:04}" for number in range(999, 0, -1))]
    server.answers = {1: counted(**{name: 1000 - index for index, name in enumerate(names)})}
    server.feeds = {1: Feed()}
    with site(server, TokenFile(None, (Token("test", digest_of(TOKEN)),))) as address:
        page = browser.page(f"{address}/")
        log_in(page)
        shows(page, "#page-text", "1 to 50 of 1,000")
        assert page.run("document.querySelectorAll('#workers-body tr').length") == 50
        assert page.run("document.querySelector('#previous').disabled") is True
        assert page.run("document.querySelector('#workers-body a').innerText") == label(ODD)
        page.run("document.querySelector('#next').click()")
        shows(page, "#page-text", "51 to 100 of 1,000")
        page.run("document.querySelector('#workers-filter').focus()")
        page.type("w000")
        shows(page, "#workers-count", "9 of 1,000")
        assert page.run("document.querySelector('#pages').hidden") is True
        for number in range(2000):
            server.feeds[1](LogEntry(float(number), "w0001", 1, "info", "stdout", f"flood {number}"))
        server.feeds[1](LogEntry(2000.0, "w0002", 1, "info", "stdout", "and a quiet one"))
        logs(page, "and a quiet one")
        logs(page, "came faster than they could be shown")
        assert page.run("document.querySelectorAll('#logs-list li').length") <= 500
        page.run("document.querySelector('#workers-filter').value = ''")
        page.run("document.querySelector('#workers-filter').dispatchEvent(new Event('input'))")
        page.until(f"document.querySelector('#workers-body a').innerText === {json.dumps(label(ODD))}")
        page.run("document.querySelector('#workers-body a').click()")
        shows(page, "#figures", "Requests\n1,001")
        assert page.text("#worker-title") == label(ODD)
        page.run("document.querySelector('#leave').click()")
        page.until("document.querySelector('#login')?.hidden === false")
        assert unexpected(page) == []
        page.close()


def test_who_has_no_access(browser: Browser) -> None:
    with site(Described(1), None) as address:
        page = browser.page(f"{address}/")
        shows(page, "#trouble", "over TCP the API is off: configure admin.tokens")
        page.close()


def test_pages_of_others_learn_nothing(browser: Browser) -> None:
    with site(Described(1), TokenFile(None, (Token("test", digest_of(TOKEN)),))) as address:
        own = browser.page(f"{address}/")
        log_in(own)
        shows(own, "#state", "Serving")
        other = browser.page("data:text/html,<title>other</title>")
        for path in ("/", "/api/v1/status", "/api/v1/logs/stream"):
            for options in ("{credentials: 'include'}", "{mode: 'no-cors', credentials: 'include'}"):
                heard = other.run(
                    f"fetch('{address}{path}', {options}).then((r) => r.status + r.type + r.url, () => 'refused')"
                )
                assert heard in ("refused", "0opaque"), (path, options)
        other.close()
        own.close()
