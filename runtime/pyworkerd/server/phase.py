"""What an HTTP/1.1 connection is doing."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    """What the connection is doing."""

    WAITING = "waiting"
    """For a request, or for the rest of its head."""
    BUSY = "busy"
    """A handler runs or its response is being written."""
    DISCARDING = "discarding"
    """The response is out; the rest of the request is read for the sake of the next one."""
    LINGERING = "lingering"
    """The last response is out and the sending side closed; input is dropped so that no reset destroys the
    answer."""
    CLOSED = "closed"
