"""HTTP header fields as a program sees them: names without case, one value for each name, cookies kept apart.

It answers to the names of `http.client.HTTPMessage`, which Cloudflare's SDK gives out (`get`, `get_all`,
`keys`, `items`, `in`, and `[]` that gives None for what is missing), and does not import `email` for it. As
in the Fetch standard, the values of a repeated field are joined by a comma, except those of `set-cookie`.

Values are text in which each character is one byte (latin-1), as on the wire: a peer that sent UTF-8 is read
with `value.encode("latin-1").decode()`, and text outside latin-1 has to be encoded by the program before it
can be sent.
"""

# Private names are private to this package: they keep programs out, not its own modules.

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Pair = tuple[str, str]
    HeadersInit = Mapping[str, object] | Iterable[tuple[str, object]] | None

_is_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch  # RFC 9110 section 5.6.2
_find_forbidden = re.compile(r"[^\t\x20-\x7e\x80-\xff]").search  # RFC 9110 section 5.5
_JOINED_BY = {"cookie": "; "}  # RFC 9113 section 8.2.3; all other fields by a comma, RFC 9110 section 5.3


def field_name(name: object) -> str:
    """A field's name in lower case. Raises TypeError for what is not text, ValueError for what is not a
    token.
    """
    if not isinstance(name, str):
        raise TypeError(f"a header's name has to be str, not {type(name).__name__}")
    if not _is_token(name):
        raise ValueError(f"Invalid header name: {name!r}")
    return name.lower()


def field_value(value: object) -> str:
    """A field's value without the space around it; numbers are written in digits, as JavaScript would.

    Raises TypeError for what is neither text nor a number, ValueError for control characters (line ends and
    NUL among them) and characters outside latin-1.
    """
    if not isinstance(value, str):
        if not isinstance(value, (int, float)):
            raise TypeError(f"a header's value has to be str, not {type(value).__name__}")
        value = str(value).lower() if isinstance(value, bool) else str(value)
    value = value.strip(" \t\r\n")
    if _find_forbidden(value):
        raise ValueError(f"Invalid header value: {value!r}")
    return value


class Headers:
    """A collection of header fields, made from a mapping, from pairs, from other headers, or empty.

    `headers[name] = value` replaces; `append` adds to what is there. Names are lower case wherever they come
    out.
    """

    __slots__ = ("_cookies", "_fields")

    def __init__(self, init: HeadersInit = None) -> None:
        self._fields: dict[str, str] = {}
        self._cookies: list[str] = []
        if init is None:
            return
        if isinstance(init, Headers):
            self._fields.update(init._fields)
            self._cookies += init._cookies
            return
        for pair in init.items() if hasattr(init, "items") else init:
            if isinstance(pair, str) or len(pair) != 2:
                raise TypeError("headers are made from a mapping or from pairs of name and value")
            self.append(*pair)

    @classmethod
    def _of(cls, pairs: Iterable[Pair]) -> Headers:
        """From pairs that the runtime has checked, names in lower case."""
        self = cls.__new__(cls)
        self._fields = {}
        self._cookies = []
        for name, value in pairs:
            self._add(name, value)
        return self

    def _add(self, name: str, value: str) -> None:
        if name == "set-cookie":
            self._cookies.append(value)
        elif name in self._fields:
            self._fields[name] += _JOINED_BY.get(name, ", ") + value
        else:
            self._fields[name] = value

    def append(self, name: str, value: object) -> None:
        """Add a value to a field. Raises TypeError or ValueError for what cannot be sent."""
        self._add(field_name(name), field_value(value))

    add_header = append

    def __setitem__(self, name: str, value: object) -> None:
        name, text = field_name(name), field_value(value)
        if name == "set-cookie":
            self._cookies = [text]
        else:
            self._fields[name] = text

    set = __setitem__

    def delete(self, name: str) -> None:
        """Remove a field. It need not be there."""
        name = field_name(name)
        self._fields.pop(name, None)
        if name == "set-cookie":
            self._cookies = []

    __delitem__ = delete

    def get(self, name: str, default: str | None = None) -> str | None:
        """The joined values of a field (of `set-cookie` too), or `default`."""
        name = name.lower()
        if name == "set-cookie":
            return ", ".join(self._cookies) if self._cookies else default
        return self._fields.get(name, default)

    def __getitem__(self, name: str) -> str | None:
        return self.get(name)

    def get_all(self, name: str, default: list[str] | None = None) -> list[str] | None:
        """The values of a field as a list: one joined value, or each cookie. `default` if there is none."""
        name = name.lower()
        if name == "set-cookie":
            return list(self._cookies) or default
        value = self._fields.get(name)
        return default if value is None else [value]

    getall = get_all

    def get_set_cookie(self) -> list[str]:
        """Each value of `set-cookie`."""
        return list(self._cookies)

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        name = name.lower()
        return name in self._fields or (name == "set-cookie" and bool(self._cookies))

    def items(self) -> list[Pair]:
        """Pairs of name and joined value, and one pair for each cookie, last."""
        return [*self._fields.items(), *(("set-cookie", value) for value in self._cookies)]

    def keys(self) -> list[str]:
        """The names, `set-cookie` once for each cookie."""
        return [name for name, _ in self.items()]

    def values(self) -> list[str]:
        """The values in the order of `keys()`."""
        return [value for _, value in self.items()]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._fields) + len(self._cookies)

    def __bool__(self) -> bool:
        return True  # as of an HTTPMessage: headers that are there, be they empty

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self._fields == other._fields and self._cookies == other._cookies

    __hash__ = None

    def __repr__(self) -> str:
        return f"Headers({self.items()!r})"

    def copy(self) -> Headers:
        """Headers that can be changed without changing these."""
        return Headers._of(self.items())

    def get_content_type(self) -> str:
        """The media type in lower case, without parameters; `text/plain` if none is given, as HTTPMessage."""
        return media_type(self._fields.get("content-type", "")) or "text/plain"

    def get_content_charset(self, default: str | None = None) -> str | None:
        """The `charset` of the content type in lower case, or `default`."""
        charset = parameter(self._fields.get("content-type", ""), "charset")
        return default if charset is None else charset.lower()


def media_type(value: str) -> str:
    """`text/html` of `Text/HTML; charset=utf-8`; an empty string for what is no media type."""
    name = value.partition(";")[0].strip().lower()
    kind, slash, subtype = name.partition("/")
    return name if slash and _is_token(kind) and _is_token(subtype) else ""


_parameters = re.compile(r';[ \t]*([^=;"\s]+)=(?:"([^"]*)"|([^;"\s]*+)(?!"))').finditer


def parameter(value: str, name: str) -> str | None:
    """The first parameter of this name (lower case) in a field such as `form-data; name="a"`, or None.

    A backslash in quotes is a backslash, as in the Fetch standard: names of files have been Windows paths.
    """
    for found in _parameters(value):
        if found[1].lower() == name:
            return found[3] if found[2] is None else found[2]
    return None
