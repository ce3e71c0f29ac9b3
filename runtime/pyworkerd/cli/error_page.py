"""The error page of `serve --dev`: what the worker raised, and where. Never served without `--dev`."""

from __future__ import annotations

from html import escape
from typing import Final

from pyworkerd.errors import ERROR_HEADER, ConfigurationError, InternalError, PyworkerdError, WorkerException
from pyworkerd.messages import Body, Request, Response

SHOWN: Final = 64 * 1024
"""Characters of a traceback or message on the page."""

_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
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
{message}
{traceback}
<p class="about">{about}<br>
This page is shown because the server runs with <code>--dev</code>; without it a client sees only the status.</p>
</html>
"""
_HEADERS: Final = (
    ("content-type", "text/html;charset=UTF-8"),
    ("cache-control", "no-store"),
    # Nothing on the page may run or load, whatever a worker puts into its message.
    ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),
)


def error_page(request: Request, error: Exception) -> Response | None:
    """A page for what a worker did wrong; None for what is not the worker's doing, which keeps the plain answer."""
    if not isinstance(error, PyworkerdError) or isinstance(error, ConfigurationError | InternalError):
        return None
    if isinstance(error, WorkerException):
        title, message, traceback = error.type_name, error.message, error.traceback
    else:
        title, message, traceback = type(error).__name__, str(error), ""
    page = _PAGE.format(
        title=_text(title),
        message=f"<p>{_text(message)}</p>" if message else "",
        traceback=f"<pre>{_text(traceback)}</pre>" if traceback else "",
        about=f"{_text(request.method)} {_text(request.url)} &rarr; {error.status} <code>{error.code}</code>",
    )
    retry = [("retry-after", str(error.retry_after))] if error.retry_after is not None else []
    headers = (*_HEADERS, (ERROR_HEADER, error.code), *retry)
    return Response(error.status, headers, Body(page.encode("utf-8", "backslashreplace")))


def _text(text: str) -> str:
    return escape(text[:SHOWN])
