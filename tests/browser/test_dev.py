"""Somebody writes a worker beside a browser that shows it: `pyworkerd dev`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.runtime.cli.command import project, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.chromium import Browser

CONFIG = '[[services]]\nname = "w"\n[services.worker]\nmain = "w.js"\n'
PAGE = """\
export default { fetch: () => new Response("<title>NAME</title>", { headers: { "content-type": "text/html" } }) };
"""


def test_an_error_is_shown_and_goes_away_when_it_is_mended(tmp_path: Path, browser: Browser) -> None:
    config = project(tmp_path, CONFIG)
    (tmp_path / "w.js").write_text(PAGE.replace("NAME", "one") + "\nhalf a file")
    with serve(config, "--port=0", processes=None, verb="dev") as served:
        url = served.errors.until("Waiting").split()[4]
        page = browser.page(url)
        assert page.text("h1") == "The files cannot be loaded"
        assert "w.js:3: SyntaxError" in page.text("p")
        assert "> 3 | half a file" in page.text("pre")
        (tmp_path / "w.js").write_text(PAGE.replace("NAME", "one"))
        page.until("document.title === 'one'")
        (tmp_path / "w.js").write_text("half a file")
        served.errors.until("The version before goes on")
        page.go(url)
        assert page.text("h1") == "The files cannot be loaded"
        (tmp_path / "w.js").write_text(PAGE.replace("NAME", "two"))
        page.until("document.title === 'two'")
