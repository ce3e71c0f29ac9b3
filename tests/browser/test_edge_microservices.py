"""Somebody visits `examples/edge-microservices`, while a client floods it and a service of it is published."""

from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from tests.examples.test_edge_microservices import LIMIT, flood
from tests.runtime.cli.command import serve

if TYPE_CHECKING:
    from tests.browser.chromium import Browser, Page

EXAMPLE = Path(__file__).parents[2] / "examples/edge-microservices"


def made(page: Page, fragment: str) -> str:
    """Which of a fragment's answers the page has."""
    found: str = page.run(f"document.querySelector('{fragment}').dataset.made")
    assert re.fullmatch(r"[0-9a-f-]{36}", found)
    return found


def test_a_visit(browser: Browser, tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLE, tmp_path / "edge", ignore=shutil.ignore_patterns(".pyworkerd"))
    with serve("--config", folder / "wrangler.toml", "--socket-addr=http=127.0.0.1:0", processes=2) as served:
        host, port = served.address()
        served.errors.until("serving with 2 processes")
        home = f"http://{host}:{port}/"
        page = browser.page(home)
        assert "Tea, at the edge" in page.text("header")
        assert page.text("#offers").split("\n") == ["cup, 8.50 €", "tea, 4.50 €", "teapot, 39.00 €"]
        header, offers = made(page, "header"), made(page, "#offers")

        page.run("document.querySelector('input[name=name]').focus()")
        page.type("Ann <3")
        # The greeting is there before the page is: it is streamed.
        page.until(
            "document.querySelector('#greeting')?.innerText === 'Hello, Ann <3!' && document.readyState === 'complete'"
        )
        assert made(page, "header") == header

        answers, let_through = flood(port)
        assert let_through <= 2 * LIMIT < answers, "a minute may have begun in the middle"
        page.go(home)
        assert page.text("#greeting") == "Hello, Ann <3!"

        source = folder / "catalog/index.ts"
        source.write_text(
            source.read_text()
            .replace('["cup", ', '["cup", "sugar", ')
            .replace("price: prices[name]", "price: prices[name] ?? 1")
        )
        served.process.send_signal(signal.SIGHUP)
        # Each fragment is as old as its own worker lets it be: this one a second, the other one an hour.
        page.until(
            "fetch('/').then((answer) => answer.text()).then((text) => text.includes('<li>sugar, 1.00 €</li>'))"
        )
        page.go(home)
        assert "sugar, 1.00 €" in page.text("#offers")
        assert made(page, "#offers") != offers
        assert made(page, "header") == header
        assert page.complaints == []
        assert served.stop(signal.SIGTERM) == 0
        assert not any("error" in line.lower() for line in served.errors.rest())
