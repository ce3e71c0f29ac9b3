"""`Response`: what a worker answers, and what others answer it."""

# Private names are private to this package: they keep programs out, not its own modules.

from __future__ import annotations

import json
import re
from http import HTTPStatus

from .blob import encode_text
from .body import BodyStream, Message, extract
from .headers import Headers
from .request import normal_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .body import Source
    from .headers import HeadersInit
    from .websocket import WebSocket

NULL_BODY = frozenset((101, 204, 205, 304))
"""Statuses whose responses have no body (Fetch standard, "null body status")."""
REDIRECTS = frozenset((301, 302, 303, 307, 308))
_TEXT = (("content-type", "text/plain;charset=UTF-8"),)
_JSON = (("content-type", "application/json"),)
_TEXT_WRITTEN = b'200,[["content-type","text/plain;charset=UTF-8"]]'
_JSON_WRITTEN = b'200,[["content-type","application/json"]]'
"""The same behind a status, as JSON."""
_MOST = 65_536
"""Bytes of a body that is given out without a look at how much may be."""
_is_reason = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch  # RFC 9112 section 4


class _Json:
    """`Response.json(data, ...)` makes a response; `await response.json(...)` reads one."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        return owner.from_json if instance is None else instance._json


class FetchResponse(Message):
    """A response as it is read; `Response` is the same and can be made by a program."""

    __slots__ = ("_redirected", "_status", "_status_text", "_url", "_web_socket")

    json = _Json()

    @property
    def status(self) -> int:
        """The status code."""
        return self._status

    @property
    def ok(self) -> bool:
        """Whether the status is one of success (200 to 299)."""
        return 200 <= self._status <= 299

    @property
    def status_text(self) -> str:
        """The reason phrase; empty unless one was given."""
        return self._status_text

    statusText = status_text

    @property
    def url(self) -> str:
        """Where it came from, after redirects; empty for a response that a program made."""
        return self._url

    @property
    def redirected(self) -> bool:
        """Whether redirects were followed."""
        return self._redirected

    @property
    def type(self) -> str:
        """Always `default`, as in Workers."""
        return "default"

    @property
    def web_socket(self) -> WebSocket | None:
        """The end of a WebSocket that comes with it, or None: `accept()` it, or pass the response on."""
        return self._web_socket

    webSocket = web_socket

    @property
    def js_object(self) -> FetchResponse:
        """Itself: nothing lies beneath. For programs that hand it to a binding."""
        return self

    def raise_for_status(self) -> None:
        """Raise OSError for a status of 400 and above."""
        if self._status >= 400:
            raise OSError(f"{self._status} {self._status_text or 'error'} for url: {self._url}")

    def replace_body(self, body: Any) -> Response:
        """A response with the same status and headers and another body."""
        return Response(body, self._status, self._status_text, self._header_pairs(), self._web_socket)

    def clone(self) -> Response:
        """The same response once more; both can be read. Raises OSError if the body has been read from."""
        if self._web_socket is not None:
            raise TypeError("Cannot clone a response to a WebSocket handshake.")
        body = self._copy_body()
        pairs = self._header_pairs()
        return Response._of(self._status, pairs, body, self._url, self._status_text, self._redirected)

    def _parts(self) -> tuple[int, list[tuple[str, str]], bytes | BodyStream | None]:
        """Status, headers and body to be sent. The body counts as used from now on."""
        return self._status, self._header_pairs(), self._take()

    def _written(self) -> tuple[bytes, bytes] | None:
        """The same of a response like most: a short body in hand, usual headers, nothing taken of it; and status and
        headers as JSON. None of any other.
        """
        body, pairs = self._body, self._pairs
        if pairs is not _TEXT and pairs is not _JSON:
            return None
        if self._headers is not None or self._taken or type(body) is not bytes or len(body) > _MOST:
            return None
        if self._web_socket is not None:
            return None
        self._taken = True
        fields = _TEXT_WRITTEN if pairs is _TEXT else _JSON_WRITTEN
        return (fields if self._status == 200 else b"%d%b" % (self._status, fields[3:])), body

    def __repr__(self) -> str:
        parts = [f"status={self._status}"]
        if self._status_text:
            parts.append(f"status_text={self._status_text!r}")
        kind = dict(self._header_pairs()).get("content-type")
        if kind is not None:
            parts.append(f"content_type={kind!r}")
        if self._url:
            parts.append(f"url={self._url!r}")
        return f"Response({', '.join(parts)})"


class Response(FetchResponse):
    """A response: `Response(body, status=200, status_text="", headers=None)`.

    The body is str, bytes, a form, a blob, a stream, an iterator (async or not) of bytes or str, or None.
    Text gets the content type `text/plain;charset=UTF-8`, forms and blobs their own, unless the headers name
    one.

    Raises TypeError for another kind of body and for a body under a status that has none, ValueError for a
    status out of range and for headers that cannot be sent.
    """

    __slots__ = ()

    def __init__(
        self,
        body: Any = None,
        status: HTTPStatus | int | None = None,
        status_text: str = "",
        headers: HeadersInit = None,
        web_socket: Any = None,
    ) -> None:
        self._status = 200 if status is None and web_socket is None else _status(status, web_socket)
        self._status_text = status_text if status_text == "" else _reason(status_text)
        self._url = ""
        self._redirected = False
        self._web_socket = web_socket
        self._taken = False
        if type(body) is str and headers is None and self._status not in NULL_BODY:
            self._headers, self._pairs, self._body = None, _TEXT, encode_text(body)
            return
        self._body, kind = extract(body, "Response")
        if self._status in NULL_BODY:
            kind = None
            if self._body:
                raise TypeError("Response with null body status (101, 204, 205, or 304) cannot have a body.")
            self._body = None
        self._headers = None
        if headers is None:
            self._pairs = (
                () if kind is None else _TEXT if isinstance(body, str) else (("content-type", kind),)
            )
        else:
            self._headers = Headers(headers)
            self._pairs = ()
            if kind is not None and "content-type" not in self._headers:
                self._headers.set("content-type", kind)

    @classmethod
    def _of(
        cls,
        status: int,
        pairs: Sequence[tuple[str, str]],
        body: bytes | BodyStream | Source | None,
        url: str = "",
        status_text: str = "",
        redirected: bool = False,
    ) -> Response:
        """From what the runtime has checked: names of headers in lower case."""
        self = cls.__new__(cls)
        self._status = status
        self._status_text = status_text
        self._pairs = pairs
        self._headers = None
        self._body = (
            body if body is None or type(body) is bytes or type(body) is BodyStream else BodyStream(body)
        )
        self._taken = False
        self._url = url
        self._redirected = redirected
        self._web_socket = None
        return self

    @staticmethod
    def redirect(url: str, status: HTTPStatus | int = HTTPStatus.FOUND) -> Response:
        """A redirect to an absolute URL. Raises ValueError for another URL or a status that redirects
        nowhere.
        """
        if status not in REDIRECTS:
            raise ValueError(f"{int(status)} is not a redirect status code.")
        try:
            target = normal_url(url)
        except TypeError as error:
            raise ValueError(f"Unable to parse URL: {str(url)[:200]}") from error
        return Response(None, status, headers={"location": target})

    @staticmethod
    def from_json(
        data: Any,
        status: HTTPStatus | int = HTTPStatus.OK,
        status_text: str = "",
        headers: HeadersInit = None,
    ) -> Response:
        """A response whose body is `json.dumps(data)`, of type `application/json` unless the headers name
        one.
        """
        response = Response(json.dumps(data).encode(), status, status_text, headers)
        if headers is None:
            response._pairs = _JSON
        elif "content-type" not in response._headers:
            response._headers.set("content-type", "application/json")
        return response

    @staticmethod
    def error() -> Response:
        """Not part of Workers: there is no way to send a network error to a client."""
        raise TypeError("Response.error() has no meaning in a worker")


def _status(status: Any, web_socket: Any) -> int:
    if web_socket is not None and not hasattr(web_socket, "_leave"):
        raise TypeError(f"web_socket has to be an end of a WebSocket, not {type(web_socket).__name__}")
    if status is None:
        return 200 if web_socket is None else 101
    if isinstance(status, bool) or not isinstance(status, int):
        raise TypeError(f"a status has to be int, not {type(status).__name__}")
    code = int(status)
    if web_socket is not None and code != 101:
        raise ValueError("Responses with a WebSocket must have status code 101.")
    if web_socket is None and not 200 <= code <= 599:
        raise ValueError(
            "Responses may only be constructed with status codes in the range 200 to 599, inclusive."
        )
    return code


def _reason(text: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"a status text has to be str, not {type(text).__name__}")
    if not _is_reason(text):
        raise ValueError("Invalid statusText")
    return text
