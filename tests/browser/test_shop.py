"""Somebody buys something in `examples/shop`, served by two processes of which one is killed in the middle."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tests.runtime.cli.command import run, serve

if TYPE_CHECKING:
    from tests.browser.chromium import Browser, Page
    from tests.runtime.cli.command import Served

SHOP = Path(__file__).parents[2] / "examples/shop"


def add(page: Page, article: str, times: int) -> None:
    for count in range(1, times + 1):
        page.run(f"document.querySelector('button[data-name={article}]').click()")
        page.until(f"document.querySelector('#cart').innerText.includes('{count} x')")


def kill_one(served: Served) -> None:
    """As the kernel does when memory is short: without a word."""
    serving = [
        child
        for child in psutil.Process(served.process.pid).children()
        if child.status() != psutil.STATUS_ZOMBIE
    ]
    assert len(serving) == 2
    serving[0].send_signal(signal.SIGKILL)


def sold(config: Path, article: str) -> int:
    done = run(
        "d1",
        "query",
        config,
        "office",
        "DB",
        f"SELECT stock FROM articles WHERE name = '{article}'",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    return {"tea": 500, "teapot": 3}[article] - int(json.loads(done.stdout)["stock"])


def test_something_is_bought_while_a_process_is_killed(browser: Browser, tmp_path: Path) -> None:
    shutil.copytree(SHOP, tmp_path / "shop", ignore=shutil.ignore_patterns(".pyworkerd"))
    config = tmp_path / "shop/config.toml"
    with serve(config, "--socket-addr=http=127.0.0.1:0", processes=2) as served:
        host, port = served.address()
        served.errors.until("serving with 2 processes")
        page = browser.page(f"http://{host}:{port}/")
        page.until("document.body.dataset.ready")
        assert "Darjeeling, first flush, 4.50 €" in page.text("#articles")
        add(page, "tea", 2)
        kill_one(served)
        add(page, "teapot", 1)
        assert page.text("#cart").count("Remove") == 2
        page.run("document.querySelector('#buy').click()")
        page.until("document.querySelector('#status').innerText.includes('is confirmed')")
        assert page.text("#status").endswith("is confirmed: 38.00 €.")
        assert page.text("#cart") == ""
        page.go(f"http://{host}:{port}/")
        page.until("document.body.dataset.ready")
        assert page.text("#cart") == "", "the cart is empty for whichever process asks"
        broken_off = ("ERR_", "Failed to load resource")  # what the killed process held; the page asked again
        assert [told for told in page.complaints if not any(part in told for part in broken_off)] == []
        page.close()
        assert served.stop(signal.SIGTERM) == 0
    assert (sold(config, "tea"), sold(config, "teapot")) == (2, 1), "once, however often it was asked for"


def test_what_is_sold_out_is_not_sold(browser: Browser, tmp_path: Path) -> None:
    shutil.copytree(SHOP, tmp_path / "shop", ignore=shutil.ignore_patterns(".pyworkerd"))
    with serve(tmp_path / "shop/config.toml", "--socket-addr=http=127.0.0.1:0") as served:
        host, port = served.address()
        page = browser.page(f"http://{host}:{port}/")
        page.until("document.body.dataset.ready")
        add(page, "teapot", 4)
        page.run("document.querySelector('#buy').click()")
        page.until("document.querySelector('#status').innerText.startsWith('Not bought')")
        assert page.text("#status") == "Not bought: something in the cart is sold out."
        assert "4 x Teapot" in page.text("#cart")
        page.run("document.querySelector('#cart button').click()")
        page.until("document.querySelector('#cart').innerText === ''")
        assert page.run("document.querySelector('#buy').disabled") is True
        page.close()
