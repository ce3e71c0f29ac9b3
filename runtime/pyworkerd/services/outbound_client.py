"""The HTTP client behind network and external services: an aiohttp session that adds nothing of its own.

No proxy, cookie, credential or certificate authority from the environment, no decompression, no redirect that
was not looked at, no default header. Addresses are checked twice: those of a name before any is tried, and
each one again when its socket is opened, which is the very address that is then connected to; a name is not
resolved in between.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from time import monotonic
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from pyworkerd.errors import UpstreamError
from pyworkerd.messages import Body, Response
from pyworkerd.websocket.handshake import request_fields

from . import fields, outbound_sockets, redirects
from .destination import Destination
from .lines import Lines
from .outbound_bodies import SLICE, Download, Upload, slices
from .outbound_errors import FOREIGN, AddressDeniedError, translate

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.messages import Headers, Request

    from .outbound_plan import OutboundLimits, Plan

_OWN_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
"""What aiohttp would add where a guest says nothing."""

_WITHOUT_BODY = frozenset({204, 304})  # RFC 9112 section 6.3, with every answer to HEAD


class _PermittedAddresses(AbstractResolver):
    """The plan's resolver, filtered by the plan's policy, in aiohttp's shape."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await self._plan.resolver.resolve(host)
        permitted = [address for address in addresses if self._plan.permits(address)]
        if addresses and not permitted:
            raise AddressDeniedError(f"the policy permits no address of {host}")
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in permitted
            if family in (socket.AF_UNSPEC, socket.AF_INET if address.version == 4 else socket.AF_INET6)
        ]

    async def close(self) -> None:
        await self._plan.resolver.aclose()


def _connector(plan: Plan) -> aiohttp.BaseConnector:
    if plan.unix_path is not None:
        return aiohttp.UnixConnector(plan.unix_path, limit=plan.limits.connections)

    def open_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not plan.permits(ip_address(address[0])):
            raise AddressDeniedError("the policy does not permit this address")
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(
        resolver=_PermittedAddresses(plan), limit=plan.limits.connections, socket_factory=open_socket
    )


def _session(plan: Plan) -> aiohttp.ClientSession:
    limits = plan.limits
    return aiohttp.ClientSession(
        connector=_connector(plan),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_OWN_HEADERS,
        auto_decompress=False,
        trust_env=False,
        read_bufsize=SLICE,
        max_line_size=limits.field_bytes,
        max_field_size=limits.field_bytes,
        max_headers=limits.fields,
    )


def _timeout(limits: OutboundLimits, connect_ms: float | None) -> aiohttp.ClientTimeout:
    connect_s = limits.connect_s
    if connect_ms is not None:
        connect_s = min(max(connect_ms, 1) / 1000, connect_s)  # 0 would be no limit to aiohttp
    return aiohttp.ClientTimeout(
        total=None, connect=connect_s, sock_connect=connect_s, sock_read=limits.silence_s
    )


class Client:
    """One service's connections. Has to be made on the event loop that uses it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._session = _session(plan)
        self._sockets = outbound_sockets.Keep()
        limits = plan.limits
        self._lines = Lines(limits.connections, "connections", limits.connect_s)

    async def fetch(self, request: Request, mode: str) -> Response:
        """Ask, redirects as `mode` says. Raises `UpstreamError`, or what the request body raised."""
        try:
            hop = _first_hop(request, mode)
            while True:
                response, upload, give_back = await self._send(hop, request.body, request.connect_ms)
                download = Download(response, hop.destination.authority, upload, give_back)
                following = await self._judge(hop, response, download, mode)
                if isinstance(following, Response):
                    return following
                hop = following
        except BaseException:
            await request.body.aclose()
            raise

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()
        await self._sockets.aclose()
        await self._plan.resolver.aclose()

    async def _send(
        self, hop: redirects.Hop, body: Body, connect_ms: int | None
    ) -> tuple[aiohttp.ClientResponse, Upload | None, Callable[[], None]]:
        wire = self._plan.wire(hop.destination)
        host = hop.destination.authority
        headers, data = _outgoing(hop, wire.host, body)
        upload = data if isinstance(data, Upload) else None
        timeout = _timeout(self._plan.limits, connect_ms)
        came = monotonic()
        try:
            give_back = await self._lines.take(timeout.connect)
        except BaseException:
            await _abandon(upload)
            raise
        if connect_ms is not None:  # which it has had a part of
            timeout = _timeout(self._plan.limits, connect_ms - (monotonic() - came) * 1e3)
        try:
            response = await self._session.request(
                hop.method,
                URL(wire.url, encoded=True),
                headers=headers,
                data=data,
                allow_redirects=False,
                ssl=self._plan.tls or True,
                server_hostname=wire.tls_name,
                timeout=timeout,
            )
        except FOREIGN as error:
            give_back()
            await _abandon(upload)
            if upload is not None and upload.failure is not None:
                raise upload.failure from error
            raise translate(error, host) from error
        except BaseException:
            give_back()
            await _abandon(upload)
            raise
        return response, upload, give_back

    async def _judge(
        self, hop: redirects.Hop, response: aiohttp.ClientResponse, download: Download, mode: str
    ) -> Response | redirects.Hop:
        host = hop.destination.authority
        try:
            if response.status == 101 and hop.socket_key:
                return self._sockets.take_over(hop, response, self._plan.limits, download.give_back)
            limits = self._plan.limits
            headers = _read_headers(response, host, limits.header_bytes, limits.fields)
            location = next((value for name, value in headers if name == "location"), None)
            try:
                following = redirects.after(hop, response.status, location, mode)
            except ValueError as error:
                raise UpstreamError(f"{host} {error}") from None
            if following is None:
                return await _deliver(hop, response, headers, download)
        except BaseException:
            await download.aclose()
            raise
        await download.aclose()
        return following


def _first_hop(request: Request, mode: str) -> redirects.Hop:
    if mode not in redirects.MODES:
        raise UpstreamError(f"the redirect mode {mode[:40]!r} is none of {', '.join(redirects.MODES)}")
    asks = outbound_sockets.asks(request)
    try:
        return redirects.Hop(
            method=fields.check_method(request.method),
            destination=Destination.parse(request.url),
            headers=fields.for_request(request.headers),
            has_body=request.body.data != b"",
            can_replay=request.body.data is not None,
            socket_key=outbound_sockets.new_key() if asks else "",
        )
    except ValueError as error:
        raise UpstreamError(f"this request cannot be sent: {error}") from None


def _outgoing(
    hop: redirects.Hop, host: str, body: Body
) -> tuple[list[tuple[str, str]], bytes | Upload | None]:
    try:
        own = request_fields(hop.socket_key, hop.headers) if hop.socket_key else hop.headers
        headers = [("host", host), *fields.for_wire(own)]
    except ValueError as error:
        raise UpstreamError(f"this request cannot be sent: {error}") from None
    if not hop.has_body:
        return headers, None
    if body.length is not None:
        headers.append(("content-length", str(body.length)))
    if body.data is None:
        return headers, Upload(body)
    if len(body.data) <= SLICE:
        return headers, body.data
    return headers, Upload(Body(chunks=slices(body.data), length=len(body.data)))


def _read_headers(response: aiohttp.ClientResponse, host: str, size: int, count: int) -> Headers:
    try:
        headers = fields.from_response(response.raw_headers, max_bytes=size, max_fields=count)
    except ValueError as error:
        raise UpstreamError(f"{host} sent a malformed answer") from error
    if not 200 <= response.status <= 599:
        raise UpstreamError(f"{host} sent a malformed answer")
    return headers


async def _deliver(
    hop: redirects.Hop, response: aiohttp.ClientResponse, headers: Headers, download: Download
) -> Response:
    if hop.method == "HEAD" or response.status in _WITHOUT_BODY:
        await download.aclose()
        return Response(response.status, headers, url=hop.destination.url)
    # A chunked answer has no length, whatever else it says (RFC 9112 section 6.3).
    chunked = "transfer-encoding" in response.headers
    length = None if chunked else response.content_length
    if length == 0:
        await download.aclose()
        return Response(response.status, headers, url=hop.destination.url)
    return Response(response.status, headers, Body(chunks=download, length=length), hop.destination.url)


async def _abandon(upload: Upload | None) -> None:
    if upload is not None:
        await upload.aclose()
