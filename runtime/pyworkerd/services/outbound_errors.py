"""The border to aiohttp: its exceptions, in the runtime's words.

A tenant may learn which host failed (it named the host itself) and how, but no address, no file name and
nothing of a certificate; all of that stays in `__cause__`, for the operator's log.
"""

from __future__ import annotations

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from pyworkerd.errors import AccessDenied, ConnectTimeout, UpstreamError


class AddressDeniedError(OSError):
    """Raised inside aiohttp, which lets an OSError through, when the policy permits none of the addresses."""


FOREIGN = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError)
"""Everything that aiohttp raises. (`TimeoutError` is an OSError, `UnicodeError` a ValueError.)"""

NO_ADDRESS = "no usable address is known for {host}"
"""One sentence for a name that does not exist and for one that leads where the policy forbids."""

_SENTENCES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (aiohttp.ClientConnectorDNSError, NO_ADDRESS),
    (aiohttp.ClientSSLError, "no TLS connection with {host} could be made"),
    (TimeoutError, "{host} did not answer in time"),
    (aiohttp.ClientConnectorError, "no connection to {host} could be made"),
    (aiohttp.ClientPayloadError, "the answer of {host} was cut short or malformed"),
    ((aiohttp.ClientResponseError, HttpProcessingError), "{host} sent a malformed answer"),
    ((aiohttp.ClientConnectionError, OSError), "the connection to {host} broke"),
)


def _is_denied(error: BaseException) -> bool:
    return isinstance(error, AddressDeniedError) or isinstance(
        getattr(error, "os_error", None), AddressDeniedError
    )


def denied(host: str) -> AccessDenied:
    """The answer to a forbidden address; reads like the answer to a name that does not exist."""
    return AccessDenied(NO_ADDRESS.format(host=host))


def translate(error: Exception, host: str) -> UpstreamError:
    """One of `FOREIGN`, as an error that may be shown to the tenant who asked for `host`."""
    if _is_denied(error):
        return denied(host)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return ConnectTimeout(f"no connection to {host} was made in time")
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return UpstreamError(sentence.format(host=host))
    return UpstreamError(f"the exchange with {host} failed")
