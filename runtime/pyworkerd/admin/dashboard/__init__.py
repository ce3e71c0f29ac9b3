"""The dashboard: one page with its own style and script, put together here. It asks the API for everything it shows.

Its Content-Security-Policy names the two by their hashes, so nothing else is ever run or applied on it, and lets it
send requests to its own address only. It is static, and so may be had by whoever is let in by `guard`: what it shows
has its own rules, see `auth`.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from pyworkerd.messages import Body, Response

if TYPE_CHECKING:
    from pyworkerd.admin.routes import Server
    from pyworkerd.messages import Request

SCRIPTS: Final = ("text.js", "charts.js", "talk.js", "workers.js", "versions.js", "logs.js", "main.js")
"""In this order; what they declare is seen by those after them, and by nobody outside."""
_POLICY: Final = (
    "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types"
)


async def dashboard(_server: Server, _request: Request) -> Response:
    """The page."""
    page, policy = assembled()
    return Response(
        200,
        (("content-type", "text/html; charset=utf-8"), ("content-security-policy", policy)),
        Body(page),
    )


@cache
def assembled() -> tuple[bytes, str]:
    """The page and its policy."""
    style = _text("style.css")
    script = "".join(["(() => {\n'use strict';\n", *map(_text, SCRIPTS), "})();\n"])
    page = _text("page.html").replace("STYLE", style, 1).replace("SCRIPT", script, 1)
    return page.encode(), _POLICY.format(script=_hash(script), style=_hash(style))


def _text(name: str) -> str:
    return files(__name__).joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
