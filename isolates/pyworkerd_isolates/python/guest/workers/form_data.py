"""`FormData`, and the two ways in which forms travel: multipart/form-data and
application/x-www-form-urlencoded.

The parsers are this module's own and strict: `email` is large, forgiving and no judge of RFC 7578. What a
peer can send is bounded by `MAX_PARTS` and `MAX_PART_HEADER`; the body itself is in memory already.
"""

# Private names are private to this package: they keep programs out, not its own modules.

from __future__ import annotations

import re
from collections.abc import MutableMapping

from .blob import Blob, File, decode_text, encode_text
from .headers import media_type, parameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Value = str | Blob
    FormInit = Mapping[str, object] | Iterable[tuple[str, object]] | None

MAX_PARTS = 1000
"""Fields of one form; Werkzeug's `max_form_parts` and Django's `DATA_UPLOAD_MAX_NUMBER_FIELDS` are the same.
"""
MAX_PART_HEADER = 8192
"""Bytes of one part's header fields."""

_is_boundary = re.compile(
    r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]"
).fullmatch  # RFC 2046 section 5.1.1
_line_end = re.compile("\r\n|\r|\n")
_percent = re.compile(rb"%([0-9A-Fa-f]{2})")


class FormData(MutableMapping):
    """The fields of a form in their order. A name may occur more than once; values are text, blobs and files.

    `form[name]` is the first value of a name, `form[name] = value` replaces all of them. Iteration, `keys()`,
    `values()` and `items()` go through every field.
    """

    __slots__ = ("_fields",)

    def __init__(self, init: FormInit = None) -> None:
        self._fields: list[tuple[str, Value]] = []
        if init is None:
            return
        for name, value in init.items() if hasattr(init, "items") else init:
            self.append(name, value)

    @property
    def js_object(self) -> FormData:
        """Itself: nothing lies beneath. For programs that hand it to a binding."""
        return self

    def append(self, name: str, value: object, filename: str | None = None) -> None:
        """Add a field. With `filename`, which only blobs can have, the value becomes a file of that name."""
        if not isinstance(name, str):
            raise TypeError(f"a field's name has to be str, not {type(name).__name__}")
        self._fields.append((name, _value(value, filename)))

    def delete(self, name: str) -> None:
        """Remove every field of this name. There need not be one."""
        self._fields = [field for field in self._fields if field[0] != name]

    def get_all(self, name: str) -> list[Value]:
        """Every value of this name."""
        return [value for key, value in self._fields if key == name]

    getAll = get_all

    def __getitem__(self, name: str) -> Value:
        for key, value in self._fields:
            if key == name:
                return value
        raise KeyError(name)

    def __setitem__(self, name: str, value: object) -> None:
        new = (name, _value(value, None))
        at = next((i for i, field in enumerate(self._fields) if field[0] == name), None)
        if at is None:
            self.append(name, value)
            return
        rest = [field for field in self._fields[at + 1 :] if field[0] != name]
        self._fields = [*self._fields[:at], new, *rest]

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self.delete(name)

    def __contains__(self, name: object) -> bool:
        return any(key == name for key, _ in self._fields)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def keys(self) -> Iterator[str]:
        """The name of each field."""
        return iter(self)

    def values(self) -> Iterator[Value]:
        """The value of each field."""
        return (value for _, value in self._fields)

    def items(self) -> Iterator[tuple[str, Value]]:
        """Each field: its name and its value."""
        return iter(self._fields)

    def __eq__(self, other: object) -> bool:
        return self._fields == other._fields if isinstance(other, FormData) else NotImplemented

    __hash__ = None

    def __repr__(self) -> str:
        return f"FormData({self._fields!r})"

    def to_multipart(self, boundary: str) -> bytes:
        """The form as multipart/form-data. The boundary is the caller's to choose, from enough entropy.

        Line ends in names and texts become CRLF, as HTML says. Raises ValueError if the boundary is malformed
        or occurs in the form.
        """
        if not _is_boundary(boundary):
            raise ValueError(f"{boundary!r} cannot be a boundary")
        out = bytearray()
        for name, value in self._fields:
            head, content = _part(name, value)
            if boundary.encode() in head or boundary.encode() in content:
                raise ValueError("the boundary occurs in the form")
            out += b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary.encode(), head, content)
        return bytes(out + b"--%b--\r\n" % boundary.encode())


def _value(value: object, filename: str | None) -> Value:
    if isinstance(value, Blob):
        if filename is None:
            return value
        return File(value, filename, last_modified=getattr(value, "last_modified", None))
    if filename is not None:
        raise TypeError("only a Blob can have a file name")
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return str(value).lower() if isinstance(value, bool) else str(value)
    raise TypeError(f"a field's value has to be str, Blob or File, not {type(value).__name__}")


def _quoted(name: str) -> bytes:
    """As HTML's "multipart/form-data encoding algorithm" escapes names."""
    return encode_text(name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A"))


def _part(name: str, value: Value) -> tuple[bytes, bytes]:
    head = b'Content-Disposition: form-data; name="%b"' % _quoted(_line_end.sub("\r\n", name))
    if isinstance(value, str):
        return head, encode_text(_line_end.sub("\r\n", value))
    filename = value.name if isinstance(value, File) else "blob"
    kind = value.content_type or "application/octet-stream"
    head += b'; filename="%b"\r\nContent-Type: %b' % (_quoted(filename), kind.encode())
    return head, value._data


def parse_form(data: bytes, content_type: str) -> FormData:
    """The form in a body. Raises TypeError if the type is not that of a form, ValueError if the body is
    malformed.
    """
    kind = media_type(content_type)
    if kind == "application/x-www-form-urlencoded":
        return parse_urlencoded(data)
    if kind != "multipart/form-data":
        raise TypeError(
            f"Unrecognized Content-Type header value {content_type!r}. FormData can only parse the following "
            "MIME types: multipart/form-data, application/x-www-form-urlencoded"
        )
    boundary = parameter(content_type, "boundary")
    if boundary is None or not _is_boundary(boundary):
        raise ValueError("the Content-Type has no valid boundary")
    return parse_multipart(data, boundary)


def parse_urlencoded(data: bytes) -> FormData:
    """A form as in a query (URL standard, section 5.1): malformed escapes stay as they are."""
    if data.count(b"&") >= MAX_PARTS:
        raise ValueError(f"a form has more than {MAX_PARTS} fields")
    form = FormData()
    for field in data.split(b"&"):
        if field:
            name, _, value = field.partition(b"=")
            form.append(_unescaped(name), _unescaped(value))
    return form


def _unescaped(data: bytes) -> str:
    data = data.replace(b"+", b" ")
    if b"%" in data:
        data = _percent.sub(lambda found: bytes.fromhex(found[1].decode()), data)
    return data.decode("utf-8", "replace")


def parse_multipart(data: bytes, boundary: str) -> FormData:
    """A form as RFC 7578 has it: only CRLF ends lines, nothing stands before the first boundary or is
    missing.
    """
    form = FormData()
    marker = b"--" + boundary.encode("latin-1")
    start = len(marker)
    if not data.startswith(marker):
        raise ValueError("the form does not begin with its boundary")
    start = _after_boundary(data, start)
    while start is not None:
        if len(form) >= MAX_PARTS:
            raise ValueError(f"a form has more than {MAX_PARTS} fields")
        disposition, kind, start = _part_header(data, start)
        end = (
            start - 2 if data.startswith(b"\r\n" + marker, start - 2) else data.find(b"\r\n" + marker, start)
        )
        if end < 0:
            raise ValueError("the form has no end")
        _append_part(form, disposition, kind, data[start : max(start, end)])
        start = _after_boundary(data, end + 2 + len(marker))
    return form


def _after_boundary(data: bytes, at: int) -> int | None:
    """Where the part after a boundary begins; None after the last."""
    if data.startswith(b"--", at):
        return None
    while data[at : at + 1] in (b" ", b"\t"):  # RFC 2046 allows padding
        at += 1
    if not data.startswith(b"\r\n", at):
        raise ValueError("a boundary is not the end of its line")
    return at + 2


def _part_header(data: bytes, start: int) -> tuple[str, str | None, int]:
    """Content-Disposition and Content-Type of a part, and where its content begins."""
    end = data.find(b"\r\n\r\n", start, start + MAX_PART_HEADER)
    if end < 0:
        raise ValueError("a part's header has no end or is too long")
    fields: dict[str, str] = {}
    for line in data[start:end].split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not colon or b"\n" in line or b"\r" in line:
            raise ValueError("a part's header is malformed")
        fields.setdefault(name.decode("latin-1").lower(), value.strip(b" \t").decode("utf-8", "replace"))
    disposition = fields.get("content-disposition", "")
    if disposition.partition(";")[0].strip().lower() != "form-data":
        raise ValueError("a part is not form-data")
    return disposition, fields.get("content-type"), end + 4


def _append_part(form: FormData, disposition: str, kind: str | None, content: bytes) -> None:
    name = parameter(disposition, "name")
    filename = parameter(disposition, "filename")
    if name is None:
        raise ValueError("a part has no name")
    if filename is None:
        form.append(_unquoted(name), decode_text(content))
    else:
        form.append(_unquoted(name), File(content, _unquoted(filename), kind or "text/plain"))


def _unquoted(name: str) -> str:
    return name.replace("%0A", "\n").replace("%0D", "\r").replace("%22", '"')
