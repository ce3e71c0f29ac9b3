"""The reference parser: h11 takes the fields apart. Pure Python, and several times slower than httptools."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h11

from pyworkerd.errors import BadRequest

from .parser import Parser

if TYPE_CHECKING:
    from pyworkerd.messages import Headers


class H11Parser(Parser):
    """Heads by h11."""

    __slots__ = ()

    def _split(self, head: bytes, method: bytes, steers: bool) -> Headers:  # noqa: ARG002
        # A connection of h11's own for each head: bodies and keep-alive are this package's business.
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=len(head) + 1)
        connection.receive_data(head)
        try:
            request = connection.next_event()
        except h11.RemoteProtocolError as error:
            raise BadRequest("the head is malformed") from error
        if not isinstance(request, h11.Request):
            raise BadRequest("the head is malformed")
        return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers)
