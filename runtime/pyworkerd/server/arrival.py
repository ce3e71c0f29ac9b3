"""From an accepted client to one that speaks HTTP: its PROXY header first, then its TLS handshake.

Rule 1. Nobody is read from beyond what the PROXY header needs; TLS gets its first byte unread.
Rule 2. Both steps are timed, and those that are still on their way count as connections.
Rule 3. Whatever is wrong ends the connection without a word: the peer speaks something else, or wants to be believed
        who is not.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from pyworkerd.http.forwarded import plain_address
from pyworkerd.http.proxy_protocol import ProxyHeader, ProxyHeaderError, read_header

from .client_certificate import read_certificate
from .connection import Connection
from .info import ConnectionInfo, authority, describe
from .origin import NOBODY, Origin, Trust

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    from .http2_connection import Http2Connection
    from .shared import Shared
    from .tls import Tls

logger: Final = logging.getLogger("pyworkerd.server")

_FLUSHED_FOREVER: Final = 86_400.0
"""Seconds that asyncio gives a TLS connection to close. It counts the time in which a slow reader still takes what was
written, so it is no limit for us: `Connection` has its own, which look at progress."""


class Arrival(asyncio.BufferedProtocol):
    """Made by the listening socket for each client, where its edge asks for more than HTTP."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._info: ConnectionInfo = cast("ConnectionInfo", None)
        self._header = b""
        self._buffer = memoryview(bytearray(1))
        self._timer: asyncio.TimerHandle | None = None
        self._early = _Early()
        self._task: asyncio.Task[None] | None = None

    # The transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or turn the client away at the limit."""
        shared = self._shared
        self._transport = cast("asyncio.Transport", transport)
        self._info = describe(self._transport)
        shared.join(self)
        if len(shared.connections) > 2 * shared.options.max_connections:
            shared.counters.refused += 1
            self.abort()
        elif not shared.edge.proxy_protocol:
            self._transport.pause_reading()
            self._secure(self._info, shared.edge.trust)
        elif not shared.edge.trust.covers(self._info.peer):
            shared.complain("%s is no trusted proxy, and was not served", self._info.peer or "a Unix peer")
            self._fail("not a trusted proxy")
        else:
            self._want(read_header(b""))
            self._timer = shared.loop.call_later(
                shared.options.arrival_timeout, self._fail, "no PROXY header"
            )

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's interface
        """Room for what certainly belongs to the PROXY header."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """A part of the PROXY header."""
        self._header += self._buffer[:nbytes]
        try:
            found = read_header(self._header)
        except ProxyHeaderError as error:
            self._shared.complain("%s sent no PROXY header: %s", self._info.peer or "a Unix peer", error)
            self._fail(str(error))
            return
        if isinstance(found, int):
            self._want(found)
            return
        self._stop_timer()
        self._transport.pause_reading()
        self._secure(*told_by(found, self._info, self._shared.edge.trust))

    def _want(self, size: int | ProxyHeader) -> None:
        assert isinstance(size, int)
        self._buffer = memoryview(bytearray(size))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason changes nothing
        """The client left before it could speak HTTP."""
        self._stop_timer()
        self._shared.leave(self)

    # The server's calls

    def begin_drain(self) -> None:
        """Whoever was accepted may arrive: its first request is then the last one."""

    def cancel(self) -> None:
        """Nothing runs for this client yet."""
        self.abort()

    def abort(self) -> None:
        """Reset."""
        self._transport.abort()

    # Steps

    def _secure(self, info: ConnectionInfo, trust: Trust) -> None:
        tls = self._shared.edge.tls
        if tls is None:
            self._enter(Connection(self._shared, Origin(info, trust)), self._transport)
            self._transport.resume_reading()
        else:
            begun = _Begun(self._start_tls(tls))
            self._task = self._shared.loop.create_task(self._handshake(begun, info, trust))

    def _enter(self, connection: Connection | Http2Connection, transport: asyncio.Transport) -> None:
        transport.set_protocol(connection)
        self._shared.connections.discard(
            self
        )  # not `leave`: the server is not empty, the connection joins it now
        connection.connection_made(transport)

    def _start_tls(self, tls: Tls) -> Coroutine[Any, Any, asyncio.Transport | None]:
        timeout = self._shared.options.arrival_timeout
        return self._shared.loop.start_tls(
            self._transport,
            self._early,
            tls.context,
            server_side=True,
            ssl_handshake_timeout=timeout,
            ssl_shutdown_timeout=_FLUSHED_FOREVER,
        )

    async def _handshake(self, begun: _Begun, info: ConnectionInfo, trust: Trust) -> None:
        try:
            secured = await begun
            # uvloop calls it a success when the client, or we, left on the way.
            if secured is None or self._early.lost or self._transport.is_closing():
                raise ConnectionResetError("the client left")
            der = secured.get_extra_info("ssl_object").getpeercert(binary_form=True)
            certificate = None if der is None else read_certificate(der)
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            self._fail(str(error))
            self._shared.leave(self)
            return
        info = replace(info, scheme="https", certificate=certificate)
        agreed = secured.get_extra_info("ssl_object").selected_alpn_protocol()
        connection = self._speaking(agreed, Origin(info, trust))
        self._enter(connection, secured)
        self._early.hand_over(connection)

    def _speaking(self, protocol: str | None, origin: Origin) -> Connection | Http2Connection:
        """RFC 7301: what the handshake has agreed on; without a word about it, HTTP/1.1."""
        if protocol != "h2":
            return Connection(self._shared, origin, self._transport)
        from .http2_connection import Http2Connection  # noqa: PLC0415 - loaded by `Tls.open`, off the loop's thread

        return Http2Connection(self._shared, origin, self._transport)

    def _fail(self, reason: str) -> None:
        self._shared.counters.arrivals_failed += 1
        logger.debug("a client of %s did not arrive: %s", self._info.server, reason)
        self.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def told_by(header: ProxyHeader, info: ConnectionInfo, trust: Trust) -> tuple[ConnectionInfo, Trust]:
    """The connection as a PROXY header tells it, and whose word about clients counts on it.

    Where the proxy names nobody, nobody's headers are believed: they are a client's, and not the proxy's.
    """
    if header.local:
        return info, NOBODY
    scheme = "https" if header.secure else info.scheme
    if header.source is None:
        return replace(info, client=None, client_port=None, scheme=scheme), NOBODY
    server = info.server if header.destination is None else authority(*header.destination)
    client = plain_address(header.source.address)
    return replace(info, client=client, client_port=header.source.port, server=server, scheme=scheme), trust


class _Begun:
    """A coroutine whose first step has been taken, to be awaited for the rest.

    uvloop begins to read as soon as `connection_made` returns, paused or not, so TLS has to be in its place by then;
    a task would take its first step later.
    """

    def __init__(self, work: Coroutine[Any, Any, asyncio.Transport | None]) -> None:
        self._work = work
        self._waits_for: Any = work.send(None)

    def __await__(self) -> Generator[Any, Any, asyncio.Transport | None]:
        try:
            while True:
                try:
                    sent = yield self._waits_for
                except BaseException as error:  # noqa: BLE001 - cancelling, among others, is the coroutine's to see
                    self._waits_for = self._work.throw(error)
                else:
                    self._waits_for = self._work.send(sent)
        except StopIteration as end:
            return cast("asyncio.Transport | None", end.value)


class _Early(asyncio.Protocol):
    """Takes what arrives between the end of the handshake and the moment that asyncio tells of it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._ended = False
        self.lost = False

    def data_received(self, data: bytes) -> None:
        self._pieces.append(data)

    def eof_received(self) -> None:
        self._ended = True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's interface
        self.lost = True

    def hand_over(self, connection: Connection | Http2Connection) -> None:
        for piece in self._pieces:
            connection.data_received(piece)
        if self._ended:
            connection.eof_received()
