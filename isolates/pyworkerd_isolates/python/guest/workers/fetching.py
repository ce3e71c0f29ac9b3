"""`fetch()`: from a Request or a URL to an effect, and from its answer to a Response."""

from http import HTTPMethod

from _pyworkerd import calls, environment
from _pyworkerd.handlers import begin_fetch
from _pyworkerd.sockets import Wire

from .request import Request
from .response import Response
from .websocket import WebSocket

OUTBOUND = 0
"""The worker's own way out: index 0 of every worker's table."""


async def send(capability, resource, options, first=()):
    """Send one request through a capability; options as of `Request`, and `fetcher` is not among them. `first` are
    header fields that go before the request's own."""
    request = resource if isinstance(resource, Request) and not options else Request(resource, **options)
    method, url, headers, body = request._parts()
    method = method.value if isinstance(method, HTTPMethod) else method
    fields = [*first, *headers] if first else headers
    begun = begin_fetch(capability, method, url, fields, body, request.redirect or "follow")
    status, pairs, answer, final = await calls.finish_fetch(begun)
    if isinstance(answer, Wire):
        response = Response._of(status, pairs, None, final)
        response._web_socket = WebSocket._given(answer, final, response.headers.get("sec-websocket-protocol"))
        return response
    return Response._of(status, pairs, answer, final)


async def fetch(resource, *, fetcher=None, **options):
    """Send a request to the network, as far as this worker's `globalOutbound` lets it."""
    if fetcher is not None:
        return await fetcher.fetch(resource, **options)
    if not environment.meta.get("outbound", True):
        raise calls.CallError(
            "this worker has no outbound network (global_outbound = false)", "access_denied"
        )
    return await send(OUTBOUND, resource, options)
