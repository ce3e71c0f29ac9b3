"""Who sees why the files cannot be loaded, and who is answered as before."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.messages import Request, Response
from pyworkerd.problems import Fault
from pyworkerd.supervisor.trouble import Trouble, opens_page

if TYPE_CHECKING:
    from collections.abc import Sequence

FAULTS = (Fault("no"),)


@pytest.mark.parametrize(
    ("method", "headers", "opens"),
    [
        ("GET", {"sec-fetch-mode": "navigate", "accept": "*/*"}, True),
        ("GET", {"sec-fetch-mode": "cors", "accept": "text/html"}, False),
        ("GET", {"accept": "text/html,application/xhtml+xml"}, True),
        ("GET", {"accept": "application/json"}, False),
        ("GET", {}, False),
        ("POST", {"sec-fetch-mode": "navigate"}, False),
    ],
)
def test_what_opens_a_page(method: str, headers: dict[str, str], opens: bool) -> None:
    assert opens_page(Request(method, "http://a/", tuple(headers.items()))) is opens


class Site:
    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, _: Request) -> Response:
        return Response(200)

    def ask(self, *_: Any) -> Any:
        self.asked += 1
        return object()


def test_a_page_only_while_something_is_wrong() -> None:
    def page(faults: Sequence[Fault]) -> Response:
        assert faults == FAULTS
        return Response(500)

    async def main() -> None:
        trouble, site = Trouble(page), Site()
        handler: Any = trouble(site)
        opening, other = Request("GET", "http://a/", (("accept", "text/html"),)), Request("GET", "http://a/")

        async def answers() -> list[int]:
            return [(await handler(request)).status for request in (opening, other)]

        assert await answers() == [200, 200]
        assert handler.ask(opening, None, None, None) is not None
        trouble.faults = FAULTS
        assert await answers() == [500, 200]
        assert handler.ask(opening, None, None, None) is None
        assert handler.ask(other, None, None, None) is not None
        trouble.faults = ()
        assert await answers() == [200, 200]
        assert site.asked == 2

    asyncio.run(main())


def test_a_handler_that_cannot_be_asked() -> None:
    async def plain(_: Request) -> Response:
        return Response(204)

    handler: Any = Trouble(lambda _: Response(500))(plain)
    assert handler.ask(Request("GET", "http://a/"), None, None, None) is None
    assert asyncio.run(handler(Request("GET", "http://a/"))).status == 204


def test_the_pages_are_left_out_of_the_log() -> None:
    seen: list[Any] = []
    trouble = Trouble(lambda _: Response(500))
    log = trouble.leaves_out(seen.append)
    page, other = SimpleNamespace(service=""), SimpleNamespace(service="w")
    for faults in (FAULTS, ()):
        trouble.faults = faults
        log(page)  # type: ignore[arg-type]
        log(other)  # type: ignore[arg-type]
    assert seen == [other, page, other]
