"""For who writes workers: while the files cannot be loaded, whoever looks at a page sees why.

The version before goes on; only a browser that opens a page gets another one, which loads itself again and so goes away
when the files are mended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pyworkerd.messages import Request, Response, header
from pyworkerd.problems import Fault

if TYPE_CHECKING:
    from pyworkerd.observe.access import AccessEntry, AccessSink
    from pyworkerd.observe.scope import Scope
    from pyworkerd.server import Handler
    from pyworkerd.services.base import Ask, Pending, Reply, Surroundings

TroublePage = Callable[[Sequence[Fault]], Response]


class Trouble:
    """What is wrong, and what makes of a handler one that says so."""

    def __init__(self, page: TroublePage) -> None:
        self._page = page
        self.faults: Sequence[Fault] = ()

    def __call__(self, handler: Handler) -> Handler:
        """The same handler, as long as nothing is wrong."""
        return _Troubled(self, handler)

    def answer(self, request: Request) -> Response | None:
        """The page, if something is wrong and somebody looks at one."""
        return self._page(self.faults) if self.faults and opens_page(request) else None

    def leaves_out(self, log: AccessSink) -> AccessSink:
        """An access log without the pages of this: there is one each second, for as long as somebody looks at it."""

        def write(entry: AccessEntry) -> None:
            if not self.faults or entry.service:
                log(entry)

        return write


class _Troubled:
    def __init__(self, trouble: Trouble, handler: Handler) -> None:
        self._trouble, self._handler = trouble, handler
        self._ask: Ask | None = getattr(handler, "ask", None)

    async def __call__(self, request: Request) -> Response:
        return self._trouble.answer(request) or await self._handler(request)

    def ask(self, request: Request, span: Scope, surroundings: Surroundings, reply: Reply) -> Pending | None:
        if self._ask is None or (self._trouble.faults and opens_page(request)):
            return None
        return self._ask(request, span, surroundings, reply)


def opens_page(request: Request) -> bool:
    """Whether a browser opens a page with it (Fetch Metadata; older browsers say that they want HTML)."""
    if request.method != "GET":
        return False
    mode = header(request.headers, "sec-fetch-mode")
    return (
        mode == "navigate" if mode is not None else "text/html" in (header(request.headers, "accept") or "")
    )
