"""The Common Gateway Interface: a request as variables, and a response out of what a program prints. No I/O.

Source: RFC 3875. A local redirect (section 6.2.2) is told to the client like any other: there is no server here that
would ask itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from pyworkerd_isolates.errors import ProtocolError
from pyworkerd_isolates.protocol import MAX_HEADER_BYTES, MAX_HEADERS

from .bodies import Outflow
from .fields import FORBIDDEN, Fields
from .messages import OutgoingResponse, split

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.protocol import HeaderPairs

    from .account import Account

_OWN_NAME: Final = {"content-length": "CONTENT_LENGTH", "content-type": "CONTENT_TYPE"}
"""Fields that have a variable without `HTTP_`."""
_KEPT_BACK: Final = frozenset(("proxy",))
"""Programs take HTTP_PROXY for a setting (httpoxy, CVE-2016-5385)."""
_MAX_LINES: Final = 2 * MAX_HEADERS
"""Of a printed header: fields that belong to the server are left out, and looked at."""
_END: Final = re.compile(rb"\r?\n\r?\n")
_LONGEST_END: Final = 4
_STATUS: Final = re.compile(r"([2-5][0-9][0-9])(?: .*)?").fullmatch
_REPLACED: Final = "\ufffd".encode()
"""What a zero byte is told as: it would end a variable."""
_PORTS: Final = {"http": "80", "https": "443"}


def variables(method: str, url: str, headers: HeaderPairs) -> dict[str, bytes]:
    """The meta-variables of a request (section 4.1). The whole path is `PATH_INFO`: a worker has no other script."""
    scheme, authority, path, query = split(url)
    server, port = _host(authority)
    said = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "QUERY_STRING": query,
        "REQUEST_METHOD": method,
        "REQUEST_URI": path + (f"?{query}" if query else ""),
        "SCRIPT_NAME": "",
        "SERVER_NAME": server,
        "SERVER_PORT": port or _PORTS.get(scheme, ""),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "pyworkerd",
    }
    if scheme == "https":
        said["HTTPS"] = "on"
    found = {name: value.encode() for name, value in said.items()}
    found["PATH_INFO"] = unquote_to_bytes(path).replace(b"\0", _REPLACED)
    for name, value in headers:
        known = name.lower()
        # A client's `cf_connecting_ip` would be read as the server's `cf-connecting-ip` (Apache, nginx: dropped).
        if known in _KEPT_BACK or "_" in known:
            continue
        key = _OWN_NAME.get(known) or "HTTP_" + known.upper().replace("-", "_")
        raw = value.encode("latin-1", "replace")
        found[key] = found[key] + b", " + raw if key in found else raw
    return found


def _host(authority: str) -> tuple[str, str]:
    """Name and port, which may be empty; an address of IPv6 without its brackets."""
    authority = authority.rpartition("@")[2].lower()
    if authority.startswith("["):
        name, _, rest = authority[1:].partition("]")
        return name, rest.removeprefix(":")
    name, _, port = authority.partition(":")
    return name, port


class Printed:
    """What the program prints: a header, an empty line, a body. `respond` is given the response when its header is
    complete.
    """

    __slots__ = ("_account", "_header", "_respond", "body")

    def __init__(self, account: Account, respond: Callable[[OutgoingResponse], None]) -> None:
        self._account, self._respond = account, respond
        self._header = bytearray()
        self.body: Outflow | None = None

    @property
    def room(self) -> int:
        """Bytes that it takes now; -1 if nobody reads any more."""
        body = self.body
        if body is None:
            return MAX_HEADER_BYTES
        return -1 if body.stopped else max(body.room, 0)

    def write(self, data: bytes) -> None:
        """A piece, no longer than `room`. Raises `ProtocolError` for a header that is none."""
        if self.body is not None:
            self.body.write(data)
            return
        # To look at all of it for each byte would take seconds.
        looked_at = max(len(self._header) - _LONGEST_END, 0)
        self._header += data
        end = _END.search(self._header, looked_at)
        if end is None:
            if len(self._header) > MAX_HEADER_BYTES:
                raise ProtocolError("the program prints no header, or one that is too long")
            return
        header, rest = bytes(self._header[: end.start()]), bytes(self._header[end.end() :])
        self._header.clear()
        response = _response(self._account, header.decode("latin-1"))
        self.body = response.body = Outflow(self._account, None)
        self.body.write(rest)
        self._respond(response)

    def finish(self) -> bool:
        """The program prints no more. Returns whether there was a response."""
        if self.body is not None:
            self.body.finished = True
        return self.body is not None


def _response(account: Account, header: str) -> OutgoingResponse:
    if header.count("\n") > _MAX_LINES:
        raise ProtocolError(f"the program prints a header of more than {_MAX_LINES} lines")
    fields = Fields(account)
    status = ""
    for line in header.split("\n"):
        name, colon, value = line.removesuffix("\r").partition(":")
        name, value = name.lower(), value.strip(" \t")
        if not colon:
            raise ProtocolError("the program prints a header line without a colon")
        if name == "status":
            status = value
        elif name not in FORBIDDEN and fields.append(name, value.encode("latin-1")) is not None:
            raise ProtocolError("the program prints a header with characters that headers may not have")
    found = _STATUS(status) if status else None
    if status and found is None:
        raise ProtocolError("the program prints a status that is none")
    redirects = bool(fields.get("location"))
    response = OutgoingResponse(fields)
    response.status = int(found[1]) if found is not None else 302 if redirects else 200
    return response
