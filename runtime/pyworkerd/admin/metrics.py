"""`/metrics`: what all serving processes have counted, for Prometheus.

The supervisor has no thread to give the work to (it forks), so it is done in pieces, between which its loop turns.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from pyworkerd.messages import Body, Response, header
from pyworkerd.observe.snapshot import SnapshotError, unpack

if TYPE_CHECKING:
    from pyworkerd.messages import Request
    from pyworkerd.observe.snapshot import Snapshot

    from .routes import Server

logger = logging.getLogger("pyworkerd.admin")

_END: Final = b"# EOF\n"
"""Of an OpenMetrics text, once."""


async def metrics(server: Server, request: Request) -> Response:
    """The sum over all processes, in the format that the request accepts."""
    text, content_type = await _exposed(await counted(server), header(request.headers, "accept") or "")
    return Response(200, (("content-type", content_type),), Body(text))


async def counted(server: Server) -> Snapshot:
    """The sum over all processes."""
    answers: dict[int, Snapshot] = {}
    for number, packed in (await server.ask("collect")).items():
        try:
            answers[number] = unpack(packed)
        except SnapshotError as error:
            logger.error("serving process %d: what it counted cannot be read: %s", number, error)  # noqa: TRY400
        await asyncio.sleep(0)
    return server.totals.add(answers, server.numbers())


async def _exposed(snapshot: Snapshot, accept: str) -> tuple[bytes, str]:
    from pyworkerd.observe.exposition import expose  # noqa: PLC0415 (the first scrape loads the client)

    end, content_type = expose({}, accept)
    pieces = []
    for family, rows in snapshot.items():
        pieces.append(expose({family: rows}, accept)[0].removesuffix(_END))
        await asyncio.sleep(0)
    return b"".join([*pieces, end]), content_type
