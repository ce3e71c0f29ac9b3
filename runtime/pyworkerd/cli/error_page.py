"""The error pages of `dev` and `serve --dev`: what the worker raised, or why it cannot be loaded, and where. Never
served without these.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import ERROR_HEADER, ConfigurationError, InternalError, PyworkerdError, WorkerException
from pyworkerd.messages import Body, Headers, Request, Response, header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd.problems import Fault

SHOWN: Final = 64 * 1024
"""Characters of a traceback or message on the page."""

_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">{refresh}
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 60rem; padding: 0 1rem;
  overflow-wrap: anywhere; }}
h1 {{ font-size: 1.4rem; }}
pre {{ background: #8882; border-radius: 6px; overflow-x: auto; padding: 1rem; }}
:root {{ color-scheme: light dark; }}
.about {{ opacity: .7; }}
</style>
<h1>{title}</h1>
{body}
<p class="about">{about}</p>
</html>
"""
_WHY: Final = """<br>
This page is shown by <code>dev</code> and <code>serve --dev</code>; otherwise a client sees only the status."""
_REFRESH: Final = '\n<meta http-equiv="refresh" content="1">'
"""Seconds. What the page was asked for comes when it can."""
_HTML: Final = "text/html;charset=UTF-8"
# Nothing on the page may run or load, whatever a worker puts into its message.
_GUARD: Final = (("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),)
_BROKEN: Final = "The files cannot be loaded"
MAX_FAULTS: Final = 20
"""On one page."""


def error_page(request: Request, error: Exception) -> Response | None:
    """A page for what a worker did wrong; None for what is not the worker's doing, which keeps the plain answer."""
    if not isinstance(error, PyworkerdError) or isinstance(error, ConfigurationError | InternalError):
        return None
    if isinstance(error, WorkerException):
        title, message, traceback = error.type_name, error.message, error.traceback
    else:
        title, message, traceback = type(error).__name__, str(error), ""
    retry = [("retry-after", str(error.retry_after))] if error.retry_after is not None else []
    headers = ((ERROR_HEADER, error.code), *retry)
    if not _wants_html(request):
        text = f"{title}: {message}\n{traceback}" if message else f"{title}\n{traceback}"
        return _answer(
            error.status, text[: 2 * SHOWN].rstrip("\n") + "\n", "text/plain;charset=UTF-8", headers
        )
    body = "".join(
        f"<{tag}>{_text(text)}</{tag}>\n" for tag, text in (("p", message), ("pre", traceback)) if text
    )
    about = f"{_text(request.method)} {_text(request.url)} &rarr; {error.status} <code>{error.code}</code>"
    page = _PAGE.format(title=_text(title), body=body, about=about + _WHY, refresh="")
    return _answer(error.status, page, _HTML, (*_GUARD, *headers))


def trouble_page(faults: Sequence[Fault]) -> Response:
    """A page that says why the files cannot be loaded, until they can."""
    blocks = []
    for fault in faults[:MAX_FAULTS]:
        sentence, _, lines = fault.text.partition("\n")
        blocks.append(f"<p>{_text(sentence)}</p>\n")
        if lines.strip():
            blocks.append(f"<pre>{_text(lines.strip(chr(10)))}</pre>\n")
    if len(faults) > MAX_FAULTS:
        blocks.append(f"<p>and {len(faults) - MAX_FAULTS} more</p>\n")
    about = "What was asked for comes by itself when this is mended."
    page = _PAGE.format(title=_BROKEN, body="".join(blocks), about=about, refresh=_REFRESH)
    return _answer(500, page, _HTML, (*_GUARD, (ERROR_HEADER, ConfigurationError.code)))


def _wants_html(request: Request) -> bool:
    """A client that lists what it takes, and HTML not, gets text: `curl`, or a program that asks for JSON."""
    accepted = header(request.headers, "accept")
    return accepted is None or "text/html" in accepted


def _answer(status: int, text: str, content_type: str, headers: Headers) -> Response:
    own = (("content-type", content_type), ("cache-control", "no-store"))
    return Response(status, (*own, *headers), Body(text.encode("utf-8", "backslashreplace")))


def _text(text: str) -> str:
    return escape(text[:SHOWN])
