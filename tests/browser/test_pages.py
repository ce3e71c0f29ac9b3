"""Pages in a real browser, served by a worker through `pyworkerd serve`: over HTTP/1.1, and over TLS with HTTP/2."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.runtime.cli.command import serve
from tests.runtime.server.pem import pair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.chromium import Browser, Page

SITE = Path(__file__).with_name("site")
CHAT = Path(__file__).parents[2] / "examples/chat/config.toml"
CONFIG = """
[[sockets]]
name = "http"
address = "127.0.0.1:0"
service = "site"

[[sockets]]
name = "https"
address = "127.0.0.1:0"
service = "site"
https = { cert = "site.pem", key = "site.key", http2 = true }

[[services]]
name = "site"
[services.worker]
main = "site/pages.py"
limits = { isolates = 1, cpu_ms = 10_000 }
"""
PROTOCOLS = {"http": "http/1.1", "https": "h2"}


class Site(NamedTuple):
    """Where the pages are."""

    http: str
    https: str


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Only where there is a browser."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(SITE, folder / "site")
    pair(folder, "127.0.0.1")
    (folder / "config.toml").write_text(CONFIG)
    with serve(folder / "config.toml", "--dev") as served:
        (_, plain), secure = served.address("http"), served.output.until("(https -> ")
        yield Site(f"http://127.0.0.1:{plain}", secure.split()[2])


@pytest.fixture(params=PROTOCOLS)
def page(browser: Browser, site: Site, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, over each protocol. Whatever a test does with it, its console has nothing to complain of."""
    opened = browser.page(f"{getattr(site, request.param)}/page.html")
    spoken = opened.run("performance.getEntriesByType('navigation')[0].nextHopProtocol")
    assert spoken == PROTOCOLS[request.param]
    yield opened
    assert opened.complaints == []
    opened.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Twenty megabytes, which no buffers on the way hold."""
    path = tmp_path / "file.bin"
    path.write_bytes(bytes(range(256)) * 80_000)
    return path


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_it_fetches_json(page: Page) -> None:
    page.run("data()")
    body = {"n": [1, 2.5, None, "ß"]}
    assert page.run("out.data") == [
        200,
        "application/json",
        {"method": "POST", "query": {"a": ["1", "ä"]}, "body": body, "ünïcode": "✓"},
    ]
    assert "ünïcode" in page.text("#out")


def test_it_follows_events_and_comes_again_where_they_broke_off(page: Page) -> None:
    page.run("events()")
    page.until("out.events.length === 6")
    assert page.run("out.events") == [[str(n), f"{n}\nof many"] for n in range(1, 7)]
    # It closed the source: nobody listens any more.
    page.until("(async () => (await seen()).ended.some(each => each.startsWith('events: ')))()")


def test_it_uploads_a_file_and_sees_how_far_it_is(page: Page, file: Path) -> None:
    page.choose("#file", file)
    page.run("upload()")
    got = page.until("out.upload")
    size = file.stat().st_size
    assert (got["status"], got["size"], got["sha256"]) == (200, size, sha256(file))
    # The worker does not read to the end before the browser has seen that there is more to send.
    loaded = [step[0] for step in got["steps"]]
    assert loaded == sorted(loaded)
    assert 0 < loaded[0] < loaded[-1] == size


def test_it_sends_a_form(page: Page, file: Path) -> None:
    page.choose("#file", file)
    page.run("form()")
    assert page.run("out.form") == {
        "text": 'two\r\nlines and "quotes"',
        "name": 'näme "of" it.bin',
        "type": "application/octet-stream",
        "sha256": sha256(file),
    }


@pytest.mark.parametrize("path", ["slow", "never"])
def test_what_it_gives_up_is_given_up_by_the_worker(page: Page, path: str) -> None:
    before = len(page.run("seen()")["ended"])
    page.run(f"abort('{path}')")
    assert page.run("out.abort") == "AbortError"
    assert page.run("out.began") == ("the beginning" if path == "slow" else None)
    page.until(f"(async () => (await seen()).ended.length > {before})()")
    assert page.run("seen()")["ended"][before:] == [f"{path}: CancelledError"]


def test_leaving_a_page_ends_what_it_had_open(page: Page) -> None:
    before = page.run("seen()")
    page.run("void fetch('never').catch(() => null)")
    page.until(f"(async () => (await seen()).begun > {before['begun']})()")
    address = page.run("location.href")
    page.go("about:blank")
    page.go(address)
    page.until(f"(async () => (await seen()).ended.length > {len(before['ended'])})()")
    assert page.run("seen()")["ended"][-1] == "never: CancelledError"


def test_two_people_talk_in_the_chat_room(browser: Browser) -> None:
    with serve(CHAT, "--socket-addr=http=127.0.0.1:0") as served:
        address = "http://{}:{}/".format(*served.address())
        ada, bob = browser.page(address), browser.page(address)
        for person, name in ((ada, "ada"), (bob, "bob")):
            person.until("socket.readyState === WebSocket.OPEN")
            person.run("document.querySelector('#text').focus()")
            person.type(name)
            person.until(f"log.innerText.includes('{name} came in')")
        bob.type("hello, <b>ada</b> ✓")
        ada.until("log.innerText.includes('bob: hello, <b>ada</b> ✓')")
        ada.close()
        bob.until("log.innerText.includes('ada has left')")
        assert bob.text("#log").split("\n") == [
            "bob came in; here are ada, bob",
            "bob: hello, <b>ada</b> ✓",
            "ada has left",
        ]
        assert (ada.complaints, bob.complaints) == ([], [])
        bob.close()


CONTRAST = """
(() => {
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0)
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true })
  const paint = colour => {
    canvas.fillStyle = colour
    canvas.fillRect(0, 0, 1, 1)
    return light(canvas.getImageData(0, 0, 1, 1).data)
  }
  const style = getComputedStyle(document.querySelector("%s"))
  paint(matchMedia("(prefers-color-scheme: dark)").matches ? "#121212" : "#fff")  // Chromium's own, below all
  const back = paint(style.backgroundColor)
  canvas.globalAlpha = style.opacity
  const text = paint(style.color)
  return (Math.max(back, text) + .05) / (Math.min(back, text) + .05)
})()
"""
"""The contrast of an element's text (WCAG 2.2, section 1.4.3: at least 4.5)."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1200])
def test_the_error_page_of_dev_can_be_read(browser: Browser, site: Site, scheme: str, width: int) -> None:
    page = browser.page("about:blank")
    page.ask(
        "Emulation.setDeviceMetricsOverride", width=width, height=640, deviceScaleFactor=1, mobile=width < 500
    )
    page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.go(f"{site.http}/raise")
    assert page.run("document.title") == "ValueError"
    assert page.text("h1") == "ValueError"
    assert "no <b>bold</b> <script>" in page.text("p")
    assert "raise ValueError" in page.text("pre")
    assert "GET http://127.0.0.1" in page.text(".about")
    assert page.run("document.querySelectorAll('b, main script, body script').length") == 0
    # Nothing has to be scrolled sideways but the traceback, and nothing is too small or too pale.
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    assert page.run("innerWidth") == width
    for element in ("h1", "p", "pre", ".about"):
        assert page.run(f"parseFloat(getComputedStyle(document.querySelector('{element}')).fontSize)") >= 12
        assert page.run(CONTRAST % element) >= 4.5, element
    (complaint,) = page.complaints
    assert complaint.startswith("Failed to load resource: the server responded with a status of 500")
    page.close()
