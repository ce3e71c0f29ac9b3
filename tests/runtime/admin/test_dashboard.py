"""The page as it is sent; what it does is in tests/browser."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from pyworkerd.admin import dashboard
from pyworkerd.admin.site import Site
from pyworkerd.messages import Request

from tests.runtime.admin.test_routes import Fixed
from tests.runtime.server.client import run

if TYPE_CHECKING:
    from pyworkerd.messages import Response

FOLDER = Path(dashboard.__file__).parent
SINKS = (
    "innerHTML",
    "outerHTML",
    "insertAdjacent",
    "document.write",
    "eval(",
    "Function(",
    'setAttribute("on',
)


def answer(path: str = "/", *headers: tuple[str, str], method: str = "GET") -> Response:
    async def main() -> None:
        found.append(await Site(Fixed(1)).handle(Request(method, f"http://localhost{path}", headers)))

    found: list[Response] = []
    run(main)
    return found[0]


def test_its_policy_allows_what_is_in_it_and_nothing_else() -> None:
    page = answer()
    assert page.status == 200
    assert [name for name, _ in page.headers].count("content-security-policy") == 1
    policy = page.header("content-security-policy") or ""
    text = (page.body.data or b"").decode()
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = b64encode(sha256(inside.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.header("cache-control") == "no-store"
    assert page.header("x-content-type-options") == "nosniff"


def test_it_asks_nobody_else_and_makes_no_markup_of_text() -> None:
    text = (answer().body.data or b"").decode()
    named = set(re.findall(r"https?://[^\s'\"`<>)]+", text))
    assert named == {"http://www.w3.org/2000/svg"}
    assert [sink for sink in SINKS if sink in text] == []
    assert re.findall(r"\son[a-z]+=|\sstyle=|<(?:img|iframe|object|embed)\b", text) == []


def test_all_of_its_scripts_are_on_it() -> None:
    assert set(dashboard.SCRIPTS) == {path.name for path in FOLDER.glob("*.js")}


def test_pages_of_others_do_not_have_it() -> None:
    assert answer("/", ("sec-fetch-site", "cross-site")).status == 403
    assert answer("/", method="POST").status == 405
