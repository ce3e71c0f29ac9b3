"""Two ends joined: what one receives the other sends, until both have closed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from .base import FAILED, Close, WebSocketClosed

if TYPE_CHECKING:
    from .base import WebSocket

_BROKEN: Final = Close(FAILED, "", clean=False)


async def splice(one: WebSocket, other: WebSocket) -> None:
    """Carry messages and the close both ways. Returns when both ends have closed.

    Back-pressure goes through: a piece is pulled when the one before it has been pushed. If the caller is cancelled,
    or an end fails in another way than by closing, both are closed, and the failure is raised.
    """

    def stop(_: object = None) -> None:
        # After an orderly end this changes nothing: the first close counts.
        one.end(_BROKEN)
        other.end(_BROKEN)

    back = asyncio.get_running_loop().create_task(_carry(other, one))
    back.add_done_callback(lambda task: stop() if task.cancelled() or task.exception() else None)
    try:
        await _carry(one, other)
        await back
    finally:
        stop()
        back.cancel()
        await asyncio.wait([back])


async def _carry(source: WebSocket, sink: WebSocket) -> None:
    try:
        while True:
            piece = await source.pull()
            try:
                await sink.push(piece)
            except WebSocketClosed:
                # The way back hears how it ended, and tells the source. What the source still sends, nobody wants.
                while True:
                    await source.pull()
    except WebSocketClosed as closed:
        sink.end(closed.close)
