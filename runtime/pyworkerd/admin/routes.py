"""The pages of the admin address: a table from path and method to what answers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from pyworkerd.messages import Body, Response, text_response

from .dashboard import dashboard
from .metrics import metrics

if TYPE_CHECKING:
    from collections.abc import Collection

    from pyworkerd_config import Config

    from pyworkerd.messages import Request
    from pyworkerd.observe.feed import Feed
    from pyworkerd.observe.totals import Totals
    from pyworkerd.versions.current import Change

    from .live import Live


class Server(Protocol):
    """What the pages are about; the supervisor is one."""

    def readiness(self) -> tuple[int, int]:
        """How many processes take new requests (0 once it stops), and how many are wanted."""

    def describe(self) -> Mapping[str, Any]:
        """The supervisor and its processes, as JSON values."""

    totals: Totals
    """What its processes have counted together."""

    def numbers(self) -> Collection[int]:
        """Of its processes, whatever they are doing."""

    config: Config
    """What is served, with what was deployed."""

    async def let_one(self, task: str, argument: bytes, seconds: float) -> bytes | None:
        """Let one serving process do something on a thread: see `supervisor.questions`. None if none could."""

    async def change(self, change: Change) -> None:
        """Change what was deployed, everywhere or nowhere: see `supervisor.reloading`."""

    live: Live
    """What is kept for those who look at it."""
    feed: Feed | None
    """What it said itself."""

    async def ask(
        self, question: str, argument: bytes = b"", each: Mapping[int, bytes] = MappingProxyType({})
    ) -> dict[int, bytes]:
        """Ask all serving processes: see `supervisor.questions`. By their numbers, those that answered in time. `each`
        has other arguments for some.
        """


Page = Callable[[Server, "Request"], Awaitable[Response]]

HEADERS: Final = (
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'"),
)
"""Of every answer that has not its own: what is true now is not kept, and nothing in it is ever run."""


async def _live(_server: Server, _request: Request) -> Response:
    """The supervisor's event loop turns; whether anything is served is `/ready`."""
    return text_response(200, "live\n")


async def _ready(server: Server, _request: Request) -> Response:
    """200 as long as one process takes new requests: then none is refused, at worst it is slower."""
    serving, wanted = server.readiness()
    return as_json({"ready": serving > 0, "serving": serving, "wanted": wanted}, 200 if serving else 503)


async def _processes(server: Server, _request: Request) -> Response:
    """What is known of each process."""
    return as_json(server.describe())


ROUTES: Final[Mapping[str, Mapping[str, Page]]] = {
    "/": {"GET": dashboard},
    "/live": {"GET": _live},
    "/ready": {"GET": _ready},
    "/processes": {"GET": _processes},
    "/metrics": {"GET": metrics},
}


def as_json(value: object, status: int = 200) -> Response:
    """A JSON answer."""
    body = Body(json.dumps(value, indent=2).encode() + b"\n")
    return Response(status, (("content-type", "application/json"),), body)


def find(request: Request) -> Page | Response:
    """The page that a request asks for, or why there is none. HEAD is asked like GET (RFC 9110 section 9.3.2)."""
    methods = ROUTES.get(urlsplit(request.url).path)
    if methods is None:
        return text_response(404, f"there are {', '.join(ROUTES)}\n")
    page = methods.get("GET" if request.method == "HEAD" else request.method)
    if page is None:
        allow = ", ".join([*methods, *(["HEAD"] if "GET" in methods else [])])
        return text_response(405, f"this page takes {allow}\n", (("allow", allow),))
    return page
