"""`Request`: what a worker is asked, and what it asks others."""

# Private names are private to this package: they keep programs out, not its own modules.

from __future__ import annotations

import re
from http import HTTPMethod

from .body import BodyStream, Message, extract
from .headers import Headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .body import Source

_METHODS = {method.value: method for method in HTTPMethod}
_NORMALISED = frozenset(
    ("DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT")
)  # Fetch standard: "normalize a method"
_is_method = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_split_url = re.compile(
    r"(https?|wss?)://([^/?#\\\x00-\x20\x7f]+)([^\x00-\x20\x7f]*)", re.IGNORECASE
).fullmatch
_SCHEMES = {"ws": "http", "wss": "https"}
_not_in_url = re.compile(r"[^!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~|^`{}\\]").sub
_DEFAULTS: dict[str, Any] = {
    "cache": "default",
    "credentials": "same-origin",
    "destination": "",
    "integrity": "",
    "is_history_navigation": False,
    "keepalive": False,
    "mode": "cors",
    "redirect": "follow",
    "referrer": "about:client",
    "referrer_policy": "",
    "signal": None,
    "cf": None,
}
_RECEIVED: dict[str, Any] = {
    "redirect": "manual"
}  # a request passed on shows its caller the redirect, as in Workers


def normal_url(url: object) -> str:
    """An absolute http(s) URL with scheme and host in lower case and a path; ws(s) means the same. Raises TypeError
    for anything else.

    Spaces and what is not ASCII after the host are escaped as UTF-8. Nothing else is touched.
    """
    found = _split_url(str(url).strip().replace(" ", "%20"))
    if found is None:
        raise TypeError(f"Invalid URL: {str(url)[:200]!r}")
    scheme, host, rest = found.groups()
    if not rest.startswith("/"):
        rest = f"/{rest}"
    if not rest.isascii():
        rest = _not_in_url(
            lambda char: "".join(f"%{byte:02X}" for byte in char[0].encode("utf-8", "replace")), rest
        )
    user, at, host = host.rpartition("@")
    scheme = scheme.lower()
    return f"{_SCHEMES.get(scheme, scheme)}://{user}{at}{host.lower()}{rest}"


def normal_method(method: object) -> str:
    """A method as it is sent: capitals for those that the Fetch standard knows without case."""
    name = str(method.value if isinstance(method, HTTPMethod) else method)
    if not _is_method(name):
        raise TypeError(f"Invalid HTTP method string: {name[:40]!r}")
    upper = name.upper()
    return upper if upper in _NORMALISED else name


class Request(Message):
    """A request: `Request(url_or_request, method=, headers=, body=, redirect=, cf=, ...)`.

    The options are those of the Fetch standard in snake case. A request made from another takes over its
    body, unless it is given one. Options that mean nothing here are kept to themselves, as in JavaScript.
    """

    __slots__ = ("_method", "_options", "_url")

    def __init__(self, input: Request | str, **options: Any) -> None:
        other = input if isinstance(input, Request) else None
        self._url = normal_url(input) if other is None else other._url
        method = options.pop("method", None)
        self._method = normal_method(method) if method else ("GET" if other is None else other._method)
        headers = options.pop("headers", None)
        if headers is None:
            headers = None if other is None else other._header_pairs()
        self._headers = Headers(headers)
        self._pairs = ()
        self._taken = False
        self._set_body(other, options.pop("body", None))
        known = {name: value for name, value in options.items() if name in _DEFAULTS}
        self._options = known if other is None else {**other._options, **known}

    def _set_body(self, other: Request | None, body: Any) -> None:
        self._body, kind = extract(body, "Request")
        if self._body is None and other is not None:
            self._body = other._take()
        if self._body is not None and self._method in ("GET", "HEAD"):
            raise TypeError("Request with a GET or HEAD method cannot have a body.")
        if kind is not None and "content-type" not in self._headers:
            self._headers.set("content-type", kind)

    @classmethod
    def _of(
        cls,
        method: str,
        url: str,
        pairs: Sequence[tuple[str, str]],
        body: bytes | BodyStream | Source | None = None,
        options: dict[str, Any] = _RECEIVED,
    ) -> Request:
        """From what the runtime has checked: names of headers in lower case, an absolute URL. Nothing is
        parsed.
        """
        self = cls.__new__(cls)
        self._method = method
        self._url = url
        self._pairs = pairs
        self._headers = None
        self._body = (
            body if body is None or type(body) is bytes or type(body) is BodyStream else BodyStream(body)
        )
        self._taken = False
        self._options = options
        return self

    def _parts(self) -> tuple[str, str, list[tuple[str, str]], bytes | BodyStream | None]:
        """Method, URL, headers and body to be sent. The body counts as used from now on."""
        return self._method, self._url, self._header_pairs(), self._take()

    @property
    def method(self) -> HTTPMethod | str:
        """The method; one that `http.HTTPMethod` does not know is a plain str."""
        return _METHODS.get(self._method, self._method)

    @property
    def url(self) -> str:
        """The absolute URL."""
        return self._url

    @property
    def js_object(self) -> Request:
        """Itself: nothing lies beneath. For programs that hand it to a binding."""
        return self

    json = Message._json

    def clone(self) -> Request:
        """The same request once more; both can be read. Raises OSError if the body has been read from."""
        body = self._copy_body()
        return Request._of(self._method, self._url, self._header_pairs(), body, self._options)

    def __repr__(self) -> str:
        return f"Request(method={self._method!r}, url={self._url!r})"


def _option(name: str, default: Any) -> property:
    def get(self: Request) -> Any:
        return self._options.get(name, default)

    return property(get, doc=f"The request's `{name}`, as the Fetch standard has it.")


for _name, _default in _DEFAULTS.items():
    setattr(Request, _name, _option(_name, _default))
